"""A parameter-efficient ensemble of MLPs for tables.

Gorishniy et al. 2024, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling"; the layer is that of
Wen et al. 2020, "BatchEnsemble".
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.dropout import Dropout
from ranvier.nets.parameters import stacked, unshrunk


class EnsembleLinear(nn.Module):
    """k linear layers that share one matrix: s_k * (W (r_k * x)) + b_k.

    start: the first r, "signs" (random +-1, so that members differ from the first step) or "ones".
    """

    def __init__(self, inputs: int, outputs: int, members: int, /, *, start: Literal["signs", "ones"] = "ones") -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        signs = torch.empty(members, inputs).random_(2).mul_(2).sub_(1)
        self.r = unshrunk(signs if start == "signs" else torch.ones(members, inputs))
        self.s = unshrunk(torch.ones(members, outputs))
        self.bias = unshrunk(torch.empty(members, outputs).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "b k_or_1 inputs"]) -> Float[Tensor, "b k outputs"]:
        """x: (B, 1, inputs), the same for all members, or (B, k, inputs)."""
        mapped = torch.nn.functional.linear(x * self.r, self.weight)
        if torch.is_grad_enabled():
            return mapped * self.s + self.bias
        return torch.addcmul(self.bias, mapped, self.s)  # in one pass; the same up to rounding


class MemberLinear(nn.Module):
    """k linear layers that share nothing: (B, k, inputs) to (B, k, outputs)."""

    def __init__(self, inputs: int, outputs: int, members: int, /) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = stacked(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = unshrunk(torch.empty(members, outputs).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "b k inputs"]) -> Float[Tensor, "b k outputs"]:
        """Each member by its own matrix."""
        return torch.einsum("bki,kio->bko", x, self.weight) + self.bias


class TabM(nn.Module):
    """k MLPs that share their matrices: `TabM(20, [128, 128], 3)` maps (B, 20) to (B, k, 3).

    outputs: the width of each member's own output layer; 0 leaves it out: then members end in scales of their own
    (so that one head may serve all of them), and `width` is that of the last hidden layer. activation: a gated one
    halves what the linear maps give, which are made twice as wide for it. skip: the input stands
    beside the last hidden layer, so that the outputs contain a linear model. Average probabilities, not logits.
    Raises ValueError for a width below 1.
    """

    def __init__(
        self,
        inputs: int,
        hidden: list[int],
        outputs: int,
        /,
        *,
        members: int = 16,
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        skip: bool = False,
    ) -> None:
        super().__init__()
        if inputs < 1 or not hidden or min(hidden) < 1 or outputs < 0 or members < 1:
            raise ValueError(
                f"widths must be 1 or more, with a hidden layer; got inputs {inputs}, hidden {hidden}, "
                f"outputs {outputs}, members {members}"
            )
        self.members = members
        self.skip = skip
        widths = [inputs, *hidden]
        self.layers = nn.ModuleList(
            EnsembleLinear(a, before(b, activation), members, start="ones" if i else "signs")
            for i, (a, b) in enumerate(zip(widths, hidden, strict=False))
        )
        self.activations = nn.ModuleList(make_activation(activation) for _ in hidden)
        self.dropout = Dropout(dropout)
        self.width = hidden[-1] + (inputs if skip else 0)
        if outputs > 0:
            self.output: nn.Module | None = MemberLinear(self.width, outputs, members)
            self.width = outputs
        else:
            self.output = None
            self.scale = unshrunk(torch.ones(members, self.width))

    def forward(self, x: Float[Tensor, "b inputs"]) -> Float[Tensor, "b k width"]:
        """(B, inputs) to (B, k, width)."""
        h = x[:, None]
        for layer, activation in zip(self.layers, self.activations, strict=True):
            h = self.dropout(activation(layer(h)))
        if self.skip:
            h = torch.cat([h, x[:, None].expand(-1, self.members, -1)], -1)
        return h * self.scale if self.output is None else self.output(h)
