"""Numbers to features: all number columns with equal options at once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.nets.numeric import Periodic, PiecewiseLinear
from ranvier.nets.parameters import unshrunk

FEW_ROWS = 2_500  # below it plain scaled values did better than any embedding (bench of eight tables)
MANY_ROWS = 10_000


class NumberEncoder(Encoder):
    """Each number's scaled value, and if asked an embedding of it, side by side: vector (B, C * (1 + width)).

    Takes data (B, C, 2), [scaled value, rank], and observed (B, C); for a single column (B, 2) and (B,). Values are
    clipped smoothly: x / sqrt(1 + (x / clip)^2). A missing value is the median, plus a learned vector that
    starts at zero. embedding: "piecewise" (of value and rank), "periodic" (of the value) or "none"; bins: of the
    piecewise one. Built by hand, "auto" is "piecewise" of width 8 with 16 bins (Gorishniy et al. 2022).
    """

    joins = True

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        embedding: Literal["auto", "none", "piecewise", "periodic"] = "auto",
        embedding_width: int | Literal["auto"] = "auto",
        bins: int | Literal["auto"] = "auto",
        clip: float = 4.0,
    ) -> None:
        super().__init__()
        self.columns = len(spec.parts) or 1
        self.clip = clip
        each = 8 if embedding_width == "auto" else embedding_width
        self.embed: nn.Module | None = None
        if embedding in ("auto", "piecewise"):
            self.embed = PiecewiseLinear(self.columns, each, bins=16 if bins == "auto" else bins)
        elif embedding == "periodic":
            self.embed = Periodic(self.columns, each)
        per_column = 1 + (each if self.embed is not None else 0)
        self.missing = unshrunk(torch.zeros(self.columns, per_column))
        self.width = self.columns * per_column

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The one encoder of numbers."""
        return (1.0, "numbers") if spec.kind == "scalar" else (0.0, f"for numbers, not for {spec.kind}")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the number of rows: embeddings find steps and bumps, but on few rows they find noise."""
        if facts.rows < FEW_ROWS:
            why = f"{facts.rows:,} rows are too few to learn curves for each number"
            return {"embedding": ("none", why), "embedding_width": (8, why), "bins": (16, why)}
        width, bins = (16, 48) if facts.rows >= MANY_ROWS else (8, 16)
        return {
            "embedding": ("piecewise", "learns curves over quantiles"),
            "embedding_width": (width, f"{facts.rows:,} rows"),
            "bins": (bins, f"{facts.rows:,} rows"),
        }

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """(B, C, 2) to a vector."""
        rows = len(value.data)
        data = value.data.reshape(rows, self.columns, 2)
        scaled, rank = data[..., 0], data[..., 1]
        scaled = scaled * torch.rsqrt(1 + (scaled / self.clip) ** 2)
        out = scaled[..., None]
        if isinstance(self.embed, PiecewiseLinear):
            out = torch.cat([out, self.embed(scaled, rank)], -1)
        elif self.embed is not None:
            out = torch.cat([out, self.embed(scaled)], -1)
        if value.observed is not None:
            absent = (~value.observed.reshape(rows, self.columns)).to(out.dtype)
            out = out + absent[..., None] * self.missing
        vector: Tensor = out.reshape(rows, self.width)
        return Features(rows, vector=vector)

    def owners(self) -> list[int]:
        """The value and the embedding of each column stand together."""
        return [i for i in range(self.columns) for _ in range(self.width // self.columns)]
