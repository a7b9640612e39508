"""Networks that a vector conditions, such as the level of noise and what is asked for, through scales and shifts."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.dropout import Dropout
from ranvier.nets.init import InitName, initialise
from ranvier.nets.norms import NormName, make_norm


class Fourier(nn.Module):
    """Waves of a number, sqrt(2) cos(2 pi f v) and sqrt(2) sin(2 pi f v) at width / 2 frequencies: (B,) to (B, width).

    The frequencies, in turns for each unit of v, do not learn. spacing "log": from `lowest` to `highest` in equal
    ratios (Vaswani et al. 2017, "Attention is all you need", sec. 3.5); "random": drawn from N(0, highest^2)
    (Tancik et al. 2020, "Fourier features let networks learn high frequency functions", arXiv:2006.10739, sec. 5).
    The mean square of what it gives is 1. Raises ValueError for a width that is not even and positive, or unless
    0 < lowest <= highest.
    """

    frequency: Tensor

    def __init__(
        self,
        width: int,
        /,
        *,
        spacing: Literal["log", "random"] = "log",
        lowest: float = 0.125,
        highest: float = 16.0,
    ) -> None:
        super().__init__()
        if width < 2 or width % 2 or not 0 < lowest <= highest:
            raise ValueError(f"expected an even width and 0 < lowest <= highest, got {width}, {lowest} and {highest}")
        if spacing == "log":
            last = max(width // 2 - 1, 1)
            frequency = torch.tensor([lowest * (highest / lowest) ** (place / last) for place in range(width // 2)])
        else:
            frequency = highest * torch.randn(width // 2)
        self.register_buffer("frequency", frequency)

    def forward(self, value: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """All cosines, then all sines."""
        angle = 2 * math.pi * value[:, None] * self.frequency
        return math.sqrt(2) * torch.cat([angle.cos(), angle.sin()], 1)


class Modulation(nn.Module):
    """x * (1 + scale) + shift, scale and shift of each feature being linear in a condition (B, D), and 0 at first.

    x: (B, width, ...). So the condition says nothing until it has learnt to. Source: Perez et al., "FiLM: visual
    reasoning with a general conditioning layer", arXiv:1709.07871, eq. 2.
    """

    def __init__(self, condition: int, width: int, /) -> None:
        super().__init__()
        self.linear = nn.Linear(condition, 2 * width)
        initialise(self.linear, "zero")

    def forward(self, x: Float[Tensor, "b c ..."], condition: Float[Tensor, "b d"]) -> Float[Tensor, "b c ..."]:
        """Each row by its own condition."""
        scale, shift = (part.view(*part.shape, *[1] * (x.ndim - 2)) for part in self.linear(condition).chunk(2, 1))
        return torch.addcmul(shift.to(x.dtype), x, 1 + scale.to(x.dtype))


class Condition(nn.Sequential):
    """The layer that all modulations of a net share, linear and activation: (B, condition) to (B, width).

    `width` is before the activation's halving, if it is gated.
    """

    def __init__(self, condition: int, width: int, /, *, activation: ActivationName = "silu") -> None:
        linear = initialise(nn.Linear(condition, before(width, activation)), "suited", activation)
        super().__init__(linear, make_activation(activation))


def check_condition(condition: Tensor | None, width: int) -> None:
    """Raises ValueError if a condition is given to a net that was made for none (width = 0), or the other way about."""
    if (condition is not None) != bool(width):
        got = "expected" if width else "not foreseen"
        raise ValueError(f"condition: {got}; this net was made with condition={width}")


class ConditionedBlock(nn.Module):
    """x + W2 f(W1 modulated(norm x)), of which W2 starts at zero: (B, width) to (B, width)."""

    def __init__(
        self,
        width: int,
        condition: int,
        /,
        *,
        ratio: float = 2.0,
        activation: ActivationName = "silu",
        norm: NormName = "layer",
        init: InitName = "default",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = max(round(width * ratio), 1)
        self.norm = make_norm(norm, width)
        self.modulation = Modulation(condition, width) if condition else None
        self.up = initialise(nn.Linear(width, before(hidden, activation)), init, activation)
        self.activation, self.dropout = make_activation(activation), Dropout(dropout)
        self.down = initialise(nn.Linear(hidden, width), "zero")

    def forward(self, x: Float[Tensor, "b d"], condition: Float[Tensor, "b c"] | None) -> Float[Tensor, "b d"]:
        """The condition is that which the net's `Condition` made."""
        y = self.norm(x)
        y = y if self.modulation is None or condition is None else self.modulation(y, condition)
        return x + self.down(self.dropout(self.activation(self.up(y))))


class ConditionedMLP(nn.Module):
    """Residual blocks over vectors that a condition scales and shifts: `ConditionedMLP(2, 64, condition=32)`.

    (B, inputs), with a condition (B, condition) if there is to be one, to (B, outputs), outputs = 0 meaning as many as
    inputs. A linear map to `width`, `depth` blocks (`ConditionedBlock`, hidden width ratio * width), a norm and a
    linear map, which starts at zero: so does the net's answer, and what the condition does to it. The condition may be
    several embeddings in sum or side by side; a hidden layer of `width` comes first. Nothing but zeros learns at the
    very first step; with condition = 0 it is a plain residual MLP. Raises ValueError for widths that are not positive.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int = 0,
        /,
        *,
        condition: int = 0,
        depth: int = 3,
        ratio: float = 2.0,
        activation: ActivationName = "silu",
        norm: NormName = "layer",
        init: InitName = "default",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(inputs, width, depth) < 1 or min(outputs, condition) < 0:
            got = f"{inputs}, {width}, {outputs}, depth {depth}, condition {condition}"
            raise ValueError(f"expected positive widths and depth, got {got}")
        self.width, self.conditions = outputs or inputs, condition
        self.condition = Condition(condition, width, activation=activation) if condition else None
        self.start = initialise(nn.Linear(inputs, width), init)
        self.blocks = nn.ModuleList(
            ConditionedBlock(
                width,
                width if condition else 0,
                ratio=ratio,
                activation=activation,
                norm=norm,
                init=init,
                dropout=dropout,
            )
            for _ in range(depth)
        )
        self.norm = make_norm(norm, width)
        self.out = nn.Linear(width, self.width)
        initialise(self.out, "zero")

    def forward(
        self, x: Float[Tensor, "b inputs"], condition: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b outputs"]:
        """Raises ValueError if a condition is given and none was foreseen, or the other way about."""
        return self.out(self.features(x, condition))

    def features(
        self, x: Float[Tensor, "b inputs"], condition: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b width"]:
        """What the last layer reads. Raises ValueError as a call does."""
        check_condition(condition, self.conditions)
        if self.condition is not None:
            condition = self.condition(condition)
        x = self.start(x)
        for block in self.blocks:
            x = block(x, condition)
        return self.norm(x)
