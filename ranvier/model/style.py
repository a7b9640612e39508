"""What one picture shows, painted as another is: pixels are changed until features say so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.columns.pixels import READ_ERRORS, Form, encode_png, measure, read, rounded
from ranvier.core import check
from ranvier.core.device import memory_told, pick_device
from ranvier.core.errors import DataError, PlanError, RunError
from ranvier.core.unknown import strict
from ranvier.model.looks import Look, Source, look_of
from ranvier.ops.style import beyond, content_error, gram, roughness, style_error

Picture = bytes | str | os.PathLike[str] | np.ndarray
LEAST, MOST = 16, 1024  # pixels of the longer side
SEEDS = 2**63  # that torch can draw by, and the next one after each
ZOOMS = (4, 2, 1)  # how many times smaller the picture is, one stage after another
STRENGTH, SMOOTH, STEPS = 1.0, 3.0, 60
COARSE = 4  # content is compared on the first maps with so few places to a side as the picture's by this
OUTSIDE = 100.0  # weight of intensities beyond 0 to 1
AT_ONCE = 10  # steps between two looks at the clock of a bar
HISTORY = 20  # gradients that L-BFGS remembers


@strict
def style(
    content: Picture,
    style: Picture,
    *,
    size: int = 256,
    steps: int = STEPS,
    strength: float = STRENGTH,
    smooth: float = SMOOTH,
    features: Source = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> bytes:
    """What `content` shows, painted as `style` is, as a PNG file in colours, its longer side of `size` pixels.

    content, style: encoded bytes, a path, or numbers (H, W), (H, W, C), 0 to 255, of any two sizes and shapes. The
    picture, at first the content, is changed until three things are small together: how far its features are from the
    content's, place by place; `strength` times how far their Gram matrices are from the style's, on every map; and
    `smooth` times how rough it is (`ops.style`). It is done by L-BFGS, `steps` steps at a quarter of the size, at half,
    and at the whole, so that strokes may be large; what was changed at the smaller size is brought to the larger.

    features: what looks at the pictures. None: random filters, drawn by `seed` and brought to scale by these two
    pictures (`nets.filters`); nothing is downloaded. A model or its file (.rv): its encoder of pictures, if it gives
    maps ("cnn", "convnext", "vit"); the model stays as it is. Any other file: a TorchScript network, which is a
    program, to be trusted before it is used, from float32 RGB (1, 3, H, W) from 0 to 1 to maps (1, C, h, w), one or a
    list. progress: is told the share that is done. Raises DataError for what is no picture, PlanError for options out
    of range, FileError, RunError. Source: Gatys et al. 2016, see `ops.style`.
    """
    _check(size, steps, strength, smooth, seed)
    where = pick_device(device)
    given = [tensor_of(each, name, size) for name, each in (("content", content), ("style", style))]
    with memory_told("while the picture was painted", "a smaller size, or device = 'cpu'"):
        given = [each.to(where) for each in given]
        look = look_of(features, given, seed=seed, device=where)
        changed, done = torch.zeros(1, 3, 1, 1, device=where), 0
        for zoom in ZOOMS:
            shown, painted = (_smaller(each, zoom) for each in given)
            goal = Goal.of(look, shown, painted, strength, smooth)
            for drawn in _changed(shown + _brought(changed, shown), goal, steps):
                changed = drawn - shown
                done += AT_ONCE
                if progress is not None:
                    progress(min(1.0, done / (len(ZOOMS) * steps)))
        return encode_png(rounded(255 * (shown + changed)[0].permute(1, 2, 0).cpu().numpy()))


def distances(
    made: Picture, content: Picture, style: Picture, *, size: int = 256, features: Source = None, seed: int = 1
) -> dict[str, float]:
    """{"content", "style"}: how far a picture is from both, as `style` measures it; 0 = not at all.

    Of the content 1 is a picture that has nothing to do with it; of the style, one in which nothing goes with anything.

    features, seed: of what looks, best not of what has made the picture. Raises as `style` does.
    """
    _check(size, STEPS, STRENGTH, SMOOTH, seed)
    seen, shown, painted = (
        tensor_of(each, name, size) for each, name in ((made, "made"), (content, "content"), (style, "style"))
    )
    look = look_of(features, [shown, painted], seed=seed, device=torch.device("cpu"))
    with torch.no_grad():
        goal = Goal.of(look, shown, painted, 1.0, 0.0)
        apart, unlike = goal.errors(look(_brought(seen, shown)))
    return {"content": float(apart), "style": float(unlike)}


@dataclass(frozen=True)
class Goal:
    """What features are to be: those of the content on one map, of the style's Gram matrices on all.

    place: number of that map. shifts, grams: the style's mean features (1, C), and Gram matrices about them, of each.
    """

    look: Look
    place: int
    content: Tensor
    shifts: list[Tensor]
    grams: list[Tensor]
    strength: float
    smooth: float

    @classmethod
    @torch.no_grad()
    def of(cls, look: Look, shown: Tensor, painted: Tensor, strength: float, smooth: float) -> Goal:
        """Of a picture that shows and one that is painted, (1, 3, H, W)."""
        maps, side = look(shown), max(shown.shape[2:])
        coarse = [number for number, each in enumerate(maps) if max(each.shape[2:]) * COARSE <= side + COARSE]
        place = coarse[0] if coarse else len(maps) - 1
        seen = look(painted)
        shifts = [each.mean((2, 3)) for each in seen]
        grams = [gram(each, shift) for each, shift in zip(seen, shifts, strict=True)]
        return cls(look, place, maps[place], shifts, grams, strength, smooth)

    def errors(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """How far features are from those of the content, and, the mean over the maps, of the style."""
        unlike = [style_error(*each)[0] for each in zip(maps, self.shifts, self.grams, strict=True)]
        return content_error(maps[self.place], self.content)[0], torch.stack(unlike).mean()

    def __call__(self, picture: Tensor) -> Tensor:
        """What is to become small."""
        apart, unlike = self.errors(self.look(picture))
        loss = apart + self.strength * unlike + OUTSIDE * beyond(picture)[0]
        return loss + self.smooth * roughness(picture)[0] if self.smooth else loss


def tensor_of(picture: Picture, name: str, size: int) -> Tensor:
    """(1, 3, H, W), 0 to 1, the longer side of `size` pixels. Raises DataError for what is no picture."""
    source = str(picture) if isinstance(picture, os.PathLike) else picture
    if not isinstance(source, bytes | str | np.ndarray):
        got = type(picture).__name__
        raise DataError(f"style: {name} is no picture: expected encoded bytes, a path or a numpy array, got {got}")
    try:
        seen = measure(source)
        scale = size / max(seen.height, seen.width)
        height, width = (max(1, round(side * scale)) for side in (seen.height, seen.width))
        picked = read(source, Form(height, width, 3))
    except READ_ERRORS as error:
        raise DataError(f"style: {name} is no picture that can be read: {error or type(error).__name__}") from None
    if picked.clipped or (isinstance(source, np.ndarray) and source.dtype.kind == "f" and 0 < seen.high <= 1):
        raise DataError(f"style: {name} has numbers from {seen.low:g} to {seen.high:g}; expected all from 0 to 255")
    return torch.from_numpy(picked.pixels.copy()).permute(2, 0, 1)[None].contiguous().float() / 255


def _changed(picture: Tensor, goal: Goal, steps: int) -> Iterator[Tensor]:
    """The picture after every few steps, between 0 and 1. Raises RunError where the loss becomes no number."""
    x = picture.clone(memory_format=torch.contiguous_format).requires_grad_()
    search = torch.optim.LBFGS(
        [x],
        max_iter=AT_ONCE,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )

    with torch.no_grad():
        start = goal(x).clamp(min=1)  # what is far above 1, beside a style of one colour, leads the search astray

    def loss() -> Tensor:
        search.zero_grad()
        said = goal(x) / start
        said.backward()
        return said

    left = steps
    while left > 0:
        search.param_groups[0]["max_iter"] = min(AT_ONCE, left)
        if not torch.isfinite(search.step(loss)):
            raise RunError("style: the features of the picture are no numbers any more; try a smaller strength")
        left -= AT_ONCE
        yield x.detach().clamp(0, 1)


def _smaller(picture: Tensor, zoom: int) -> Tensor:
    """So many times smaller, but with no side below 1 pixel."""
    if zoom == 1:
        return picture
    sides = [max(1, round(side / zoom)) for side in picture.shape[2:]]
    return F.interpolate(picture, sides, mode="area")


def _brought(picture: Tensor, to: Tensor) -> Tensor:
    """At the size of another picture."""
    return F.interpolate(picture, to.shape[2:], mode="bilinear", align_corners=False)


def _check(size: int, steps: int, strength: float, smooth: float, seed: int) -> None:
    """Raises PlanError for options out of range."""
    check.whole("size", size, LEAST, MOST)  # pixels of the longer side
    check.whole("steps", steps, 1)
    check.whole("seed", seed, 0, SEEDS - 1)
    for name, weight in (("strength", strength), ("smooth", smooth)):
        if check.number(name, weight, "a weight of 0 or more") < 0:
            raise PlanError(f"{name} = {weight}: expected a weight of 0 or more")
