"""From maps of several finenesses to as many that each know of the coarser ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.activations import ActivationName
from ranvier.nets.cnn import convolution
from ranvier.nets.norms import NormName


class FeaturePyramid(nn.Module):
    """Maps, finest first, to maps of `width` channels that also know what the coarser ones saw: Lin et al. 2017.

    `FeaturePyramid([32, 64, 128], 64)`: (B, 32, H, W), (B, 64, H/2, W/2), (B, 128, H/4, W/4), sides rounded up, to
    (B, 64, ...) each; a grid may be of any size, its coarser neighbour is brought to it. From the coarsest on, each map
    goes through a 1 x 1 convolution, what comes from the coarser one is added, and a 3 x 3 convolution follows, with
    norm and activation. Raises ValueError for numbers that are not positive. Source: arXiv:1612.03144, section 3.
    """

    def __init__(
        self, channels: Sequence[int], width: int, /, *, activation: ActivationName = "relu", norm: NormName = "batch"
    ) -> None:
        super().__init__()
        if not channels or min(*channels, width) < 1:
            raise ValueError(f"expected positive channels and width, got {list(channels)}, {width}")
        self.enter = nn.ModuleList(nn.Conv2d(each, width, 1) for each in channels)
        self.mix = nn.ModuleList(convolution(width, width, activation=activation, norm=norm) for _ in channels)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, channels, H, W), finest first, to (B, width, H, W) each."""
        found: list[Tensor] = []
        for each, enter, mix in reversed([*zip(maps, self.enter, self.mix, strict=True)]):
            x = enter(each)
            if found:
                x = x + F.interpolate(found[-1], x.shape[2:], mode="nearest")
            found.append(mix(x))
        return found[::-1]
