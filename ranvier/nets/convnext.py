"""A convolutional network made as a Transformer is, for pictures of any size.

Source: Liu, Mao, Wu, Feichtenhofer, Darrell & Xie, "A ConvNet for the 2020s", arXiv:2201.03545.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ranvier.nets.activations import ActivationName
from ranvier.nets.cnn import patches
from ranvier.nets.dropout import DropPath, rising
from ranvier.nets.norms import make_norm
from ranvier.nets.parameters import unshrunk
from ranvier.nets.transformer import FeedForward


class ConvNeXtBlock(nn.Module):
    """x + scale * feed-forward(norm(depthwise convolution of x)); (B, width, H, W) to the same.

    Places see their neighbours in the first step, channel by channel, and channels one another in the second, place by
    place. kernel: pixels to a side of what a place sees, an odd number. activation, ratio: see `nets.FeedForward`.
    layer_scale: of each channel, at first (Touvron et al., arXiv:2103.17239, eq. 6). drop_path: see `DropPath`.
    """

    def __init__(
        self,
        width: int,
        /,
        *,
        kernel: int = 7,
        activation: ActivationName = "gelu",
        ratio: float = 4.0,
        layer_scale: float = 1.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = make_norm("layer", width)
        self.feed = FeedForward(width, activation=activation, ratio=ratio)
        self.scale = unshrunk(torch.full((width,), layer_scale))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map with what was found added."""
        places = self.look(x).permute(0, 2, 3, 1)
        found = self.scale * self.feed(self.norm(places).flatten(1, 2)).view(places.shape)
        return x + self.drop_path(found.permute(0, 3, 1, 2))


class Stage(nn.Module):
    """Squares of `patch` x `patch` places as one, then blocks, normed before and after; a map of sides / patch."""

    def __init__(self, channels: int, width: int, patch: int, blocks: list[nn.Module], /) -> None:
        super().__init__()
        self.patch = patch
        self.enter = nn.Conv2d(channels * patch * patch, width, 1)
        self.norm_in = make_norm("layer", width)
        self.blocks = nn.Sequential(*blocks)
        self.norm = make_norm("layer", width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The coarser map."""
        x = _of_places(self.norm_in, self.enter(patches(x, self.patch)))
        return _of_places(self.norm, self.blocks(x))


class ConvNeXt(nn.Module):
    """Stages of depthwise convolutions and feed-forward networks, `ConvNeXt(3, [64, 128, 256], 10)`.

    The first stage sees squares of `patch` x `patch` pixels as one place; each further one has half the height and
    width. depth: blocks in a stage. kernel, activation, ratio, layer_scale: see `ConvNeXtBlock`. drop_path: the chance
    that the last block adds nothing to a row; earlier blocks' rise to it in a line. Each stage ends in a norm of every
    place's channels, so that its map may be read. The last map is averaged over places. Unlike the paper's, the
    feed-forward networks are without biases, weights start as PyTorch draws them, and layer_scale at 1: short trainings
    learnt more so.

    Pictures (B, in_channels, H, W), any H and W, to scores (B, outputs), or, with outputs = 0, to vectors
    (B, widths[-1]). `maps` gives every stage's map. Raises ValueError for numbers that are not positive, and an even
    kernel.
    """

    def __init__(
        self,
        in_channels: int,
        widths: list[int],
        outputs: int = 0,
        /,
        *,
        depth: int = 2,
        patch: int = 4,
        kernel: int = 7,
        activation: ActivationName = "gelu",
        ratio: float = 4.0,
        layer_scale: float = 1.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if min(in_channels, patch, depth, kernel, *widths, len(widths)) < 1 or kernel % 2 == 0 or ratio <= 0:
            raise ValueError(
                f"expected positive in_channels, widths, patch, depth and ratio, and an odd kernel, got {in_channels}, "
                f"{widths}, {patch}, {depth}, {ratio}, {kernel}"
            )
        if outputs < 0:
            raise ValueError(f"outputs = {outputs}: expected 0 or more")
        chances = iter(rising(drop_path, depth * len(widths)))
        options: dict[str, Any] = {
            "kernel": kernel,
            "activation": activation,
            "ratio": ratio,
            "layer_scale": layer_scale,
        }
        self.stages = nn.ModuleList()
        channels = in_channels
        for place, width in enumerate(widths):
            blocks: list[nn.Module] = [ConvNeXtBlock(width, drop_path=next(chances), **options) for _ in range(depth)]
            self.stages.append(Stage(channels, width, 2 if place else patch, blocks))
            channels = width
        self.width = channels
        self.out = nn.Linear(channels, outputs) if outputs else nn.Identity()
        self.strides = [patch << place for place in range(len(widths))]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """Each stage's map (B, width, ceil(H / stride), ceil(W / stride)), finest first; see `strides`."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def vector(self, last: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """The last map (B, C, H, W) averaged over places."""
        return last.permute(0, 2, 3, 1).flatten(1, 2).mean(1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Scores (B, outputs), or vectors (B, widths[-1]) with outputs = 0."""
        return self.out(self.vector(self.maps(x)[-1]))


def _of_places(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm over the channels of each place of (B, C, H, W)."""
    normed: Tensor = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return normed
