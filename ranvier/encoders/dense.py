"""Vectors and sets through linear layers."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.tokens import demand, settled
from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.dropout import Dropout
from ranvier.nets.norms import NormName, make_norm
from ranvier.nets.pool import Missing

Auto = Literal["auto"]


class DenseEncoder(Encoder):
    """A vector (B, D), or the marks of a set (B, size + 1), through linear layers to a vector (B, width).

    width: of the output. hidden: widths of layers before it, [] = one linear map. activation, dropout: of those layers.
    norm: of the output, so that inputs of any scale meet as equals when they are fused; with "batch" rows see one
    another while training (a missing one as zeros), and `splits` is False. A missing row gets a learned vector; an
    empty set is not missing. A set's labels that training never saw count for nothing, their weights starting at 0,
    unless labels left out as rare have taught otherwise. Raises PlanError for a column of another kind or of no known
    width.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector"})

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        width: int | Auto = "auto",
        hidden: list[int] = [],  # noqa: B006  (read only; an option's default is shown as it is)
        activation: ActivationName = "relu",
        norm: NormName = "layer",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        demand(type(self), spec, "vector", "khot")
        self.width = settled(type(self), spec, width=width)["width"]
        inputs = input_width(spec)
        self.marks = spec.kind == "khot"
        layers: list[nn.Module] = []
        for layer in hidden:
            linear = nn.Linear(inputs, before(layer, activation))
            layers += [linear, make_activation(activation), Dropout(dropout)]
            inputs = layer
        layers.append(nn.Linear(inputs, self.width))
        if norm != "none":
            layers.append(make_norm(norm, self.width))
        self.splits = norm != "batch"
        self.layers, self.missing = nn.Sequential(*layers), Missing(self.width)
        if self.marks:
            with torch.no_grad():
                next(layer for layer in layers if isinstance(layer, nn.Linear)).weight[:, spec.size :] = 0.0

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """(B, D) to the vector (B, width)."""
        x = value.data.float()
        if self.marks:  # whether there are labels never seen, not how many
            x = x.clamp(max=1.0)
        if value.observed is not None:  # a missing row's data may be anything, and nan times 0 is nan in the gradient
            x = x.masked_fill(~value.observed[:, None], 0)
        return Features(x.shape[0], self.missing(self.layers(x), value.observed))

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The choice for vectors and sets."""
        if spec.kind not in ("vector", "khot"):
            return 0.0, ""
        return 0.9, "linear layers take a whole vector at once"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """As wide as the input up to a limit by the size dial."""
        most = {"s": 64, "m": 128, "l": 256}[facts.size]
        inputs = input_width(spec)
        return {"width": (min(most, max(8, 8 * math.ceil(inputs / 8))), f"{inputs} inputs, size {facts.size}")}

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW as for tables."""
        reason = "linear layers on vectors"
        return {
            "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, reason),
            "rate": (1e-3, reason),
            "decay": (0.01, reason),
            "batch": (64 if facts.rows < 10_000 else 256, f"{facts.rows:,} training rows"),
            "epochs": (30 if facts.rows < 10_000 else 10, f"{facts.rows:,} training rows"),
            "schedule": ({"name": "cosine", "warmup": 0.05, "final": 0.0}, reason),
        }


def input_width(spec: Spec) -> int:
    """Numbers in a row of a vector or a set. Raises PlanError if the spec does not say."""
    width = spec.shape[0] if spec.shape else None
    if not width:
        raise PlanError(f"a {spec.kind} column must say how many numbers a row has; its spec is {spec}")
    return width
