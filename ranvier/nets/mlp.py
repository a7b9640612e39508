"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["relu", "silu", "gelu", "tanh", "selu"]
Norm = Literal["none", "layer", "batch"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
}
NORMS: dict[str, Callable[[int], nn.Module]] = {"none": nn.Identity, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}


class Residual(nn.Module):
    """The input plus what a module makes of it; both have the same shape."""

    def __init__(self, module: nn.Module, /) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """x + module(x)."""
        return x + self.module(x)


class MLP(nn.Sequential):
    """Layers of linear, norm, activation and dropout, then a linear output: `MLP(784, [256], 10)`.

    inputs, outputs: widths; hidden: a width for each hidden layer, [] for a linear map. outputs = 0 leaves the
    output layer out, and `width` is that of the last hidden layer. residual: layers whose width equals that of the
    layer before add their input. norm "batch" needs a single batch axis. Raises ValueError for a width below 1.
    """

    def __init__(
        self,
        inputs: int,
        hidden: list[int],
        outputs: int,
        /,
        *,
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        if inputs < 1 or min(hidden, default=1) < 1 or outputs < 0:
            raise ValueError(f"widths must be 1 or more; got inputs {inputs}, hidden {hidden}, outputs {outputs}")
        layers: list[nn.Module] = []
        width = inputs
        for after in hidden:
            layer = nn.Sequential(nn.Linear(width, after), NORMS[norm](after), ACTIVATIONS[activation]())
            if dropout > 0:
                layer.append(nn.Dropout(dropout))
            layers.append(Residual(layer) if residual and after == width else layer)
            width = after
        if outputs > 0:
            layers.append(nn.Linear(width, outputs))
        super().__init__(*layers)
        self.width = outputs or width

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """(..., inputs) to (..., outputs)."""
        return super().forward(x)
