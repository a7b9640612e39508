"""Activations as modules by name: torch's own where it has one; `ops/activations.py` has the formulas and sources."""

from __future__ import annotations

from typing import Annotated, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from ranvier.core.registry import lookup
from ranvier.core.schema import one_of
from ranvier.ops import activations

ActivationName = Annotated[str, one_of("activation")]


class Along(nn.Module):
    """An activation that works along one axis, the last unless told otherwise.

    gated: it halves the axis, so that the linear map before it is made twice as wide.
    """

    gated: ClassVar[bool] = False

    def __init__(self, axis: int = -1, /) -> None:
        super().__init__()
        self.axis = axis

    def extra_repr(self) -> str:
        """What printing shows in the brackets."""
        return f"{self.axis}"


class Softmax(Along):
    """exp(x_i) / sum_j exp(x_j) along the axis (`ops.activations.softmax`); (..., D) to the same."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Positive, and 1 in sum along the axis."""
        return activations.softmax(x, self.axis)


class GLU(Along):
    """a * sigmoid(b) of the halves a, b of the axis (`ops.activations.glu`); (..., 2 D) to (..., D)."""

    gated = True

    def forward(self, x: Float[Tensor, "*wide"]) -> Float[Tensor, "*half"]:
        """Half as wide."""
        return activations.glu(x, self.axis)


class SwiGLU(Along):
    """silu(a) * b of the halves a, b of the axis (`ops.activations.swiglu`); (..., 2 D) to (..., D)."""

    gated = True

    def forward(self, x: Float[Tensor, "*wide"]) -> Float[Tensor, "*half"]:
        """Half as wide."""
        return activations.swiglu(x, self.axis)


def make_activation(name: str, /, *, axis: int = -1) -> nn.Module:
    """The activation of that name as a module; axis: of the features, for those that work along one (1 for maps).

    Raises PlanError for an unknown name.
    """
    kind = lookup("activation", name)
    made: nn.Module = kind(axis) if issubclass(kind, Along) else kind()
    return made


def gated(name: str, /) -> bool:
    """Whether the activation halves the width, as GLUs do. Raises PlanError for an unknown name."""
    return bool(getattr(lookup("activation", name), "gated", False))


def before(width: int, name: str, /) -> int:
    """How wide the map before the activation must be for `width` features after it."""
    return 2 * width if gated(name) else width
