"""How well two views of one picture are known again: figures over rows that come a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ranvier.core.protocols import Value


class Views:
    """Streaming sums: {"found", "cosine", "spread"}; memory does not grow with rows.

    found: the share of rows whose other view is nearer than those of all other rows of their batch. cosine: the mean of
    the two views'. spread: 1 - |mean|^2 of the unit vectors, which is 0 where all rows are at one place (collapse) and
    1 where they lie all around (alignment and uniformity: Wang & Isola 2020, arXiv:2005.10242). No number without rows.
    """

    def __init__(self) -> None:
        self.total = self.found = self.cosine = 0.0
        self.vector: Tensor | None = None

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds rows: {"found", "cosine": (B,), "vector": (B, D)}; weight: (B,), 0 where there is no picture."""
        each = torch.ones(len(prediction["found"])) if weight is None else weight.float().cpu()
        found, cosine, vector = (prediction[name].float().cpu() for name in ("found", "cosine", "vector"))
        self.add(found, cosine, vector, each)

    def add(
        self,
        found: Float[Tensor, " n"],
        cosine: Float[Tensor, " n"],
        vector: Float[Tensor, "n d"],
        weight: Float[Tensor, " n"],
    ) -> None:
        """Adds rows by their weight; of rows of weight 0 nothing is taken."""
        kept = weight > 0
        found, cosine, vector, weight = found[kept], cosine[kept], vector[kept], weight[kept]
        self.total += float(weight.sum())
        self.found += float(weight @ found)
        self.cosine += float(weight @ cosine)
        summed = weight.double() @ vector.double()
        self.vector = summed if self.vector is None else self.vector + summed

    def compute(self) -> dict[str, float]:
        """The figures over all rows so far."""
        if not self.total or self.vector is None:
            return dict.fromkeys(("found", "cosine", "spread"), math.nan)
        spread = 1 - float((self.vector / self.total).square().sum())
        return {"found": self.found / self.total, "cosine": self.cosine / self.total, "spread": max(0.0, spread)}
