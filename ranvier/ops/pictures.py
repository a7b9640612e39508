"""Figures of predicted pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ranvier.core.protocols import Value
from ranvier.ops.streams import NO_ROWS, Spoilt, amounts

WHITE = 255.0


class Pictures:
    """Figures of predicted pictures, from {"pixels": (B, H, W, C), 0 to 255} and (B, H, W, C), over all pixels.

    mae = mean |y - p| and rmse = sqrt(mean (y - p)^2), of intensities between 0 and 1; psnr = -20 log10 rmse, the peak
    signal-to-noise ratio in decibels (of the mean error of all pictures), absent where there is no error.
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._sums: Tensor | None = None  # (3,): weight, absolute, squared error

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: pixels and y.data (B, H, W, C), weight (B,) or None for ones."""
        amount = amounts(y, weight, prediction["pixels"].device)
        seen = (amount > 0)[:, None]
        said = self.spoilt.add({"pixels": prediction["pixels"].flatten(1)}, amount)["pixels"].double()
        error = torch.where(seen, said - y.data.flatten(1).double(), 0.0) / WHITE
        sums = torch.stack([amount.sum(), amount @ error.abs().mean(1), amount @ error.square().mean(1)])
        self._sums = sums if self._sums is None else self._sums + sums

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        if self._sums is None or not self._sums[0] > 0:
            self.notes["all"] = NO_ROWS
            return {}
        total, absolute, squared = self._sums.tolist()
        figures = {"mae": absolute / total, "rmse": math.sqrt(squared / total)}
        if squared > 0:
            figures["psnr"] = -10 * math.log10(squared / total)
        else:
            self.notes["psnr"] = "there is no error at all"
        return self.spoilt.shown(figures, self.notes)
