"""Figures of identities: how well pairs of rows of one are told from pairs of two."""

from __future__ import annotations

import math

import numpy as np
import torch

from ranvier.core.protocols import Value
from ranvier.evaluate.score import TargetReport, amounts, nothing_to_score
from ranvier.ops.verification import Verification

SPOILT = "no figure can be told, for some of the network's vectors are no numbers"


class IdentityScores:
    """The figures of a column of identities over rows that come a piece at a time; memory does not grow with them.

    auc, eer, rank1: see `ops.verification`. seen: how many identities training saw; the report says how many of the
    rows' are among them.
    """

    def __init__(self, seen: int) -> None:
        self.seen, self.pairs = seen, Verification()
        self.rows = self.missing = self.new = 0
        self.met: set[int] = set()
        self.spoilt = False

    def add(
        self, vectors: np.ndarray, truth: np.ndarray, *, observed: np.ndarray, weight: np.ndarray | None = None
    ) -> None:
        """Adds N rows: (N, D) vectors and (N,) identities, as the column encodes them."""
        rows, _ = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.new += int((truth[rows] >= self.seen).sum())
        self.met.update(np.unique(truth[rows]).tolist())
        self.spoilt |= not np.isfinite(vectors[rows]).all()
        said = {"vector": torch.from_numpy(np.ascontiguousarray(vectors[rows]))}
        self.pairs.update(said, Value(torch.from_numpy(truth[rows])), None)

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a truth and weight."""
        if not self.rows:
            raise nothing_to_score(self.missing)
        figures = self.pairs.compute()
        known = sum(code < self.seen for code in self.met)
        notes = dict(self.pairs.notes)
        if self.spoilt:
            figures, notes = dict.fromkeys(figures, math.nan), {"all": SPOILT}
        notes["identities"] = f"{len(self.met):,}, of which training saw {known or 'none'}"
        return TargetReport("identity", figures, self.rows, self.missing, self.new, notes=notes)
