"""Figures of pictures learnt from without labels: views known again, hidden squares restored."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from ranvier.evaluate.score import TargetReport, amounts, nothing_to_score
from ranvier.ops.views import Views

SPOILT = "of some rows the network's answers are no numbers"


class ViewScores:
    """The figures of two views each, over rows that come a piece at a time."""

    def __init__(self) -> None:
        self.views, self.rows, self.missing = Views(), 0, 0

    def add(self, answer: Mapping[str, np.ndarray], *, observed: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Adds N rows: {"found", "cosine": (N,), "vector": (N, D)}."""
        rows, amount = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        found, cosine, vector = (torch.from_numpy(np.float32(answer[name])) for name in ("found", "cosine", "vector"))
        self.views.add(found, cosine, vector, torch.from_numpy(np.float32(amount)))

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a picture and weight."""
        if not self.rows:
            raise nothing_to_score(self.missing)
        figures = self.views.compute()
        notes = {} if all(map(math.isfinite, figures.values())) else {"all": SPOILT}
        return TargetReport("views", figures, self.rows, self.missing, notes=notes)


class SquareScores:
    """The figures of hidden squares that were restored, over rows that come a piece at a time."""

    def __init__(self) -> None:
        self.rows = self.missing = 0
        self.error = self.count = 0.0

    def add(self, answer: Mapping[str, np.ndarray], *, observed: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Adds N rows: {"error", "count": (N,)}, the squared errors of hidden intensities, and how many there are."""
        rows, amount = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.error += float(amount @ np.where(rows, answer["error"], 0.0))
        self.count += float(amount @ np.where(rows, answer["count"], 0.0))

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a picture and weight."""
        if not self.rows or not self.count:
            raise nothing_to_score(self.rows + self.missing)
        figures = {"rmse": math.sqrt(self.error / self.count) if math.isfinite(self.error) else math.nan}
        notes = {} if math.isfinite(self.error) else {"all": SPOILT}
        return TargetReport("squares", figures, self.rows, self.missing, notes=notes)
