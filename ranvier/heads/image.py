"""One picture per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Value, View
from ranvier.core.spec import Given, Spec
from ranvier.nets.activations import ActivationName
from ranvier.nets.norms import NormName
from ranvier.nets.pyramid import PixelDecoder
from ranvier.nets.upsample import ConvDecoder

Auto = Literal["auto"]
LAST = {"s": 32, "m": 64, "l": 128}  # channels of the finest map
MOST = 512  # channels of the coarsest
QUIET = 0.01  # of the usual first weights of what is added to a picture
COARSE = 8  # places to a side of the coarsest map, at most


class ImageHead(Head):
    """What is given to pixels (B, H, W, channels): a vector by convolutions upwards, a picture place by place.

    Where the encoder of a single picture gives maps, and no code stands between, each pixel is made of what is seen
    about its place (`nets.PixelDecoder`, of `layer_width` channels), and what is fused of all inputs is added to the
    coarsest map; else, or with beside = False, the fused vector (B, width) becomes the picture (`nets.ConvDecoder`).
    residual: what the network says is added to the picture that is given (Zhang et al. 2017, arXiv:1608.03981, eq. 1,
    with the sign turned), brought to the size asked for by bicubic interpolation, a grey one being all channels, and
    one in colours, where grey is asked for, their mean; not for loss bernoulli, nor where channels differ otherwise.
    zoom: pixels to a side said for each pixel of that picture, 0 = as many as the size asked for needs.

    loss, summed over the pixels, of intensities between 0 and 1: squared_error predicts their mean, absolute_error
    their median (sharper), bernoulli takes each for the chance of a white point (nats). Of a ConvDecoder, widths:
    channels of each stage, coarsest first; depth: residual blocks in a stage; patch: pixels to a side of the squares
    that the last map becomes. activation, norm: of all convolutions; with norm "batch" rows see one another while
    training. Raises PlanError for a column of another kind.
    """

    averages = True
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
        beside: bool = True,
        residual: bool = True,
        zoom: int = 0,
        layer_width: int | Auto = "auto",
        loss: Literal["squared_error", "absolute_error", "bernoulli"] = "squared_error",
        widths: list[int] | Auto = "auto",
        depth: int = 1,
        patch: int | Auto = "auto",
        activation: ActivationName = "relu",
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        if spec.kind != "pixels":
            raise PlanError(f"the image head needs a column of kind 'pixels', not {spec.kind!r}")
        if zoom < 0:
            raise PlanError(f"zoom = {zoom}: expected 0 or more pixels")
        chosen = self.choose(spec, Facts(rows=10_000))
        self.kind, self.splits = loss, norm != "batch"
        size = (int(spec.shape[0] or 0), int(spec.shape[1] or 0))
        seen = {name: each.maps for name, each in (given or {}).items() if each.maps}
        self.of = next(iter(seen)) if beside and len(seen) == 1 else ""
        self.size, self.channels = size, spec.size
        self.base = residual and loss != "bernoulli" and bool(self.of) and _agree(seen[self.of][0][0], spec.size)
        self.net: PixelDecoder | ConvDecoder
        if self.of:
            inner = chosen["layer_width"][0] if layer_width == "auto" else layer_width
            assert given is not None
            self.net = PixelDecoder(
                seen[self.of],
                inner,
                spec.size,
                condition=width,
                zoom=zoom or _zoom(given[self.of].shape, size),
                size=size,
                activation=activation,
                norm=norm,
            )
            if self.base:  # what is added begins small, so that training sets out from the picture given
                for first in self.net.out.parameters():
                    first.data.mul_(QUIET)
            _set_apart(self.net)
        else:
            self.welcomes = frozenset()
            self.net = ConvDecoder(
                width,
                spec.size,
                size,
                chosen["widths"][0] if widths == "auto" else widths,
                depth=depth,
                patch=chosen["patch"][0] if patch == "auto" else patch,
                activation=activation,
                norm=norm,
            )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The choice for pictures from inputs."""
        if spec.kind != "pixels":
            return 0.0, "the column holds no pictures"
        if not facts.inputs:
            return 0.0, "there is nothing to make it from; 'vae', 'gan' and 'diffusion' draw"
        if facts.given or "pixel" in facts.units.values():
            return 1.0, "a picture for each row, from a picture"
        return 0.3, "the mean of all pictures that fit"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """patch and widths, so that the grid goes from at most 8 places a side to half the picture's or less."""
        side = max(int(s or 1) for s in spec.shape[:2])
        patch = 2 if side <= 64 else 4
        stages = 1
        while -(-side // (patch << (stages - 1))) > COARSE:
            stages += 1
        widths = [min(MOST, LAST[facts.size] << (stages - 1 - i)) for i in range(stages)]
        shown = f"pictures of {spec.shape[0]} x {spec.shape[1]} pixels"
        return {
            "layer_width": (LAST[facts.size], f"size {facts.size}"),
            "patch": (patch, shown),
            "widths": (widths, f"size {facts.size}, {shown}, doubled {stages - 1} times"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW at a high rate, down to 0; many passes, for every pixel is to be learnt."""
        rows = f"{facts.rows:,} training rows"
        return {
            "optimizer": ("adamw", "gradients of pictures are of one size"),
            "rate": (2e-3, "suits batch norm"),
            "decay": (1e-4, "pictures are not overfitted soon"),
            "batch": (128 if facts.rows >= 4_000 else 32, rows),
            "epochs": (float(min(100, max(20, round(20 * (60_000 / max(1, facts.rows)) ** 0.5)))), rows),
            "schedule": ({"name": "cosine", "warmup": 0.05, "final": 0.0}, "ends at rest"),
            "clip": (1.0, "keeps a stray batch from spoiling the weights"),
            "precision": ("bf16", "convolutions are faster in bf16"),
            "keep": ("best", "the weights that did best on the validation rows"),
        }

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the loss asked for, summed over the picture's pixels."""
        said, truth = self._said(f).float(), intensities(y.data)
        if self.kind == "bernoulli":
            each = F.binary_cross_entropy_with_logits(said, truth, reduction="none")
        elif self.kind == "absolute_error":
            each = (said - truth).abs()
        else:
            each = (said - truth).square()
        return each.flatten(1).sum(1)

    def predict(self, f: Features, **how: object) -> dict[str, Tensor]:
        """{"pixels": (B, H, W, channels) float32, 0 to 255}."""
        said = self._said(f).float()
        shown = said.sigmoid() if self.kind == "bernoulli" else said.clamp(0, 1)
        return {"pixels": shown.permute(0, 2, 3, 1) * 255}

    def _said(self, f: Features) -> Tensor:
        """(B, channels, H, W): intensities, or their logits; at first about the picture given, or the middle."""
        vector = f.as_vector()
        if not self.of:
            return self.net(vector) + (0.0 if self.kind == "bernoulli" else 0.5)
        own = f.parts[self.of]
        said = self.net([m for m, _ in own.maps], vector)
        if self.base:
            assert own.picture is not None  # stands beside maps
            return said + as_asked(own.picture, self.channels, self.size)
        return said + (0.0 if self.kind == "bernoulli" else 0.5)


def as_asked(picture: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Intensities (B, C, H, W), C or `channels` being 1 or both equal, to (B, channels, *size), by bicubic sampling."""
    if picture.shape[1] != channels:
        picture = picture.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    if tuple(picture.shape[2:]) != size:
        picture = F.interpolate(picture, size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
    return picture


def _agree(given: int, asked: int) -> bool:
    """Whether a picture of so many channels can stand for one of as many as asked."""
    return given == asked or 1 in (given, asked)


def _set_apart(net: PixelDecoder) -> None:
    """Marks what is seen of the picture itself as no weights to compare others with, nor to shrink.

    It begins at 0 and stands beside the pixels, so that its gradient is far larger than all others from the first step
    on; that they vanish would be told of every such network.
    """
    for parameter in () if net.sharpen is None else net.sharpen.parameters():
        parameter.no_decay = True  # type: ignore[attr-defined]


def _zoom(given: tuple[int | None, ...], asked: tuple[int, int]) -> int:
    """How many times larger than the picture given that asked for is, rounded up, at least 1."""
    return max((-(-want // have) for want, have in zip(asked, given[:2], strict=False) if have), default=1)


def intensities(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, C) to (B, C, H, W) between 0 and 1."""
    return pixels.permute(0, 3, 1, 2).float() / 255
