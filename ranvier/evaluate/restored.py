"""Figures of hidden tokens that were restored: how far they surprised the network, and how often it was right."""

from __future__ import annotations

import math

import numpy as np

from ranvier.evaluate.score import TargetReport, amounts, nothing_to_score
from ranvier.evaluate.written import SPOILT


class MaskedScores:
    """The figures of a column of which tokens were hidden, over rows that come a piece at a time."""

    def __init__(self) -> None:
        self.rows = self.missing = 0
        self.nats = self.tokens = self.right = 0.0

    def add(
        self,
        nats: np.ndarray,
        count: np.ndarray,
        right: np.ndarray,
        *,
        observed: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> None:
        """Adds N rows. nats, count, right: (N,) surprise at hidden tokens, how many there are, how many were found."""
        rows, amount = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.nats += float(amount @ np.where(rows, nats, 0.0))
        self.tokens += float(amount @ count)
        self.right += float(amount @ right)

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a truth and weight."""
        if not self.rows or not self.tokens:
            raise nothing_to_score(self.rows + self.missing)
        each = self.nats / self.tokens
        figures = {
            "accuracy": self.right / self.tokens if math.isfinite(each) else math.nan,
            "perplexity": math.exp(each) if each < 700 else math.inf if each == each else math.nan,
        }
        notes = {} if math.isfinite(each) else {"all": SPOILT}
        return TargetReport("masked", figures, self.rows, self.missing, notes=notes)
