"""Pictures through a ConvNeXt."""

from __future__ import annotations

from typing import ClassVar, Literal

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.cnn import grid_of
from ranvier.encoders.tokens import demand, settled
from ranvier.encoders.views import attending_recipe, scaled, views_of
from ranvier.nets.activations import ActivationName
from ranvier.nets.convnext import ConvNeXt
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import Missing

Auto = Literal["auto"]


class ConvNeXtEncoder(Encoder):
    """Pixels, uint8 (B, H, W, channels), through a ConvNeXt (`ranvier.nets.ConvNeXt`), in all three views.

    widths: channels of each stage. patch: pixels to a side of the squares that the first stage sees as one place.
    dropout: of the vector. depth, kernel, activation, ratio, layer_scale, drop_path: see `ranvier.nets.ConvNeXt`.
    Pixels are scaled to [-1, 1]; rows do not see one another. Gives the vector (B, widths[-1]), as maps the picture
    itself and what each stage makes of it, and the places of the last map, row by row, as tokens. A missing picture
    gets a learned vector, in the last map at every place. Raises PlanError for a column of another kind.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector", "tokens", "maps"})
    carries = ("widths", "depth", "patch", "kernel", "activation", "ratio", "layer_scale")

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        widths: list[int] | Auto = "auto",
        depth: int | Auto = "auto",
        patch: int | Auto = "auto",
        kernel: int = 7,
        activation: ActivationName = "gelu",
        ratio: float = 4.0,
        layer_scale: float = 1.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        demand(type(self), spec, "pixels")
        options = settled(type(self), spec, widths=widths, depth=depth, patch=patch)
        self.width = options["widths"][-1]
        self.net = ConvNeXt(
            spec.size,
            options["widths"],
            depth=options["depth"],
            patch=options["patch"],
            kernel=kernel,
            activation=activation,
            ratio=ratio,
            layer_scale=layer_scale,
            drop_path=drop_path,
        )
        self.grids = ((spec.size, 1), *zip(options["widths"], self.net.strides, strict=True))
        self.missing, self.dropout = Missing(self.width), Dropout(dropout)

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Pixels (B, H, W, channels) to the views asked for."""
        x = scaled(value.data)
        strides = [stride for _, stride in self.grids]
        maps = [x, *self.net.maps(x)]
        return views_of(value, maps, strides, needs, lambda last: self.dropout(self.net.vector(last)), self.missing)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves pictures; in as short a time the residual network learns more of few rows."""
        return (0.45, "wants many rows, and time") if spec.kind == "pixels" else (0.0, "")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """patch and widths as for the residual network, depth by the capacity dial."""
        patch, widths, why = grid_of(spec, facts)
        return {
            "patch": (patch, why),
            "widths": (widths, f"size {facts.size}, halved {len(widths) - 1} times"),
            "depth": ({"s": 1, "m": 2, "l": 3}[facts.size], f"size {facts.size}"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW with warm-up."""
        return attending_recipe(facts, rate=4e-3)
