"""Low-rank adaptation: what a trained linear map has learnt stays, and a product of two thin matrices is added."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 2.0  # alpha / r of the paper: its alpha as twice the rank


class LoRALinear(nn.Linear):
    """x -> W x + b + 2 U D x, with W (outputs, inputs) and b frozen, D (rank, inputs) random and U (outputs, rank) 0.

    So it begins as the map it was made of, whose names its weight and bias keep. Source: Hu et al. 2021, "LoRA:
    low-rank adaptation of large language models", arXiv:2106.09685, sec. 4.1. Raises ValueError for a rank below 1.
    """

    def __init__(self, linear: nn.Linear, rank: int, /) -> None:
        if rank < 1:
            raise ValueError(f"rank = {rank}: expected 1 or more")
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.weight.requires_grad_(False)
        if self.bias is not None:
            self.bias.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, self.in_features) * self.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(self.out_features, rank))

    def forward(self, input: Float[Tensor, "*b inputs"]) -> Float[Tensor, "*b outputs"]:
        """(..., inputs) to (..., outputs)."""
        return F.linear(input, self.weight, self.bias) + SCALE * F.linear(F.linear(input, self.down), self.up)


def adapt(net: nn.Module, names: Iterable[str], rank: int) -> int:
    """Puts a LoRALinear in the place of every linear layer within the net that has one of the names; how many."""
    wanted, found = set(names), 0
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if name in wanted and type(child) is nn.Linear:
                setattr(module, name, LoRALinear(child, rank))
                found += 1
    return found
