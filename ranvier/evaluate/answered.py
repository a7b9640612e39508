"""Figures of answers that stand within a text, as SQuAD has them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ranvier.evaluate.score import TargetReport, amounts, nothing_to_score
from ranvier.ops.spans import answer_words, overlap

SPOILT = "no figure can be told, for of some rows the network's probabilities are no numbers"


class SpanScores:
    """The figures of a column of answers over rows that come a piece at a time; memory does not grow with them.

    exact_match: share of rows whose words are the same, in small letters and without punctuation and English articles.
    f1: mean over rows of the harmonic mean of precision and recall of the words. Rows without an answer are right in
    both if none is given (Rajpurkar et al. 2016; 2018 for those).
    """

    def __init__(self) -> None:
        self.rows = self.missing = self.spoilt = 0
        self.amount = self.same = self.shared = 0.0

    def add(
        self,
        said: Sequence[str],
        true: Sequence[str],
        sure: np.ndarray,
        *,
        observed: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> None:
        """Adds N rows: the answers given and the true ones, "" for none; sure: (N,) the confidence in those given."""
        rows, shares = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.spoilt += int((~np.isfinite(sure) & rows).sum())
        for row in np.flatnonzero(rows).tolist():
            amount = float(shares[row])
            one, other = answer_words(said[row]), answer_words(true[row])
            self.amount += amount
            self.same += amount * (one == other)
            self.shared += amount * overlap(one, other)

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a truth and weight."""
        if not self.rows:
            raise nothing_to_score(self.missing)
        figures = {"exact_match": self.same / self.amount, "f1": self.shared / self.amount}
        if self.spoilt:
            figures = dict.fromkeys(figures, math.nan)
        return TargetReport("span", figures, self.rows, self.missing, notes={"all": SPOILT} if self.spoilt else {})
