"""Pictures varied while training, a whole batch at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Part, Value
from ranvier.core.spec import Spec

Auto = Literal["auto"]
LARGEST = 0.5  # of an erased box's side, as a share of the picture's


class ImageAugment(Part):
    """Mirrors, moves and covers pictures, pixels (B, H, W, C); a pure function of the batch and its generator.

    flip: mirror every other picture left to right; "auto" is False, for nothing in the pixels tells whether the mirror
    image means the same (a letter's does not, a photograph's does). shift: pixels by which a picture is moved at most,
    up or down and left or right, its edge repeated behind it. erase: the chance that a box, up to half the height and
    width, is filled with the picture's mean (Zhong et al. 2020, "Random erasing data augmentation").
    Targets are never touched: not for targets that have a place in the picture. Raises PlanError for a column that is
    not of pixels, and for a chance or number of pixels out of range.
    """

    def __init__(
        self, spec: Spec, /, *, flip: bool | Auto = "auto", shift: int | Auto = "auto", erase: float = 0.0
    ) -> None:
        if spec.kind != "pixels":
            raise PlanError(f"ImageAugment varies a column of kind pixels, and this one is {spec.kind!r}")
        chosen = self.choose(spec, Facts(rows=10_000))
        self.flip: bool = chosen["flip"][0] if flip == "auto" else flip
        self.shift: int = chosen["shift"][0] if shift == "auto" else shift
        self.erase = erase
        if not 0 <= self.erase <= 1:
            raise PlanError(f"erase = {erase}: expected a chance, 0 to 1")
        if self.shift < 0:
            raise PlanError(f"shift = {shift}: expected 0 pixels or more")

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves pictures."""
        return (0.9, "moved pictures are as good as new ones") if spec.kind == "pixels" else (0.0, "")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Safe for any picture: moved by a few pixels, but not mirrored."""
        side = min((int(s or 0) for s in spec.shape), default=0)
        return {
            "flip": (False, "the mirror image may mean something else; set flip = true if it does not"),
            "shift": (round(side / 24), f"a few pixels of {side}"),
        }

    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value with its pixels varied; what it says of missing rows stays."""
        x = value.data
        if self.flip or self.shift:
            x = self._moved(x, generator)
        if self.erase:
            x = self._covered(x, generator)
        return replace(value, data=x)

    def _moved(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """One gather for moves and mirrors: row and column numbers (B, H) and (B, W) to take pixels from."""
        size, height, width, channels = x.shape
        down, right = (
            torch.randint(-self.shift, self.shift + 1, (size, 1), generator=generator, device=x.device) for _ in "yx"
        )
        rows = (torch.arange(height, device=x.device) + down).clamp_(0, height - 1)
        columns = (torch.arange(width, device=x.device) + right).clamp_(0, width - 1)
        if self.flip:
            mirrored = torch.rand((size, 1), generator=generator, device=x.device) < 0.5
            columns = torch.where(mirrored, width - 1 - columns, columns)
        places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
        places += torch.arange(size, device=x.device)[:, None] * (height * width)
        return x.reshape(-1, channels)[places.flatten()].view(x.shape)

    def _covered(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A box of each picture, as the chance will have it, filled with the picture's mean."""
        size, height, width, _ = x.shape
        chance, *draws = torch.rand((5, size, 1), generator=generator, device=x.device)
        inside = []
        for length, (side, place) in ((height, draws[:2]), (width, draws[2:])):
            extent = (side * LARGEST * length).ceil()
            start = (place * (length - extent + 1)).floor()
            at = torch.arange(length, device=x.device)
            inside.append((at >= start) & (at < start + extent))
        box = inside[0][:, :, None] & inside[1][:, None, :] & (chance < self.erase)[:, :, None]
        mean = x.float().mean((1, 2), keepdim=True).to(x.dtype)
        return torch.where(box[..., None], mean, x)
