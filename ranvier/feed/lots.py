"""Lots that decide what of a row is hidden: drawn, or made of the row itself."""

from __future__ import annotations

import torch
from torch import Tensor

ONE, OTHER = -4658895280553007687, -7723592293110705685  # of splitmix64, as int64


def fewest(lots: Tensor, mask: Tensor, share: float) -> Tensor:
    """(B, T) True at a share of each row's real elements, rounded, and one at least: those of the lowest lots."""
    length = mask.sum(1, keepdim=True)
    wanted = (length * share).round().clamp(min=1)
    rank = lots.masked_fill(~mask, torch.iinfo(lots.dtype).max).argsort(1).argsort(1)
    return (rank < wanted) & mask


def mixed(x: Tensor) -> Tensor:
    """int64 to int64, every bit hanging on all (the finaliser of splitmix64: Steele, Lea & Flood 2014)."""
    x = (x ^ right(x, 30)) * ONE
    x = (x ^ right(x, 27)) * OTHER
    return x ^ right(x, 31)


def right(x: Tensor, bits: int) -> Tensor:
    """Shifted to the right, zeros coming in."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
