"""From a vector to a picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.activations import ActivationName
from ranvier.nets.cnn import Residual, convolution
from ranvier.nets.init import InitName
from ranvier.nets.norms import NormName


class ConvDecoder(nn.Module):
    """A residual network upwards, `ConvDecoder(32, 1, (28, 28), [256, 128])`: (B, width) to (B, channels, H, W).

    A linear map makes the coarsest map, of widths[0] channels; each further stage doubles height and width by a
    convolution to four times its channels that are put side by side (Shi et al. 2016, "Real-time single image and
    video super-resolution", sec. 3), then come `depth` residual blocks of `convolutions` convolutions; the last map
    becomes squares of `patch` x `patch` pixels in the same way. What sticks out of the picture is cut off.

    size: height and width. widths: channels of each stage, coarsest first. activation, norm, init: of all convolutions
    but the last, see `nets.cnn.convolution`. The picture is that convolution's plain answer, of any size and sign.
    Raises ValueError for sizes that are not positive.
    """

    def __init__(
        self,
        width: int,
        channels: int,
        size: tuple[int, int],
        widths: list[int],
        /,
        *,
        depth: int = 1,
        convolutions: int = 1,
        patch: int = 2,
        activation: ActivationName = "relu",
        norm: NormName = "batch",
        init: InitName = "default",
    ) -> None:
        super().__init__()
        if min(width, channels, patch, *size, *widths, len(widths)) < 1:
            raise ValueError(f"expected positive numbers, got {width}, {channels}, {size}, {widths}, patch {patch}")
        self.patch, self.size = patch, size
        strides = [patch << i for i in reversed(range(len(widths)))]
        self.grids = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides]
        options: dict[str, Any] = {"activation": activation, "norm": norm, "init": init}
        self.start = nn.Linear(width, widths[0] * self.grids[0][0] * self.grids[0][1])
        self.up = nn.ModuleList(convolution(before, 4 * after, **options) for before, after in pairwise(widths))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(stage, convolutions, **options) for _ in range(depth))) for stage in widths
        )
        self.out = nn.Conv2d(widths[-1], channels * patch * patch, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        """The picture of each vector."""
        h, w = self.grids[0]
        maps = self.start(x).unflatten(1, (h, w, -1)).permute(0, 3, 1, 2)  # channels-last, as all else is
        maps = self.stages[0](maps)
        for up, stage, (h, w) in zip(self.up, self.stages[1:], self.grids[1:], strict=True):  # type: ignore[index]
            maps = stage(_spread(up(maps), 2)[:, :, :h, :w])
        return _spread(self.out(maps), self.patch)[:, :, : self.size[0], : self.size[1]]


def _spread(maps: Tensor, times: int) -> Tensor:
    """(B, C * times ** 2, H, W) to (B, C, H * times, W * times)."""
    return F.pixel_shuffle(maps, times).contiguous(memory_format=torch.channels_last)
