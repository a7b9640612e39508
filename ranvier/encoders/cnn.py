"""Pictures through a residual convolutional network."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from torch import Tensor, nn

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.tokens import demand, settled
from ranvier.encoders.views import scaled, views_of
from ranvier.nets.activations import ActivationName
from ranvier.nets.cnn import Pooling, ResNet
from ranvier.nets.dropout import Dropout
from ranvier.nets.init import InitName
from ranvier.nets.norms import NormName
from ranvier.nets.pool import Missing

Auto = Literal["auto"]
COARSE = 4  # places to a side of the last map
FINE = 12  # places to a side of the first map, at least, where the picture has as many pixels
LAST = {"s": 128, "m": 256, "l": 512}  # channels of the last map
FIRST = 32  # channels of the first map, at least
STEPS = 32  # an epoch, at least
EPOCHS, MOST = 8, 60  # for 60,000 rows or more, and for few
LONGER = 2  # times as many epochs are worth their time, if time is given


class CNNEncoder(Encoder):
    """Pixels, uint8 (B, H, W, channels), through a residual network (`ranvier.nets.ResNet`), in all three views.

    widths: channels of each stage. depth: residual blocks in a stage. convolutions: in a block. patch: pixels to a side
    of the squares that the first convolution sees as one place. pool: how the last map becomes the vector; flatten puts
    all its places side by side before a linear map, so that it knows what stands where. dropout: of the vector.
    activation, norm, init, spatial_dropout, drop_path: see `ranvier.nets.ResNet`. With norm "batch" pixels are centred
    and scaled by statistics of the batches (running ones in evaluation), and rows see one another while training; with
    any other norm pixels are scaled to [-1, 1], and `splits` is True. Gives the vector (B, widths[-1]), as maps the
    picture itself and what each stage makes of it, and the places of the last map, row by row, as tokens. A missing
    picture gets a learned vector, in the last map at every place, and no part in statistics. Raises PlanError for a
    column of another kind.
    """

    splits = False  # batch norm, unless an instance has another
    carries = ("widths", "depth", "convolutions", "patch", "activation", "norm")
    views: ClassVar[frozenset[View]] = frozenset({"vector", "tokens", "maps"})

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        widths: list[int] | Auto = "auto",
        depth: int = 1,
        convolutions: int = 1,
        patch: int | Auto = "auto",
        pool: Pooling | Literal["flatten"] | Auto = "auto",
        activation: ActivationName = "relu",
        norm: NormName = "batch",
        init: InitName = "default",
        dropout: float = 0.0,
        spatial_dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        demand(type(self), spec, "pixels")
        options = settled(type(self), spec, widths=widths, patch=patch, pool=pool)
        self.width = options["widths"][-1]
        self.splits = norm != "batch"
        self.norm = None if self.splits else nn.BatchNorm2d(spec.size, affine=False)
        self.net = ResNet(
            spec.size,
            options["widths"],
            depth=depth,
            convolutions=convolutions,
            patch=options["patch"],
            pool="mean" if options["pool"] == "flatten" else options["pool"],
            activation=activation,
            norm=norm,
            init=init,
            spatial_dropout=spatial_dropout,
            drop_path=drop_path,
        )
        self.grids = ((spec.size, 1), *zip(options["widths"], self.net.strides, strict=True))
        self.flat: nn.Linear | None = None
        if options["pool"] == "flatten":
            places = math.prod(-(-int(side or 1) // self.net.strides[-1]) for side in spec.shape[:2])
            self.flat = nn.Linear(self.width * places, self.width)
        self.missing = Missing(self.width)
        self.dropout = Dropout(dropout)

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Pixels (B, H, W, channels) to the views asked for."""
        strides = [stride for _, stride in self.grids]
        return views_of(value, self._maps(value.data, value.observed), strides, needs, self._vector, self.missing)

    def _vector(self, last: Tensor) -> Tensor:
        return self.dropout(self.net.vector(last) if self.flat is None else self.flat(last.flatten(1)))

    def _maps(self, pixels: Tensor, observed: Tensor | None) -> list[Tensor]:
        """The picture and every stage's map; while training, missing ones take no part in the batches' statistics."""
        index = None if observed is None or not self.training else observed.nonzero()[:, 0]
        if index is None or len(index) < 2:  # batch norm needs two
            x = scaled(pixels) if self.norm is None else self.norm(pixels.permute(0, 3, 1, 2).float() / 255)
            return [x, *self.net.maps(x)]
        found = self._maps(pixels[index], None)
        return [m.new_zeros(len(pixels), *m.shape[1:]).index_copy(0, index, m) for m in found]

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The default for pictures."""
        return (0.9, "a residual convolutional network suits pictures") if spec.kind == "pixels" else (0.0, "")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """patch and widths, so that the grid goes from about 16 to 4 places a side, channels doubling meanwhile."""
        patch, widths, why = grid_of(spec, facts)
        return {
            "patch": (patch, why),
            "widths": (
                widths,
                f"size {facts.size}, halved {len(widths) - 1} times to a grid of about {COARSE} x {COARSE}",
            ),
            "pool": ("flatten", "to be given back, it has to be known what stands where")
            if facts.restores or facts.outcome == "pictures"
            else ("mean", "what is seen matters, not where"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Muon, which needs about two thirds of the epochs that SGD does, in bf16 where the hardware has it."""
        rows = f"{facts.rows:,} training rows"
        batch = next((b for b in (256, 128, 64) if facts.rows >= STEPS * b), 32)
        patient = f", at most {LONGER} times as many where a time limit cuts them" if facts.seconds else ""
        return {
            "optimizer": (
                {"name": "muon", "momentum": 0.9, "other_rate": 0.16},
                "kernels learn fastest by orthogonal steps, biases and norms by long ones",
            ),
            "rate": (0.05, "suits Muon with batch norm"),
            "decay": (0.01, "suits Muon with batch norm"),
            "batch": (batch, f"{rows}: at least {STEPS} steps an epoch"),
            "epochs": (_epochs(facts) * (LONGER if facts.seconds else 1), rows + patient),
            "schedule": ({"name": "linear", "warmup": 0.1, "final": 0.0}, "down to 0 by the last step"),
            "clip": (0.0, "orthogonal steps are of one size, whatever the gradient's"),
            "average": (0.0, "the schedule ends at 0"),
            "precision": ("bf16", "convolutions are faster in bf16"),
            "patience": (0, "the schedule is planned to its end"),
            "keep": ("last", "the schedule is planned to its end"),
        }


def grid_of(spec: Spec, facts: Facts) -> tuple[int, list[int], str]:
    """Pixels to a side of a place of the first map, the channels of each map down to the last, and why.

    Where masks or boxes are wanted, a place is 2 pixels to a side at most.
    """
    side = min(int(s or 1) for s in spec.shape)
    patch, most = 1, 2 if facts.places else 4
    while patch < most and side >= 2 * patch * FINE:
        patch *= 2
    longer = -(-max(int(s or 1) for s in spec.shape) // patch)
    stages = max(2, 1 + math.ceil(math.log2(max(1, longer / COARSE))))
    widths = [max(FIRST, LAST[facts.size] >> (stages - 1 - i)) for i in range(stages)]
    wanted = ", of which places are wanted" if facts.places else ""
    return patch, widths, f"pictures of {spec.shape[0]} x {spec.shape[1]} pixels{wanted}"


def _epochs(facts: Facts) -> int:
    """More passes where there are fewer rows, but fewer steps in all."""
    return round(min(MOST, max(EPOCHS, EPOCHS * (60_000 / max(1, facts.rows)) ** 0.5)))
