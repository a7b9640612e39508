"""The vector of a row as a cell for each field, and back."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.spec import STEP, Field


class Cells:
    """Fields of a row as whole numbers, a cell each: a category is its own, of a number there are about `most`.

    Cuts of a number are thinned out so that equal shares of the normal distribution, as which its values come, lie
    between them; a value of more than such a share keeps a cell to itself. What is missing is a cell too. sizes: how
    many cells each field has; ordered: whether they are in order.
    """

    def __init__(self, fields: tuple[Field, ...], most: int) -> None:
        self.fields = fields
        self.cuts = [None if field.cuts is None else _thinned(field.cuts, most) for field in fields]
        self.ordered = [cuts is not None for cuts in self.cuts]
        between = [0 if cuts is None else len(cuts) + 1 for cuts in self.cuts]
        self.sizes = [cells + len(field.on) for cells, field in zip(between, fields, strict=True)]

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F) to (B, D) int64, and (B, D) the nats of what no training row had the like of, 0 for all else.

        The row after n has a chance of 1 / (n + 1) to be below all of them, or above, as of a category as well, and
        1 / (1 + d) of that to be d spans outside. It has a cell too: the first or last of numbers, any of categories.
        """
        found, new = [], []
        for field, cuts, part in zip(self.fields, self.cuts, x.split([f.width for f in self.fields], 1), strict=True):
            yes = part[:, part.shape[1] - len(field.on) :] > part.new_tensor([*map(_middle, field.off, field.on)])
            if cuts is None:
                found.append(yes.int().argmax(1))
                new.append(~yes.any(1) * math.log1p(field.rows))
                continue
            cell = torch.bucketize(part[:, 0].contiguous(), part.new_tensor(cuts), right=True)
            found.append(torch.where(yes[:, 0], cell, len(cuts) + 1) if field.on else cell)
            first, last = field.within
            beyond = torch.maximum(first - part[:, 0], part[:, 0] - last) / STEP - 1
            new.append(torch.where(beyond > -0.5, math.log1p(field.rows) + beyond, 0.0))
        return torch.stack(found, 1), torch.stack(new, 1)

    def back(self, cells: Tensor, share: Tensor) -> Tensor:
        """(B, D) to (B, F); share: (B, D) between 0 and 1, how far up within its cell each number is."""
        parts = []
        for place, (field, cuts) in enumerate(zip(self.fields, self.cuts, strict=True)):
            cell, own = cells[:, place], share[:, place].double()
            if cuts is None:
                parts.append(_yes(field, cell[:, None] == torch.arange(len(field.on), device=cells.device)))
                continue
            ranks = torch.special.ndtr(own.new_tensor(cuts))
            edges = F.pad(F.pad(ranks, (1, 0), value=0.0), (0, 1), value=1.0)
            there = cell <= len(cuts)
            at = torch.where(there, cell, 0)
            rank = edges[at].lerp(edges[at + 1], own)
            number = torch.special.ndtri(rank).clamp(*field.within).float() * there
            parts.append(number[:, None])
            if field.on:
                parts.append(_yes(field, there[:, None]))
        return torch.cat(parts, 1)


def _middle(off: float, on: float) -> float:
    return (off + on) / 2


def _yes(field: Field, yes: Tensor) -> Tensor:
    """(B, len(on)) of a field's yes and no as the column gives them."""
    return torch.where(yes, torch.tensor(field.on, device=yes.device), torch.tensor(field.off, device=yes.device))


def _thinned(cuts: tuple[float, ...], most: int) -> np.ndarray:
    """float64 (K,) of the cuts between which shares nearly as even as can be lie, both of any larger share."""
    kept, normal = np.array(cuts), NormalDist()
    if len(kept) < most:
        return kept
    ranks = np.array([*map(normal.cdf, cuts)])
    above = np.searchsorted(ranks, np.arange(1, most) / most).clip(max=len(kept) - 1)
    heavy = np.flatnonzero(np.diff(ranks) >= 1 / most)
    return kept[np.unique(np.concatenate([above, heavy, heavy + 1]))]
