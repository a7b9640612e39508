"""The last layer that the plain heads share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features
from ranvier.nets.dropout import Dropout

REFERRED = {"word": "words", "char": "text"}  # what a column is whose elements are counted so


class Output(nn.Module):
    """Dropout and a `quiet` layer from a features' vector (B, width) to (B, size).

    Raises PlanError for a dropout outside [0, 1).
    """

    def __init__(self, width: int, size: int, dropout: float) -> None:
        super().__init__()
        check_share("dropout", dropout)
        self.dropout = Dropout(dropout)
        self.linear = quiet(width, size)

    def forward(self, f: Features) -> Tensor:
        """(B, size)."""
        if f.vector is None:
            raise PlanError(
                "this head reads the view 'vector', which the features do not have; fuse or pool them first"
            )
        return self.linear(self.dropout(f.vector))

    def weights(self) -> Tensor:
        """(size, width + 1): the layer, its bias at the end."""
        return torch.cat([self.linear.weight, self.linear.bias[:, None]], 1)


def quiet(width: int, size: int) -> nn.Linear:
    """A linear layer that starts nearly silent.

    Weights are normal with deviation 0.1 / sqrt(width), so that for features of unit variance outputs deviate by 0.1
    and the first loss is that of knowing nothing (log C for C classes). Not exactly zero, or no gradient would reach
    the layers below at the first step.
    """
    layer = nn.Linear(width, size)
    nn.init.normal_(layer.weight, std=0.1 * max(width, 1) ** -0.5)
    nn.init.zeros_(layer.bias)
    return layer


def check_share(name: str, value: float) -> None:
    """Raises PlanError unless 0 <= value < 1."""
    if not 0.0 <= value < 1.0:
        raise PlanError(f"{name} = {value} must be at least 0 and below 1")


def by_member(loss: Callable[..., Tensor], members: int, *rows: Tensor | None) -> Tensor:
    """(B * members,) a loss for which rows see one another, each member's rows among themselves.

    rows: what the loss takes, (B * members, ...) each, a row's members adjacent: they are one row several times, which
    must not be told apart.
    """
    if members == 1:
        return loss(*rows)
    each = [loss(*(None if part is None else part[m::members] for part in rows)) for m in range(members)]
    return torch.stack(each, 1).flatten()


def present(y_data: Tensor, observed: Tensor | None) -> Tensor:
    """The target with zeros where it is missing, so that a filler such as not-a-number cannot spoil a sum: (B, ...)."""
    if observed is None:
        return y_data
    return torch.where(observed.view(-1, *[1] * (y_data.ndim - 1)), y_data, torch.zeros_like(y_data))


def _cure(unit: str, facts: Facts) -> str:
    first = next(iter(facts.units))
    return f"there is none: if {first!r} is one, say so: types={{{first!r}: {REFERRED.get(unit, unit)!r}}}"


def reference(head: str, unit: str, facts: Facts) -> tuple[str, str]:
    """The only input counted in such units, and why; "" where no inputs are known. Raises PlanError for several."""
    able = [name for name, its in facts.units.items() if its == unit]
    if facts.units and len(able) != 1:
        found = f"there are {', '.join(map(repr, able))}: name one as the head's `of`" if able else _cure(unit, facts)
        raise PlanError(f"head {head!r} refers to an input that is a column of {unit}s; {found}")
    return (able[0] if able else "", f"the only input of {unit}s")
