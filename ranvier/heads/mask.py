"""A picture to the class of each of its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value, View
from ranvier.core.spec import Given, Spec
from ranvier.heads.maps import WIDTH, grids_of
from ranvier.nets.activations import ActivationName
from ranvier.nets.norms import NormName
from ranvier.nets.pyramid import PixelDecoder
from ranvier.ops.segmentation import Masks, dice, pixel_cross_entropy

Auto = Literal["auto"]


class MaskHead(Head):
    """The maps of a picture's encoder to a class for each pixel, by a U-Net's upward half (`nets.PixelDecoder`).

    layer_width: channels of it. What is fused of all inputs is added to the coarsest map. The loss is the row's mean
    cross-entropy plus `dice` times its Dice loss (`ops.segmentation`), over pixels whose class is known, its count 1.
    of: the input that the mask is of, "" = the only picture. activation, norm: of all convolutions; with norm "batch"
    rows see one another while training. Raises PlanError for a column of another kind, and where no encoder, or more
    than one, gives maps.
    """

    welcomes: frozenset[View] = frozenset({"maps"})
    splits = False  # batch norm, unless an instance has another

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        given: Mapping[str, Given] | None = None,
        /,
        *,
        of: str = "",
        layer_width: int | Auto = "auto",
        dice: float = 1.0,
        activation: ActivationName = "relu",
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        if spec.kind != "mask":
            raise PlanError(f"the mask head needs a column of kind 'mask', not {spec.kind!r}")
        if dice < 0:
            raise PlanError(f"dice = {dice:g}: expected a weight of 0 or more")
        self.spec, self.dice, self.splits = spec, dice, norm != "batch"
        self.of, grids = grids_of(given or {}, of, "masks")
        self.net = PixelDecoder(
            grids,
            WIDTH["m"] if layer_width == "auto" else layer_width,
            spec.size,
            condition=width,
            size=tuple(int(side or 0) for side in spec.shape),
            activation=activation,
            norm=norm,
        )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "a class for each pixel") if spec.kind == "mask" else (0.0, "the column holds no masks")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Channels by the capacity dial."""
        return {"layer_width": (WIDTH[facts.size], f"size {facts.size}")}

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) mean cross-entropy over the pixels, and what Dice adds."""
        scores = self._scores(f)
        loss = pixel_cross_entropy(scores, y.data)
        return loss + self.dice * dice(scores, y.data) if self.dice else loss

    def predict(self, f: Features, **how: object) -> dict[str, Tensor]:
        """{"classes": (B, H, W) uint8, "confidence": (B,) the mean over pixels of the likeliest class' probability}."""
        best, classes = self._scores(f).softmax(1).max(1)
        return {"classes": classes.to(torch.uint8), "confidence": best.flatten(1).mean(1)}

    def metrics(self) -> Metrics:
        """Overlaps of the classes."""
        return Masks(list(self.spec.labels))

    def _scores(self, f: Features) -> Tensor:
        """(B, classes, H, W) float32, one class after another, which is what losses are fast with."""
        return self.net([m for m, _ in f.parts[self.of].maps], f.as_vector()).float().contiguous()
