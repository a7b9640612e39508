"""Figures of predicted pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.protocols import Value
from ranvier.ops.streams import NO_ROWS, Spoilt, amounts

WHITE = 255.0
REACH, SIGMA = 5, 1.5  # of the window of structural similarity: 11 pixels to a side
STABLE = ((0.01 * WHITE) ** 2, (0.03 * WHITE) ** 2)  # C1 and C2


class Pictures:
    """Figures of predicted pictures, from {"pixels": (B, H, W, C), 0 to 255} and (B, H, W, C), over all pixels.

    mae = mean |y - p| and rmse = sqrt(mean (y - p)^2), of intensities between 0 and 1; psnr = -20 log10 rmse, the peak
    signal-to-noise ratio in decibels (of the mean error of all pictures), absent where there is no error; ssim, the
    mean structural similarity of pictures of at least 11 pixels to a side (`structural_similarity`).
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._sums: Tensor | None = None  # (4,): weight, absolute and squared error, similarity

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: pixels and y.data (B, H, W, C), weight (B,) or None for ones."""
        amount = amounts(y, weight, prediction["pixels"].device)
        said = self.spoilt.add({"pixels": prediction["pixels"]}, amount)["pixels"].double()
        truth = y.data.double()
        error = torch.where((amount > 0)[:, None], (said - truth).flatten(1), 0.0) / WHITE
        parts = [amount.sum(), amount @ error.abs().mean(1), amount @ error.square().mean(1)]
        parts.append(amount @ _similar(said, truth, amount > 0))
        sums = torch.stack(parts)
        self._sums = sums if self._sums is None else self._sums + sums

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        if self._sums is None or not self._sums[0] > 0:
            self.notes["all"] = NO_ROWS
            return {}
        total, absolute, squared, similar = self._sums.tolist()
        figures = {"mae": absolute / total, "rmse": math.sqrt(squared / total)}
        if squared > 0:
            figures["psnr"] = -10 * math.log10(squared / total)
        else:
            self.notes["psnr"] = "there is no error at all"
        if math.isnan(similar):
            self.notes["ssim"] = f"pictures of less than {2 * REACH + 1} pixels to a side have none"
        else:
            figures["ssim"] = similar / total
        return self.spoilt.shown(figures, self.notes)


def structural_similarity(said: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """(B,) float64: how alike pictures of intensities 0 to 255 are, 1 = equal, the mean over places and channels.

    With means m, variances v and the covariance c under a Gaussian window (sigma 1.5, 11 x 11 pixels), at every place
    that it fits in, (2 m m' + C1) (2 c + C2) / ((m^2 + m'^2 + C1) (v + v' + C2)), C1 = (0.01 L)^2, C2 = (0.03 L)^2,
    L = 255. Raises ValueError for pictures of less than 11 pixels to a side. Source: Wang et al. 2004, "Image quality
    assessment: from error visibility to structural similarity", equation 13.
    """
    if min(said.shape[2:]) <= 2 * REACH:
        raise ValueError(f"expected pictures of {2 * REACH + 1} x {2 * REACH + 1} pixels or more, got {said.shape[2:]}")
    x, y = said.double(), truth.double()
    mean_x, mean_y, square_x, square_y, product = (_blurred(z) for z in (x, y, x * x, y * y, x * y))
    variance = square_x - mean_x.square() + square_y - mean_y.square()
    together = product - mean_x * mean_y
    one, two = STABLE
    above = (2 * mean_x * mean_y + one) * (2 * together + two)
    below = (mean_x.square() + mean_y.square() + one) * (variance + two)
    return (above / below).flatten(1).mean(1)


def _similar(said: Tensor, truth: Tensor, seen: Tensor) -> Tensor:
    """(B,) similarity of pictures (B, H, W, C), 0 of rows that are not seen; not-a-number where pictures are small."""
    if min(said.shape[1:3]) <= 2 * REACH:
        return said.new_full((len(said),), math.nan)
    found = structural_similarity(said.permute(0, 3, 1, 2), truth.permute(0, 3, 1, 2))
    return torch.where(seen, found, 0.0)


def _blurred(x: Tensor) -> Tensor:
    """Pictures (B, C, H, W) under the window, at the places that it fits in."""
    at = torch.arange(-REACH, REACH + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-at.square() / (2 * SIGMA**2))
    weights = weights / weights.sum()
    flat = F.conv2d(x.flatten(0, 1)[:, None], weights[None, None, :, None])
    return F.conv2d(flat, weights[None, None, None, :]).view(*x.shape[:2], *flat.shape[2:3], -1)
