"""Pictures through a Transformer over patches, which gives maps."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.tokens import demand, settled
from ranvier.encoders.views import attending_recipe, scaled, views_of
from ranvier.nets.activations import ActivationName
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import Missing
from ranvier.nets.transformer import NormKind
from ranvier.nets.vit import Stem, ViT

Auto = Literal["auto"]
WIDTH, DEPTH = {"s": 64, "m": 128, "l": 256}, {"s": 4, "m": 6, "l": 8}
IN_HEAD = 32  # features of a head of attention


class ViTEncoder(Encoder):
    """Pixels, uint8 (B, H, W, channels), as patches that attend to one another (`ranvier.nets.ViT`), in all views.

    width: of tokens and vector, a multiple of heads and of 4. patch: pixels to a side. finer: how many maps, each of
    twice the height and width of the one before, are made of the patches' own for heads that see places, as far as the
    patch can be halved, by a transposed convolution each (Li, Mao, Girshick & He, "Exploring plain vision transformer
    backbones for object detection", arXiv:2203.16527, 3). dropout: on what enters and on what each block adds, and of
    the vector. depth, heads, stem, activation, ratio, norm, drop_path: see `ranvier.nets.ViT`. Pixels are scaled to
    [-1, 1]; rows do not see one another. Gives the vector (B, width), the patches as tokens, and as maps the picture
    itself, the finer ones and the patches at their places. A missing picture gets a learned vector, at every patch.
    Raises PlanError for a column of another kind.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector", "tokens", "maps"})
    carries = ("width", "depth", "heads", "patch", "stem", "activation", "ratio", "norm")

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        width: int | Auto = "auto",
        depth: int | Auto = "auto",
        heads: int | Auto = "auto",
        patch: int | Auto = "auto",
        stem: Stem = "convolution",
        finer: int | Auto = "auto",
        activation: ActivationName = "gelu",
        ratio: float = 4.0,
        norm: NormKind = "layer",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        demand(type(self), spec, "pixels")
        o = settled(type(self), spec, width=width, depth=depth, patch=patch, finer=finer)
        self.width = o["width"]
        self.net = ViT(
            spec.size,
            self.width,
            patch=o["patch"],
            depth=o["depth"],
            heads=max(1, self.width // IN_HEAD) if heads == "auto" else heads,
            stem=stem,
            activation=activation,
            ratio=ratio,
            norm=norm,
            dropout=dropout,
            drop_path=drop_path,
        )
        self.finer = nn.ModuleList()
        grids = [(self.width, o["patch"])]
        while len(self.finer) < o["finer"] and grids[0][1] % 2 == 0 and grids[0][1] > 2:
            channels, stride = grids[0]
            self.finer.append(nn.ConvTranspose2d(channels, channels // 2, 2, stride=2))
            grids.insert(0, (channels // 2, stride // 2))
        self.grids = ((spec.size, 1), *grids)
        self.missing, self.dropout = Missing(self.width), Dropout(dropout)

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Pixels (B, H, W, channels) to the views asked for."""
        x = scaled(value.data)
        maps = [self.net.map(x)]
        for grow in self.finer if "maps" in needs else ():
            maps.insert(0, nn.functional.gelu(grow(maps[0])))
        strides = [1, *(stride for _, stride in self.grids[-len(maps) :])]
        return views_of(
            value, [x, *maps], strides, needs, lambda last: self.dropout(self.net.vector(last)), self.missing
        )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves pictures; it needs more rows and time than convolutions to be as good."""
        return (0.42, "wants many rows, and time") if spec.kind == "pixels" else (0.0, "")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Width and depth by the size dial, the patch by the picture, finer maps where a head sees places."""
        width, side = WIDTH[facts.size], max(int(s or 1) for s in spec.shape[:2])
        patch = next((p for p, most in ((2, 12), (4, 40), (8, 136)) if side <= most), 16)
        return {
            "width": (width, f"size {facts.size}"),
            "depth": (DEPTH[facts.size], f"size {facts.size}"),
            "heads": (max(1, width // IN_HEAD), f"{IN_HEAD} features a head"),
            "patch": (patch, f"pictures of {side} pixels, {-(-side // patch)} patches a side"),
            "finer": (2, "masks and boxes are finer than patches") if facts.places else (0, "no head sees places"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW with warm-up, which attention needs."""
        return attending_recipe(facts, rate=2e-3)
