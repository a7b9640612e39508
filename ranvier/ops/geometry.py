"""Pictures, their masks and their boxes moved alike: affine maps of places.

A map (B, 2, 3) leads from each place (x, y) of what is made to the place in what is given that it shows, both in
[-1, 1] from the outer edge of the first pixel to that of the last: x right, y down.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

LEFT = 0.25  # of a box's area that has to stay in sight


def affine(tall: Tensor, wide: Tensor, down: Tensor, right: Tensor, angle: Tensor, ratio: float) -> Tensor:
    """The map (B, 2, 3) that shows a part, `tall` x `wide` of the whole, about (right, down), turned; each (B,).

    A negative `wide` mirrors it. angle: radians. ratio: the picture's height over its width, by which turns are round.
    """
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([cos * wide, -sin * tall * ratio, right], 1)
    along = torch.stack([sin * wide / ratio, cos * tall, down], 1)
    return torch.stack([across, along], 1)


def move_pixels(x: UInt8[Tensor, "b h w c"], places: Float[Tensor, "b 2 3"]) -> UInt8[Tensor, "b h w c"]:
    """Pictures sampled bilinearly, the edge repeated behind it."""
    planes = x.permute(0, 3, 1, 2).float().contiguous()
    found = F.grid_sample(planes, _grid(places, *x.shape[1:3]), "bilinear", "border", align_corners=False)
    return found.round_().to(x.dtype).permute(0, 2, 3, 1).contiguous()


def move_labels(x: UInt8[Tensor, "b h w"], places: Float[Tensor, "b 2 3"]) -> UInt8[Tensor, "b h w"]:
    """Labels of pixels, each that of the nearest place, the edge repeated behind it."""
    found = F.grid_sample(x[:, None].float(), _grid(places, *x.shape[1:]), "nearest", "border", align_corners=False)
    return found[:, 0].to(x.dtype)


def move_boxes(
    boxes: Float[Tensor, "b n 4"], places: Float[Tensor, "b 2 3"]
) -> tuple[Float[Tensor, "b n 4"], Bool[Tensor, "b n"]]:
    """Boxes (left, top, right, bottom; shares of the picture) where they are shown, and whether enough of each is.

    What is turned gets the smallest upright box around it; what lies beyond the picture is cut off, and a box of which
    less than a quarter is left is gone.
    """
    left, top, right, bottom = (2 * boxes - 1).unbind(2)
    corners = torch.stack(
        [torch.stack([left, right, left, right], 2), torch.stack([top, top, bottom, bottom], 2)], 1
    ).flatten(2)  # (B, 2, N * 4)
    shown = torch.linalg.solve(places[:, :, :2], corners - places[:, :, 2:]).unflatten(2, (-1, 4))
    shown = (shown + 1) / 2
    whole = torch.cat([shown.amin(3), shown.amax(3)], 1).mT  # (B, N, 4)
    kept = whole.clamp(0, 1)
    return kept, _area(kept) >= LEFT * _area(whole).clamp_min(1e-12)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _grid(places: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, 2) what each pixel's centre shows."""
    x, y = ((2 * torch.arange(n, device=places.device) + 1) / n - 1 for n in (width, height))
    across = places[:, None, None, :, 0] * x[:, None] + places[:, None, None, :, 2]
    return across + places[:, None, None, :, 1] * y[:, None, None]
