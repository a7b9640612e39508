"""The multi-layer perceptron."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.dropout import Dropout
from ranvier.nets.init import InitName, initialise
from ranvier.nets.norms import NormName, make_norm


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
    output layer out, and `width` is that of the last hidden layer. activation: a gated one halves what the linear map
    gives, which is made twice as wide for it. init: of the weights, see `ranvier.nets.initialise`; the output layer's
    as before no activation. residual: layers whose width equals that of the layer before add their input. norm "batch"
    needs a single batch axis. Raises ValueError for a width below 1, PlanError for unknown names.
    """

    def __init__(
        self,
        inputs: int,
        hidden: list[int],
        outputs: int,
        /,
        *,
        activation: ActivationName = "relu",
        norm: NormName = "none",
        init: InitName = "suited",
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        if inputs < 1 or min(hidden, default=1) < 1 or outputs < 0:
            raise ValueError(f"widths must be 1 or more; got inputs {inputs}, hidden {hidden}, outputs {outputs}")
        layers: list[nn.Module] = []
        width = inputs
        for after in hidden:
            wide = before(after, activation)
            linear = initialise(nn.Linear(width, wide), init, activation)
            layer = nn.Sequential(linear, make_norm(norm, wide), make_activation(activation))
            if dropout > 0:
                layer.append(Dropout(dropout))
            layers.append(Residual(layer) if residual and after == width else layer)
            width = after
        if outputs > 0:
            layers.append(initialise(nn.Linear(width, outputs), init))
        super().__init__(*layers)
        self.width = outputs or width

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """(..., inputs) to (..., outputs)."""
        return super().forward(x)
