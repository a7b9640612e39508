"""A residual convolutional network for pictures of any size."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.dropout import DropPath, SpatialDropout, rising
from ranvier.nets.init import InitName, initialise
from ranvier.nets.norms import NormName, make_norm

Pooling = Literal["mean", "max"]


def convolution(
    channels: int,
    width: int,
    kernel: int = 3,
    *,
    activation: ActivationName = "relu",
    norm: NormName = "batch",
    init: InitName = "default",
    spatial_dropout: float = 0.0,
) -> nn.Sequential:
    """Convolution, norm, activation, dropout of channels: (B, channels, H, W) to (B, width, H, W).

    The convolution has a bias only where the norm has no shift. Before a gated activation it is twice as wide.
    """
    wide = before(width, activation)
    made = nn.Conv2d(channels, wide, kernel, padding=kernel // 2, bias=norm in ("none", "rms"))
    initialise(made, init, activation)
    layers = nn.Sequential(made, make_norm(norm, wide, maps=True), make_activation(activation, axis=1))
    return layers.append(SpatialDropout(spatial_dropout)) if spatial_dropout else layers


class Residual(nn.Module):
    """x + f(x), f being `convolutions` times `convolution` with these `options`; (B, width, H, W) to the same.

    The identity path is never cut (He et al. 2016, "Identity mappings in deep residual networks"). drop_path: the
    chance that f adds nothing to a row, see `DropPath`.
    """

    def __init__(self, width: int, convolutions: int = 1, *, drop_path: float = 0.0, **options: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(*(convolution(width, width, **options) for _ in range(convolutions)))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The picture with what the convolutions found added."""
        return x + self.drop_path(self.body(x))


class ResNet(nn.Module):
    """A small residual network, `ResNet(1, [64, 128, 256], 10)`, that goes down to a coarse grid at once, to be fast.

    Squares of `patch` x `patch` pixels become channels (Shi et al. 2016, "pixel shuffle", backwards), so that the first
    3 x 3 convolution already works on the coarser grid; then one stage for each of `widths`, which are halved in
    height and width by max pooling before all stages but the first; in each, a convolution to the stage's width and
    `depth` residual blocks of `convolutions` convolutions. The last map is averaged over places.

    activation, norm, init: of all convolutions, see `convolution`. With norm "batch" rows see one another while
    training. spatial_dropout: the chance that a channel of what a convolution gives vanishes. drop_path: the chance
    that the last residual block adds nothing to a row; earlier blocks' rise to it in a line (`DropPath`).

    Pictures (B, in_channels, H, W), any H and W, to scores (B, outputs), or, with outputs = 0, to vectors (B, width).
    Tensors are kept channels-last, which is what convolutions are fast with. `maps` gives every stage's map.
    """

    def __init__(
        self,
        in_channels: int,
        widths: list[int],
        outputs: int = 0,
        /,
        *,
        depth: int = 1,
        convolutions: int = 1,
        patch: int = 2,
        pool: Pooling = "mean",
        activation: ActivationName = "relu",
        norm: NormName = "batch",
        init: InitName = "default",
        spatial_dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if min(in_channels, patch, *widths, len(widths)) < 1:
            raise ValueError(f"expected positive in_channels, widths and patch, got {in_channels}, {widths}, {patch}")
        self.patch, self.pool = patch, pool
        stages, channels = [], in_channels * patch * patch
        options: dict[str, Any] = {
            "activation": activation,
            "norm": norm,
            "init": init,
            "spatial_dropout": spatial_dropout,
        }
        chances = iter(rising(drop_path, depth * len(widths)))
        for width in widths:
            first = convolution(channels, width, **options)
            blocks = (Residual(width, convolutions, drop_path=next(chances), **options) for _ in range(depth))
            stages.append(nn.Sequential(first, *blocks))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.width = channels
        self.out = nn.Linear(channels, outputs) if outputs else nn.Identity()
        self.strides = [patch << i for i in range(len(widths))]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """Each stage's map (B, width, ceil(H / stride), ceil(W / stride)), finest first; see `strides`."""
        found = []
        for i, stage in enumerate(self.stages):
            x = stage(patches(x, self.patch) if i == 0 else F.max_pool2d(x, 2, ceil_mode=True))
            found.append(x)
        return found

    def vector(self, last: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """The last map (B, C, H, W) pooled over places."""
        places = last.permute(0, 2, 3, 1).flatten(1, 2)  # so that gradients come back channels-last, as all else is
        return places.mean(1) if self.pool == "mean" else places.amax(1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Scores (B, outputs), or vectors (B, widths[-1]) with outputs = 0."""
        return self.out(self.vector(self.maps(x)[-1]))


def patches(x: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b d i j"]:
    """Squares of pixels as channels: (B, C, H, W) to (B, C * patch ** 2, ceil(H / patch), ceil(W / patch)).

    Where squares go over an edge its pixels are repeated. The answer is channels-last.
    """
    down, right = -x.shape[2] % patch, -x.shape[3] % patch
    if down or right:
        x = F.pad(x, (0, right, 0, down), mode="replicate")
    return F.pixel_unshuffle(x, patch).contiguous(memory_format=torch.channels_last)
