"""Figures of a predicted vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.protocols import Value
from ranvier.ops.streams import NO_ROWS, Spoilt, amounts

TINY = torch.finfo(torch.float64).tiny
STILL = 1e-12  # of the mean: a smaller deviation is rounding


class Vectors:
    """Figures of a predicted vector, from {"value": (B, F)} and (B, F).

    mae = mean |y - p| and rmse = sqrt(mean (y - p)^2) are over all rows and elements, in the unit of what is given. r2:
    1 - sum w (y - p)^2 / sum w (y - mean)^2 of each element, averaged over the elements that vary (scikit-learn's
    uniform average). cosine_similarity: the mean over rows of the cosine of the angle between truth and prediction, 0
    where one of them is all zeros.

    Sums are kept for each element, (6, F), and batches joined by their means (Chan, Golub and LeVeque 1983,
    doi:10.1080/00031305.1983.10483115), so that large offsets lose nothing.
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._sums: Tensor | None = None  # (6, F): weight, mean, spread, absolute, squared errors, cosines

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: value (B, F), y.data (B, F), weight (B,) or None for ones."""
        amount = amounts(y, weight, prediction["value"].device)
        seen = (amount > 0)[:, None]
        value = torch.where(seen, self.spoilt.add({"value": prediction["value"]}, amount)["value"].double(), 0.0)
        truth = torch.where(seen, y.data.double(), 0.0)  # a missing truth may be not-a-number
        error = value - truth
        mean = amount @ truth / amount.sum().clamp_min(TINY)
        parts = [mean, amount @ (truth - mean).square(), amount @ error.abs(), amount @ error.square()]
        shared = [amount.sum(), amount @ F.cosine_similarity(value, truth, dim=1)]
        total, cosines = (part.expand_as(mean) for part in shared)
        sums = torch.stack([total, *parts, cosines])
        self._sums = sums if self._sums is None else _joined(self._sums, sums)

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        if self._sums is None or not self._sums[0, 0] > 0:
            self.notes["all"] = NO_ROWS
            return {}
        total, mean, spread, absolute, squared, cosines = self._sums.cpu()
        figures = {"mae": float((absolute / total).mean()), "rmse": float((squared / total).mean().sqrt())}
        varies = spread > total * (STILL * mean).square()
        if varies.any():
            figures["r2"] = float((1 - squared[varies] / spread[varies]).mean())
        if not varies.all():
            self.notes["r2"] = f"{int((~varies).sum()):,} of {len(varies):,} elements of the truth do not vary"
        figures["cosine_similarity"] = float((cosines / total)[0])
        return self.spoilt.shown(figures, self.notes)


def _joined(a: Tensor, b: Tensor) -> Tensor:
    """The sums of two sets of rows as those of both."""
    total = a[0] + b[0]
    share = b[0] / total.clamp_min(TINY)
    apart = b[1] - a[1]
    spread = a[2] + b[2] + apart.square() * a[0] * share
    return torch.stack([total, a[1] + share * apart, spread, *(a[3:] + b[3:])])
