"""Embeddings of numbers, for C columns side by side."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.parameters import stacked, unshrunk


def piecewise_linear(rank: Float[Tensor, "b c"], bins: int) -> Float[Tensor, "b c bins"]:
    """How far each of `bins` equal bins of [0, 1] is filled by the rank: 1 below it, 0 above it, linear within.

    If the rank is the interpolated quantile of a value, this is the piecewise-linear encoding of the value with
    quantile bins (Gorishniy et al. 2022, "On Embeddings for Numerical Features", equation 1).
    """
    edges = torch.arange(bins, device=rank.device, dtype=rank.dtype)
    return (rank[..., None] * bins - edges).clamp(0.0, 1.0)


class ColumnLinear(nn.Module):
    """A linear map of its own for each of C columns: (B, C, inputs) to (B, C, outputs)."""

    def __init__(self, columns: int, inputs: int, outputs: int, /, *, bias: bool = True, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1 / math.sqrt(inputs)
        self.weight = stacked(torch.empty(columns, inputs, outputs).uniform_(-bound, bound))
        self.bias = unshrunk(torch.empty(columns, outputs).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Float[Tensor, "b c inputs"]) -> Float[Tensor, "b c outputs"]:
        """Each column by its own matrix."""
        y = torch.einsum("bci,cio->bco", x, self.weight)
        return y if self.bias is None else y + self.bias


class PiecewiseLinear(nn.Module):
    """Piecewise-linear embeddings: a linear map, of its own for each column, of the filled bins (and of the value).

    The value's map starts at random and the bins' map at zero, so that training starts from a plain linear
    embedding (the "B" variant of Gorishniy et al. 2024, "TabM", appendix).
    """

    def __init__(self, columns: int, width: int, /, *, bins: int = 16, activation: ActivationName = "identity") -> None:
        super().__init__()
        self.bins = bins
        wide = before(width, activation)
        self.linear = ColumnLinear(columns, 1, wide)
        self.filled = ColumnLinear(columns, bins, wide, bias=False, zero=True)
        self.activation = make_activation(activation)

    def forward(self, value: Float[Tensor, "b c"], rank: Float[Tensor, "b c"]) -> Float[Tensor, "b c d"]:
        """value: scaled; rank: in [0, 1]."""
        return self.activation(self.linear(value[..., None]) + self.filled(piecewise_linear(rank, self.bins)))


class Periodic(nn.Module):
    """Periodic embeddings: sines and cosines of learned frequencies, a linear map shared by the columns, ReLU.

    scale: the standard deviation of the first frequencies, in turns per unit of value (Gorishniy et al. 2022,
    the "PLR(lite)" variant).
    """

    def __init__(self, columns: int, width: int, /, *, frequencies: int = 16, scale: float = 0.1) -> None:
        super().__init__()
        self.frequency = unshrunk((torch.randn(columns, frequencies) * scale).clamp(-3 * scale, 3 * scale))
        self.linear = nn.Linear(2 * frequencies, width)

    def forward(self, value: Float[Tensor, "b c"]) -> Float[Tensor, "b c d"]:
        """value: scaled."""
        angle = 2 * math.pi * value[..., None] * self.frequency
        return self.linear(torch.cat([angle.sin(), angle.cos()], -1)).relu()
