"""Figures of a column of which values are drawn: means over rows of what the head says of each truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ranvier.evaluate.score import TargetReport, amounts, nothing_to_score
from ranvier.evaluate.written import SPOILT
from ranvier.ops.collapse import figures, troubles

UNTOLD = "there are too few rows for which about the same is given, or those are alike"


class DrawnScores:
    """The figures of a generated column over rows that come a piece at a time."""

    def __init__(self) -> None:
        self.rows = self.missing = 0
        self.total = 0.0
        self.sums: dict[str, float] = {}

    def add(self, answer: Mapping[str, np.ndarray], *, observed: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Adds N rows: {figure: (N,)}."""
        rows, amount = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.total += float(amount.sum())
        for name, each in answer.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(amount @ np.where(rows, each, 0.0))

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a truth and weight."""
        if not self.rows:
            raise nothing_to_score(self.missing)
        means = {name: value / self.total for name, value in self.sums.items()}
        notes = {} if all(np.isfinite([*means.values()])) else {"all": SPOILT}
        found = figures(means, self.rows)
        if "near" in means and "diversity" not in found:
            notes["diversity"] = UNTOLD
        return TargetReport("drawn", found, self.rows, self.missing, notes=notes | troubles(found))
