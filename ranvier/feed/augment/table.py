"""Numbers, categories, vectors and sets varied while training, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ranvier.core.column import Column
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Augment, Value
from ranvier.core.spec import Spec

REACH, FINE = 8, 64  # ranks are tabulated to so many deviations either way, so many points to a deviation


class GaussianNoise(Augment):
    """Numbers with noise: x + n, n normal with mean 0 and deviation `std` in the units of the scaled value.

    Takes scalars (B, 2), or joined ones (B, C, 2), and vectors (B, F). A scalar's rank moves along: to
    rank + F(x + n) - F(x), where F, from scaled value to rank, is tabulated through the column's own decode and encode;
    for the rank alone would give away the value as it was. Where the columns are not known, ranks stay. Missing values
    stay as they are. A pure function of the batch and its generator.

    Raises PlanError for a column of another kind, and for a deviation below 0. Source: Bishop 1995, "Training with
    noise is equivalent to Tikhonov regularization" (Neural Computation 7).
    """

    def __init__(self, spec: Spec, columns: Sequence[Column] = (), /, *, std: float = 0.1) -> None:
        if spec.kind not in ("scalar", "vector"):
            raise PlanError(f"GaussianNoise varies a column of kind scalar or vector, and this one is {spec.kind!r}")
        if std < 0:
            raise PlanError(f"std = {std}: expected 0 or more deviations of the column")
        self.std, self.scalar = std, spec.kind == "scalar"
        self.ranks = torch.stack([_ranks(column) for column in columns]) if self.scalar and columns else None

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves numbers, where asked for."""
        if spec.kind not in ("scalar", "vector"):
            return 0.0, f"noise is for numbers, not for {spec.kind}"
        return 0.3, "a measurement a little off says nearly the same"

    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value with noise on what is observed."""
        x = value.data[..., 0] if self.scalar else value.data
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype) * self.std
        if value.observed is not None:
            noise = noise.masked_fill(~_as_cells(value.observed, x), 0.0)
        if not self.scalar:
            return replace(value, data=x + noise)
        rank = value.data[..., 1]
        if self.ranks is not None:
            rank = (rank + (self._rank(x + noise) - self._rank(x))).clamp(0.0, 1.0)
        return replace(value, data=torch.stack([x + noise, rank], -1))

    def _rank(self, scaled: Tensor) -> Tensor:
        """The rank of scaled values, (B,) or (B, C), linear between the points of the table."""
        assert self.ranks is not None
        self.ranks = self.ranks.to(scaled.device)
        columns, points = self.ranks.shape
        place = ((scaled + REACH) * FINE).clamp(0, points - 1)
        low = place.long().clamp(max=points - 2)
        at = low + points * torch.arange(columns, device=scaled.device) if scaled.ndim == 2 else low
        table = self.ranks.flatten()
        return torch.lerp(table[at], table[at + 1], place - low)


class SwapNoise(Augment):
    """Values swapped for those of other rows: m x' + (1 - m) x, m = 1 with probability `chance` for each value apart,
    x' the same column's value in another row of the batch, every other row as likely.

    So a value stays likely by itself, whatever the column's distribution. Takes categories (B,) or joined ones (B, C),
    scalars (B, 2) or (B, C, 2), value and rank together, and vectors and sets (B, F), of which every element counts as
    a value. Where either is missing nothing is swapped, so missing values stay and none are made. A pure function of
    the batch and its generator.

    Raises PlanError for a column of another kind, and for a chance out of range. Sources: Vincent et al. 2008,
    "Extracting and composing robust features with denoising autoencoders" (ICML), for corruption at random; drawn from
    the column itself: Yoon et al. 2020, "VIME" (NeurIPS); Bahri et al. 2022, arXiv:2106.15147.
    """

    KINDS = ("index", "scalar", "vector", "khot")

    def __init__(self, spec: Spec, columns: Sequence[Column] = (), /, *, chance: float = 0.1) -> None:
        if spec.kind not in self.KINDS:
            raise PlanError(f"SwapNoise varies a column of kind {', '.join(self.KINDS)}, and this one is {spec.kind!r}")
        if not 0 <= chance <= 1:
            raise PlanError(f"chance = {chance}: expected a chance, 0 to 1")
        self.chance, self.scalar = chance, spec.kind == "scalar"

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves columns of tables, where asked for."""
        if spec.kind not in cls.KINDS:
            return 0.0, f"values are swapped in columns of a table, not in {spec.kind}"
        return 0.2, "no single value may decide"

    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value with some of its values from other rows; a batch of one row stays as it is."""
        x = value.data
        rows, cells = len(x), x.shape[:-1] if self.scalar else x.shape
        if rows < 2:
            return value
        swapped = torch.rand(cells, generator=generator, device=x.device) < self.chance
        further = torch.randint(1, rows, cells, generator=generator, device=x.device)
        other = (torch.arange(rows, device=x.device).view(-1, *[1] * (len(cells) - 1)) + further) % rows
        if value.observed is not None:
            seen = _as_cells(value.observed, swapped).expand(cells)
            swapped &= seen & seen.gather(0, other)
        if self.scalar:
            swapped, other = swapped[..., None], other[..., None].expand_as(x)
        return replace(value, data=torch.where(swapped, x.gather(0, other), x))


def _as_cells(observed: Tensor, cells: Tensor) -> Tensor:
    """observed (B,) or (B, C) with as many axes as the cells have."""
    return observed.view(*observed.shape, *[1] * (cells.ndim - observed.ndim))


def _ranks(column: Column) -> Tensor:
    """(2 * REACH * FINE + 1,) the rank of scaled values evenly spread over [-REACH, REACH]."""
    scaled = np.linspace(-REACH, REACH, 2 * REACH * FINE + 1)
    encoded = column.encode(column.decode({"value": scaled}).to_series(0))
    ranks = np.where(encoded.observed, encoded.data[:, 1], scaled > 0)  # beyond what the raw type holds: an end
    return torch.from_numpy(ranks.astype(np.float32))
