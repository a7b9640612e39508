"""Pictures varied while training, a whole batch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ranvier.core.column import Column
from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Augment, Value
from ranvier.core.spec import Spec
from ranvier.ops.geometry import affine, move_boxes, move_labels, move_pixels

Auto = Literal["auto"]
LARGEST = 0.5  # of an erased box's side, as a share of the picture's
STRETCH = 4 / 3  # most that a crop is wider or taller than the picture's own shape
SMALL = 64  # pixels to a side of pictures that are seen several times when predicting, at most
VIEW = 0.3  # least share of the area of a view
GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


class ImageAugment(Augment):
    """Mirrors, moves, crops, turns, colours and covers pictures: pixels uint8 (B, H, W, C) to the same.

    A pure function of the batch and its generator, on the batch's device. Geometry is one resampling, whatever is on:
    flip: mirror every other picture left to right; "auto" is False, for nothing in the pixels tells whether the mirror
    image means the same (a letter's does not, a photograph's does). shift: pixels by which a picture is moved at most,
    up or down and left or right, its edge repeated behind it. crop: the least share of its area that is kept; the part
    kept, its area uniform in [crop, 1], stretched by up to 4/3, at any place, is brought to the size of the whole
    (Szegedy et al. 2015, arXiv:1409.4842, section 6, with crop = 0.08); 1 = the whole; "auto" is 1, and 0.5 where masks
    or boxes are wanted, and there flip is on. rotate: most degrees that it is
    turned, either way about its centre; crops and turns are bilinear, the edge repeated behind.

    Colour, for f uniform in [1 - option, 1 + option] (Howard 2013, arXiv:1312.5402): brightness: f x. contrast:
    m + f (x - m), m the picture's mean grey. saturation: g + f (x - g), g each pixel's grey, for three channels; "auto"
    is 0, and where masks or boxes are wanted 0.6, 0.6 and 0.9.

    noise: deviation of Gaussian noise on all intensities, which are between 0 and 1. Where two views of a picture are
    to be known again ("auto"), flip is on, crop 0.3, brightness and contrast 0.4 (saturation too), noise 0.05. erase:
    the chance that a box, up to half the height and width, is filled with the picture's mean (Zhong et al. 2020,
    arXiv:1708.04896, "Random erasing"). cutout: side in pixels of a square so filled in every picture, its centre
    anywhere, what sticks out cut off (DeVries & Taylor 2017, arXiv:1708.04552); 0 = none.

    tta (test-time augmentation): predictions are averaged over the picture itself and it moved by half of `shift`
    pixels, rounded up, down, up, right and left, and where flip is on over the mirror images of all these (Krizhevsky
    et al. 2012, section 4.1), at so many times the work; "auto" is True for pictures of at most 64 pixels a side. It is
    done only where the answers of every head can be averaged (`Head.averages`).

    Missing pictures stay missing. Pictures, masks and boxes that are targets move along (`carry`), and are not coloured
    or covered. Raises PlanError for a column that is not of pixels, and for an option out of range.
    """

    def __init__(
        self,
        spec: Spec,
        columns: Sequence[Column] = (),
        /,
        *,
        flip: bool | Auto = "auto",
        shift: int | Auto = "auto",
        crop: float | Auto = "auto",
        rotate: float = 0.0,
        brightness: float | Auto = "auto",
        contrast: float | Auto = "auto",
        saturation: float | Auto = "auto",
        noise: float | Auto = "auto",
        erase: float = 0.0,
        cutout: int = 0,
        tta: bool | Auto = "auto",
    ) -> None:
        if spec.kind != "pixels":
            raise PlanError(f"ImageAugment varies a column of kind pixels, and this one is {spec.kind!r}")
        chosen = self.choose(spec, Facts(rows=10_000))
        self.height, self.width = (int(side or 1) for side in spec.shape[:2])
        self.flip: bool = chosen["flip"][0] if flip == "auto" else flip
        self.shift: int = chosen["shift"][0] if shift == "auto" else shift
        self.tta: bool = chosen["tta"][0] if tta == "auto" else tta
        self.crop: float = chosen["crop"][0] if crop == "auto" else crop
        self.noise: float = chosen["noise"][0] if noise == "auto" else noise
        self.rotate, self.erase, self.cutout = rotate, erase, cutout
        asked = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        colour = {name: chosen[name][0] if share == "auto" else share for name, share in asked.items()}
        for name, share in colour.items():
            _check(name, share, 0 <= share <= 1, "a share, 0 to 1")
        self.colour = tuple(colour.values())
        _check("noise", noise, 0 <= self.noise <= 1, "a deviation of intensities between 0 and 1")
        _check("erase", erase, 0 <= erase <= 1, "a chance, 0 to 1")
        _check("shift", shift, self.shift >= 0, "0 pixels or more")
        _check("crop", crop, 0 < self.crop <= 1, "a share of the area, above 0 and up to 1 (the whole)")
        _check("rotate", rotate, 0 <= rotate <= 180, "0 to 180 degrees")
        _check("cutout", cutout, cutout >= 0, "0 pixels or more")
        _check(
            "saturation",
            saturation,
            not colour["saturation"] or spec.size == 3,
            f"0 for pictures of {spec.size} channel(s)",
        )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves pictures."""
        return (0.9, "moved pictures are as good as new ones") if spec.kind == "pixels" else (0.0, "")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Safe for any picture: moved by a few pixels, but not mirrored."""
        side, longest = (some((int(s or 0) for s in spec.shape), default=0) for some in (min, max))
        asis = "colour may tell what is asked for"
        colour: Choices = dict.fromkeys(("brightness", "contrast", "saturation", "noise"), (0.0, asis))
        if facts.outcome == "view":
            return _views(spec)
        if facts.still:
            still = "what is to be given back stays where it is"
            return {"flip": (False, still), "shift": (0, still), "crop": (1.0, still), "tta": (False, still), **colour}
        if facts.places:
            scene = "things in scenes are seen from both sides, near and far"
            light = "things in scenes are seen in any light"
            return {
                "flip": (True, scene),
                "shift": (0, scene),
                "crop": (0.5, scene),
                "tta": (False, "places differ"),
                "brightness": (0.6, light),
                "contrast": (0.6, light),
                "saturation": (0.9 if spec.size == len(GREY) else 0.0, light),
                "noise": (0.0, light),
            }
        return colour | {
            "flip": (False, "the mirror image may mean something else; set flip = true if it does not"),
            "shift": (round(side / 24), f"a few pixels of {side}"),
            "crop": (1.0, "what is small in one picture may be told from what is large"),
            "tta": (False, "answers have places, and would be blurred")
            if facts.outcome in ("pictures", "hidden")
            else (
                longest <= SMALL,
                f"{longest} pixels a side: {'little' if longest <= SMALL else 'much'} work to look at it several times",
            ),
        }

    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value with its pixels varied; what it says of missing rows stays."""
        x = value.data
        places = self._draw(len(x), generator, x.device)
        if places is not None:
            x = places(x) if isinstance(places, Moves) else move_pixels(x, places)
        if any(self.colour):
            x = self._coloured(x, generator)
        if self.noise:
            drawn = torch.randn(x.shape, generator=generator, device=x.device)
            x = (x.float() + 255 * self.noise * drawn).round_().clamp_(0, 255).to(torch.uint8)
        if self.erase:
            x = self._erased(x, generator)
        if self.cutout:
            x = self._cut(x, generator)
        return replace(value, data=x)

    def carry(self, value: Value, spec: Spec, generator: torch.Generator) -> Value:
        """Pixels, a mask or boxes of the same pictures, moved as these are with an equally seeded generator."""
        places = self._draw(len(value.data), generator, value.data.device)
        if places is None:
            return value
        return CARRIES[spec.kind](
            value, places.affine(self.height, self.width) if isinstance(places, Moves) else places
        )

    def variants(self, value: Value) -> list[Value]:
        """The picture, and with `tta` it moved a little four ways, and the mirror images of all where `flip` is on."""
        if not self.tta:
            return [value]
        x, by = value.data, -(-self.shift // 2)
        seen = [x, *(_moved_by(x, axis, way) for axis in (1, 2) for way in (-by, by) if by)]
        seen += [picture.flip(2) for picture in seen] if self.flip else []
        return [replace(value, data=picture) for picture in seen]

    def _draw(self, size: int, generator: torch.Generator, device: torch.device) -> Tensor | Moves | None:
        """How each picture is moved: a map (B, 2, 3) where it is sampled anew, else by whole pixels, or not at all."""
        if self.crop < 1 or self.rotate:
            return self._warp(size, generator, device)
        if not (self.flip or self.shift):
            return None
        down, right = self._shifts(size, generator, device)
        mirrored = torch.zeros((size, 1), dtype=torch.bool, device=device)
        if self.flip:
            mirrored = torch.rand((size, 1), generator=generator, device=device) < 0.5
        return Moves(down, right, mirrored)

    def _shifts(self, size: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
        """Pixels (B, 1) that each picture looks down and right."""
        down, right = (
            torch.randint(-self.shift, self.shift + 1, (size, 1), generator=generator, device=device) for _ in "yx"
        )
        return down, right

    def _warp(self, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """The map (B, 2, 3) for crops, turns, moves and mirrors."""
        area, stretch, down, right, turn, mirror = torch.rand((6, size), generator=generator, device=device)
        area = self.crop + (1 - self.crop) * area
        stretch = torch.exp((2 * stretch - 1) * math.log(STRETCH)) if self.crop < 1 else torch.ones_like(stretch)
        tall, wide = (area / stretch).sqrt().clamp(max=1), (area * stretch).sqrt().clamp(max=1)
        down, right = (2 * down - 1) * (1 - tall), (2 * right - 1) * (1 - wide)
        if self.shift:
            below, beside = self._shifts(size, generator, device)
            down, right = down + below[:, 0] * (2 / self.height), right + beside[:, 0] * (2 / self.width)
        across = torch.where(mirror < 0.5, -wide, wide) if self.flip else wide
        angle = (2 * turn - 1) * math.radians(self.rotate)
        return affine(tall, across, down, right, angle, self.height / self.width)

    def _coloured(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Brightness, contrast and saturation, in this order, brought back to 0 to 255 at the end."""
        draws = 2 * torch.rand((3, len(x), 1, 1, 1), generator=generator, device=x.device) - 1
        bright, contrast, saturation = (1 + draw * most for draw, most in zip(draws, self.colour, strict=True))
        y = x.float() * bright
        if self.colour[1]:
            mean = _grey(y.mean((1, 2), keepdim=True))
            y.sub_(mean).mul_(contrast).add_(mean)
        if self.colour[2]:
            grey = _grey(y)
            y.sub_(grey).mul_(saturation).add_(grey)
        return y.round_().clamp_(0, 255).to(torch.uint8)

    def _erased(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A box of each picture, as the chance will have it, filled with the picture's mean."""
        size, height, width, _ = x.shape
        chance, *draws = torch.rand((5, size, 1), generator=generator, device=x.device)
        inside = []
        for length, (side, place) in ((height, draws[:2]), (width, draws[2:])):
            extent = (side * LARGEST * length).ceil()
            start = (place * (length - extent + 1)).floor()
            at = torch.arange(length, device=x.device)
            inside.append((at >= start) & (at < start + extent))
        return _filled(x, inside[0][:, :, None] & inside[1][:, None, :] & (chance < self.erase)[:, :, None])

    def _cut(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A square about a random pixel of each picture, filled with the picture's mean."""
        inside = []
        for length in x.shape[1:3]:
            start = torch.randint(length, (len(x), 1), generator=generator, device=x.device) - self.cutout // 2
            at = torch.arange(length, device=x.device)
            inside.append((at >= start) & (at < start + self.cutout))
        return _filled(x, inside[0][:, :, None] & inside[1][:, None, :])


@dataclass(frozen=True)
class Moves:
    """By how many pixels pictures are moved, and whether they are mirrored before: all (B, 1)."""

    down: Tensor
    right: Tensor
    mirrored: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """One gather for pictures (B, H, W, C), their edges repeated: the rows and columns to take pixels from."""
        height, width, channels = x.shape[1:]
        rows = (torch.arange(height, device=x.device) + self.down).clamp_(0, height - 1)
        columns = (torch.arange(width, device=x.device) + self.right).clamp_(0, width - 1)
        columns = torch.where(self.mirrored, width - 1 - columns, columns)
        places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
        places += torch.arange(len(x), device=x.device)[:, None] * (height * width)
        return x.reshape(-1, channels)[places.flatten()].view(x.shape)

    def affine(self, height: int, width: int) -> Tensor:
        """The same as a map (B, 2, 3), of pictures of this size."""
        whole = torch.ones(len(self.down), device=self.down.device)
        wide = torch.where(self.mirrored[:, 0], -whole, whole)
        down, right = self.down[:, 0] * (2 / height), wide * self.right[:, 0] * (2 / width)
        return affine(whole, wide, down, right, torch.zeros_like(whole), height / width)


def _views(spec: Spec) -> Choices:
    """Of a picture that is to be known again: whatever leaves it what it is (Chen et al. 2020, section 3)."""
    why = "two views are to have in common what the picture shows, and little else"
    return {
        "flip": (True, why),
        "shift": (0, "crops move it"),
        "crop": (VIEW, why),
        "brightness": (0.4, why),
        "contrast": (0.4, why),
        "saturation": (0.4 if spec.size == len(GREY) else 0.0, why),
        "noise": (0.05, why),
        "tta": (False, "it is not to predict"),
    }


def _carried_boxes(value: Value, places: Tensor) -> Value:
    """Boxes (B, N, 5), the last number their class, of which those that are gone are padding."""
    assert value.mask is not None
    boxes, there = move_boxes(value.data[..., :4], places)
    return replace(value, data=torch.cat([boxes, value.data[..., 4:]], 2), mask=value.mask & there)


CARRIES: dict[str, Callable[[Value, Tensor], Value]] = {
    "pixels": lambda value, places: replace(value, data=move_pixels(value.data, places)),
    "mask": lambda value, places: replace(value, data=move_labels(value.data, places)),
    "boxes": _carried_boxes,
}


def _moved_by(x: Tensor, axis: int, by: int) -> Tensor:
    """x moved along an axis by so many places, its edge repeated behind it."""
    size = x.shape[axis]
    return x.index_select(axis, (torch.arange(size, device=x.device) - by).clamp_(0, size - 1))


def _filled(x: Tensor, box: Tensor) -> Tensor:
    """x (B, H, W, C) with its own mean where the box (B, H, W) is True."""
    mean = x.float().mean((1, 2), keepdim=True).to(x.dtype)
    return torch.where(box[..., None], mean, x)


def _grey(x: Tensor) -> Tensor:
    """(B, H, W, 1) how bright each pixel looks."""
    if x.shape[-1] != len(GREY):
        return x.mean(-1, keepdim=True)
    return (x @ torch.tensor(GREY, device=x.device))[..., None]


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise PlanError(f"{name} = {value}: expected {expected}")
