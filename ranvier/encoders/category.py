"""Categories to features: all category columns with equal options at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec


class CategoryEncoder(Encoder):
    """One-hot vectors for columns of few categories and learned embeddings for those of many: a vector.

    Takes integer codes (B, C) and observed (B, C), or (B,) and (B,) for a single column. A code equal to the
    column's size is a value not seen in training; it and a missing value have a place of their own in both forms, and
    in training codes are taken for unseen with probability `unseen`, which trains that place. Where the spec's unit
    is "order", a category holds all that lie below it (a thermometer), in both forms.

    one_hot: the largest size that is one-hot. embedding_width: of the others.
    """

    joins = True
    sizes: Tensor  # (C,)
    slot_column: Tensor  # (S,) the column that each place of the one-hot vector reads
    slot_low: Tensor  # (S,) the lowest code that fills it
    slot_high: Tensor  # (S,) the highest
    large: Tensor  # (L,) the columns that are embedded
    starts: Tensor  # (L,) where each one's rows of the table start
    first: Tensor  # (R,) for each row of the table, the first row of its column
    cumulative: Tensor  # (R,) whether the row sums up those before it

    def __init__(self, spec: Spec, /, *, one_hot: int = 64, embedding_width: int = 16, unseen: float = 0.01) -> None:
        super().__init__()
        parts = spec.parts or (spec,)
        self.columns, self.unseen = len(parts), unseen
        small = [i for i, part in enumerate(parts) if part.size <= one_hot]
        large = [i for i, part in enumerate(parts) if part.size > one_hot]
        self._keep("sizes", [part.size for part in parts])
        slots = [(i, low, high) for i in small for low, high in _slots(parts[i])]
        for name, column in zip(("slot_column", "slot_low", "slot_high"), zip(*slots, strict=True), strict=False):
            self._keep(name, list(column))
        self.slots = len(slots)
        starts = [0]
        for i in large:
            starts.append(starts[-1] + parts[i].size + 2)
        self._keep("large", large)
        self._keep("starts", starts[:-1])
        self.ordered = any(parts[i].unit == "order" for i in large)
        self._keep(
            "cumulative",
            [parts[i].unit == "order" and r < parts[i].size for i in large for r in range(parts[i].size + 2)],
        )
        self._keep("first", [s for s, i in zip(starts, large, strict=False) for _ in range(parts[i].size + 2)])
        self.table = nn.Parameter(torch.randn(starts[-1], embedding_width) * 0.3) if large else None
        self.width = self.slots + len(large) * embedding_width

    def _keep(self, name: str, values: list[int] | list[bool]) -> None:
        self.register_buffer(
            name, torch.tensor(values, dtype=torch.bool if name == "cumulative" else torch.long), False
        )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The one encoder of categories."""
        return (1.0, "categories") if spec.kind == "index" else (0.0, f"for categories, not for {spec.kind}")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Nothing to choose."""
        return {}

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """(B, C) codes to a vector."""
        rows = len(value.data)
        codes = value.data.reshape(rows, self.columns).long()
        if self.training and self.unseen > 0:
            codes = torch.where(torch.rand(codes.shape, device=codes.device) < self.unseen, self.sizes, codes)
        if value.observed is not None:
            codes = torch.where(value.observed.reshape(rows, self.columns), codes, self.sizes + 1)
        out = []
        if self.slots:
            at = codes[:, self.slot_column]
            out.append(((at >= self.slot_low) & (at <= self.slot_high)).float())
        if self.table is not None:
            embedded = self._rows()[codes[:, self.large] + self.starts]
            out.append(embedded.reshape(rows, -1))
        return Features(rows, vector=torch.cat(out, 1))

    def owners(self) -> list[int]:
        """First the places of all one-hot vectors, then the embeddings."""
        embedded = self.large.tolist()
        each = (self.width - self.slots) // max(1, len(embedded))
        small = self.slot_column.tolist() if self.slots else []
        return [*small, *(i for i in embedded for _ in range(each))]

    def _rows(self) -> Tensor:
        """The table, in which an ordered category's row is the sum of all rows up to it."""
        assert self.table is not None
        if not self.ordered:
            return self.table
        steps = self.table.cumsum(0)
        summed = steps - steps[self.first] + self.table[self.first]
        return torch.where(self.cumulative[:, None], summed, self.table)


def _slots(spec: Spec) -> list[tuple[int, int]]:
    """For each place of a one-hot vector the lowest and highest code that fill it."""
    last = spec.size - 1
    known = [(i, last) for i in range(1, spec.size)] if spec.unit == "order" else [(i, i) for i in range(spec.size)]
    return [*known, (spec.size, spec.size), (spec.size + 1, spec.size + 1)]
