"""What each field of a row may be, told from any of the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.conditioned import ConditionedMLP

FINEST = 64.0  # waves over all cells of a field that are in order, at most


class FieldNet(nn.Module):
    """Cells of a row's fields, of which some are known, to scores of all cells: `FieldNet([3, 16], 256)`.

    sizes: how many cells each field has. ordered: whether they are in order, so that near ones begin alike, as waves of
    their place; else all begin apart. A known cell is looked up, a field that is not known has a vector of its own; all
    of them, `embedding` numbers for each field, side by side go through a residual MLP (`ConditionedMLP`), which a
    condition (B, condition) may scale and shift. Scores start at 0. What is not known is never read, so any order in
    which fields become known makes a density (Uria, Murray & Larochelle 2014, "A deep and tractable density
    estimator", arXiv:1310.1757, sec. 4). Raises ValueError for an odd embedding, or sizes that are not positive.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        width: int,
        /,
        *,
        ordered: Sequence[bool] = (),
        embedding: int = 64,
        condition: int = 0,
        depth: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if embedding < 2 or embedding % 2 or not sizes or min(sizes) < 1:
            raise ValueError(f"expected an even embedding and positive sizes, got {embedding} and {[*sizes]}")
        self.sizes = list(sizes)
        *self.starts, whole = accumulate((size + 1 for size in sizes), initial=0)
        self.cells = nn.Embedding(whole, embedding)
        for place, (first, size) in enumerate(zip(self.starts, sizes, strict=True)):
            if ordered and ordered[place] and not self.cells.weight.is_meta:  # whose form a file may only claim
                self.cells.weight.data[first : first + size] = _waves(size, embedding)
        inputs = len(sizes) * embedding
        self.body = ConditionedMLP(inputs, width, sum(sizes), condition=condition, depth=depth, dropout=dropout)

    def forward(
        self, cells: Int[Tensor, "b d"], known: Bool[Tensor, "b d"], condition: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b scores"]:
        """Scores of all cells, to be `split(net.sizes, 1)` into fields. Cells that are not known may hold anything."""
        return self.body(self._read(cells, known), condition)

    def of_field(
        self,
        place: int,
        cells: Int[Tensor, "b d"],
        known: Bool[Tensor, "b d"],
        condition: Float[Tensor, "b c"] | None = None,
    ) -> Float[Tensor, "b size"]:
        """The scores of one field alone, for which the last layer does not compute those of all others."""
        seen, last = self.body.features(self._read(cells, known), condition), self.body.out
        first = sum(self.sizes[:place])
        own = slice(first, first + self.sizes[place])
        return F.linear(seen, last.weight[own], last.bias[own])

    def _read(self, cells: Tensor, known: Tensor) -> Tensor:
        unknown, start = torch.tensor([self.sizes, self.starts], device=cells.device)
        return self.cells(torch.where(known, cells, unknown) + start).flatten(1)


def _waves(size: int, width: int) -> Tensor:
    """(size, width) of mean square 1: sines and cosines of the place of each of so many, from half a wave to FINEST."""
    place = (np.arange(size) + 0.5) / size  # without torch, which on the device "meta" would import its compiler
    angle = np.pi * place[:, None] * FINEST ** (np.arange(width // 2) / max(width // 2 - 1, 1))
    return torch.from_numpy(np.sqrt(2) * np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32))
