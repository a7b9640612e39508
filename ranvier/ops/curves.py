"""Areas under curves of scores that come batch by batch: exact while they are few, from histograms beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor

from ranvier.ops.ranking import area_under_precision, area_under_roc, cumulated

KEPT = 2**19  # scores kept as they are: at most 8 MB with truth and weight
CELLS = 2**19  # of all histograms together: 8 MB
BELOW, ABOVE = (
    40,
    24,
)  # octaves of p below 1/2, down to 2^-41, and of 1 - p above, down to 2^-25: one ulp of float32 at 1
OCTAVES = BELOW + ABOVE
FINEST = 10  # bits of an octave's bins
PIECE = 2**16  # scores binned at a time, so that they stay in the cache
HALF = 126  # the exponent of 0.5 in float32


@dataclass(frozen=True)
class Areas:
    """roc, precision: (K,) areas under the ROC and of average precision by column, not-a-number where undefined.

    roc_error, precision_error: (K,) how far off each is at most; 0 where it is exact.
    """

    roc: Tensor
    precision: Tensor
    roc_error: Tensor
    precision_error: Tensor


class Curves:
    """Each of K columns of scores in [0, 1], for its own class against all other rows.

    Up to `kept` scores are kept and ranked exactly. Beyond, they are counted in bins that are even in the size of p
    below 1/2 and of 1 - p above it: 2^m to an octave, so that scores share a bin only if their p (or 1 - p) differ by
    less than a 2^-m part of it, or are below 2^-41 (2^-25). m is 10 for one column (65,536 bins), 9 for ten, 6 for a
    hundred. Scores in one bin count as ties. The true order could only change pairs, or ranks, within bins, which
    bounds the error; the bound is computed from the counts and given with each area. Memory is fixed.
    """

    def __init__(self, columns: int, kept: int = KEPT) -> None:
        """columns: K >= 1. kept: scores (rows * K) up to which areas are exact."""
        self.columns, self.kept = columns, kept
        self.bits = min(max(int(math.log2(CELLS / (OCTAVES * columns))), 0), FINEST) if columns < CELLS else 0
        self.bins = OCTAVES << self.bits
        self.held = 0
        self._rows: list[tuple[Tensor, Tensor, Tensor]] = []
        self._all: Tensor | None = None  # (K * bins,) weight in each bin; None while scores are kept
        self._own: Tensor | None = None  # of it that of the column's own class

    @property
    def exact(self) -> bool:
        """Whether every score so far is kept."""
        return self._all is None

    def add(self, scores: Float[Tensor, "b k"], column: Integer[Tensor, " b"], amount: Float[Tensor, " b"]) -> None:
        """Adds rows: float32 scores (B, K), the column (B,) whose class the row is of (-1 for none), weights (B,)."""
        self.held += scores.numel()
        if self._all is None and self.held <= self.kept:
            self._rows.append((scores.clone(), column.to(torch.int32), amount.clone()))  # callers reuse their buffers
            return
        for kept in self._rows:
            self._count(*kept)
        self._rows.clear()
        self._count(scores, column, amount)

    def areas(self) -> Areas | None:
        """The areas by column; None if no row was added."""
        if self._all is not None and self._own is not None:
            return _binned(self._all.view(self.columns, -1).cpu(), self._own.view(self.columns, -1).cpu())
        return self._ranked() if self._rows else None

    def _ranked(self) -> Areas:
        scores, column, amount = (torch.cat(part).cpu() for part in zip(*self._rows, strict=True))
        rows = amount > 0
        scores, column, amount = scores[rows].T.contiguous(), column[rows], amount[rows]
        roc, precision = torch.full((2, self.columns), math.nan, dtype=torch.float64)
        for k in range(self.columns):
            own = column == k
            if not own.any():
                continue
            true, false = cumulated(scores[k], own, amount)  # sorted once, for sorting is all the cost
            precision[k] = area_under_precision(true, false)
            if not own.all():
                roc[k] = area_under_roc(true, false)
        nothing = torch.zeros_like(roc)
        return Areas(roc, precision, nothing, nothing)

    def _count(self, scores: Tensor, column: Tensor, amount: Tensor) -> None:
        if self._all is None or self._own is None:
            self._all, self._own = amount.new_zeros(2, self.columns * self.bins)
        rows = max(1, PIECE // self.columns)
        first = torch.arange(self.columns, device=scores.device) * self.bins
        for piece, of, weight in zip(scores.split(rows), column.split(rows), amount.split(rows), strict=True):
            cells = bins(piece, self.bits) + first
            self._all.scatter_add_(0, cells.flatten(), weight[:, None].expand(piece.shape).flatten())
            mine = cells.gather(1, of.long().clamp_min(0)[:, None])[:, 0]
            self._own.scatter_add_(0, mine, torch.where(of >= 0, weight, 0.0))


def bins(score: Float[Tensor, "*any"], bits: int) -> Integer[Tensor, "*any"]:
    """The bin of each float32 score in [0, 1], 0 to 64 * 2^bits - 1, rising with it. bits: 0 to 10.

    The bits of a positive float32, read as an integer, rise with it: their upper ones are exponent and first digits.
    """
    small = torch.minimum(score, 1 - score).contiguous().view(torch.int32) >> (23 - bits)
    from_half = (HALF << bits) - small.clamp((HALF - BELOW) << bits, HALF << bits)
    signed = torch.copysign(from_half.float(), score - 0.5)  # where() takes longer than all this
    return ((BELOW << bits) + signed).long().clamp(0, (OCTAVES << bits) - 1)


def _binned(everything: Shaped[Tensor, "k n"], own: Shaped[Tensor, "k n"]) -> Areas:
    """Areas from the weight of all rows and of the column's own in each bin, lowest scores first."""
    own, other = own.flip(1), (everything - own).clamp_min(0).flip(1)
    true, false = own.cumsum(1), other.cumsum(1)
    positive, negative = true[:, -1], false[:, -1]
    pairs = positive * negative
    # in a bin: half of its pairs may be won or lost; precision ends between that of the worst and of the best order
    roc_error = 0.5 * (own * other).sum(1) / pairs
    best = own * true / (true + false - other).clamp_min(1e-300)
    worst = own * (true - own) / (true - own + false).clamp_min(1e-300)
    precision = area_under_precision(true, false)
    ends = torch.stack([best.sum(1) / positive - precision, precision - worst.sum(1) / positive])
    roc = torch.where(pairs > 0, area_under_roc(true, false), math.nan)
    return Areas(roc, torch.where(positive > 0, precision, math.nan), roc_error, ends.amax(0))
