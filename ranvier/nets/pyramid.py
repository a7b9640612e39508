"""From maps of several finenesses to as many that each know of the coarser ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
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


class PixelDecoder(nn.Module):
    """From the maps of a picture to `outputs` numbers for each of its pixels: the upward half of a U-Net.

    grids: (channels, stride) of the maps, finest first; if the first is the picture itself (stride 1), a last
    convolution sees it beside what the others say. These become one of `width` channels that knows all
    (`FeaturePyramid`), each place of which says the numbers of all pixels in it. condition: width of a vector that is
    added to the coarsest map by a linear map, 0 = none; it says nothing at first, and no more does the last
    convolution. zoom: how many pixels to a side are said for each pixel of the picture (Shi et al. 2016,
    arXiv:1609.05158). size: of the answer, () = as the maps and the zoom have it; it is sampled bilinearly where it
    differs. Source: Ronneberger et al. 2015, arXiv:1505.04597.
    """

    def __init__(
        self,
        grids: Sequence[tuple[int, int]],
        width: int,
        outputs: int,
        /,
        *,
        condition: int = 0,
        zoom: int = 1,
        size: tuple[int, ...] = (),
        activation: ActivationName = "relu",
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        self.sees = grids[0][1] == 1 and len(grids) > 1
        coarser = list(grids[1:] if self.sees else grids)
        self.zoom, self.size = zoom, size
        self.side = coarser[0][1] * zoom  # pixels of the answer to a side of a place
        self.pyramid = FeaturePyramid([channels for channels, _ in coarser], width, activation=activation, norm=norm)
        self.condition = nn.Linear(condition, coarser[-1][0]) if condition else None
        self.out = nn.Conv2d(width, outputs * self.side**2, 1)
        self.sharpen = nn.Conv2d(grids[0][0] + outputs, outputs, 3, padding=1) if self.sees else None
        for quiet in (self.sharpen, self.condition):
            for parameter in () if quiet is None else quiet.parameters():
                nn.init.zeros_(parameter)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, maps: Sequence[Tensor], condition: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b outputs h w"]:
        """Maps (B, channels, H, W) as in `grids`."""
        x = list(maps[1:] if self.sees else maps)
        if self.condition is not None and condition is not None:
            x[-1] = x[-1] + self.condition(condition)[:, :, None, None]
        said = F.pixel_shuffle(self.out(self.pyramid(x)[0]), self.side)
        if self.sharpen is not None:
            picture = F.interpolate(maps[0], scale_factor=self.zoom) if self.zoom > 1 else maps[0]
            picture = picture.to(said.dtype)
            said = said[:, :, : picture.shape[2], : picture.shape[3]]
            said = said + self.sharpen(torch.cat([picture, said], 1))
        if self.size and tuple(said.shape[2:]) != self.size:
            said = F.interpolate(said.float(), self.size, mode="bilinear", align_corners=False, antialias=True)
        return said
