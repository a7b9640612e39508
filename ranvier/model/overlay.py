"""What a model says of places, drawn on the picture."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ranvier.columns.labels import PALETTE, Labels, read_labels
from ranvier.columns.pixels import READ_ERRORS, Form, Source, measure, read
from ranvier.core.errors import DataError
from ranvier.core.unknown import strict
from ranvier.model.placed import same_shape

SEEN_THROUGH = 0.5  # how much of the picture is left where a mask lies on it
SIDE = 512  # pixels of the longer side, at least, for lines and names to be legible
LINE = 2  # pixels


@strict
def draw(picture: Source, *, mask: bytes | np.ndarray | None = None, boxes: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """The picture as a PNG file with its mask in colours, value 0 left out, and its boxes with their labels.

    picture: encoded bytes, a path, or numbers (H, W, C), 0 to 255. mask: as a model predicts it (an encoded picture) or
    an array (H, W) of class numbers, of the picture's shape. boxes: mappings as a model predicts them, {"x", "y", "w",
    "h", "label", "score"} in pixels, or in shares of the picture where none of their numbers is above 1, score left out
    or not. Small pictures are enlarged. Raises DataError for what cannot be read, masks of another shape than the
    picture, values that are no class, and boxes that are none.
    """
    try:
        seen = measure(picture)
        canvas = Image.fromarray(read(picture, Form(seen.height, seen.width, 3)).pixels)
        labels = None if mask is None else read_labels(mask)
    except READ_ERRORS as error:
        raise DataError(f"cannot draw: {error or type(error).__name__}") from None
    sides = np.array([_sides(box) for box in boxes], np.float64).reshape(-1, 4)
    if sides.max(initial=0.0) <= 1 and sides.min(initial=0.0) >= 0:
        sides = sides * np.tile(canvas.size, 2)
    scale = max(1, -(-SIDE // max(canvas.size)))
    if labels is not None:
        _check_shape(labels, canvas)
    canvas = canvas.resize((canvas.width * scale, canvas.height * scale), Image.Resampling.BILINEAR)
    if labels is not None:
        canvas = _covered(canvas, labels)
    pen = ImageDraw.Draw(canvas)
    limit = 2 * max(canvas.size)  # beyond it nothing is seen, and the pen takes no number however large
    for box, (x, y, wide, tall) in zip(boxes, sides * scale, strict=True):
        left, top, right, bottom = (max(-limit, min(limit, at)) for at in (x, y, x + wide, y + tall))
        label = str(box.get("label", ""))
        colour = _colour(1 + zlib.crc32(label.encode()) % 20)
        pen.rectangle((left, top, right, bottom), outline=colour, width=LINE)
        name = label if box.get("score") is None else f"{label} {_number(box, 'score'):.2f}"
        around = pen.textbbox((left + LINE, top + LINE), name)
        pen.rectangle((left, top, around[2] + LINE, around[3] + LINE), fill=colour)
        pen.text((left + LINE, top + LINE), name, fill="white" if sum(colour) < 380 else "black")
    buffer = BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def _check_shape(labels: Labels, canvas: Image.Image) -> None:
    """Raises DataError for a mask that would have to be stretched."""
    tall, wide = labels.codes.shape
    if not same_shape(np.array([[wide, tall]]), np.array([canvas.size]))[0]:
        raise DataError(
            f"cannot draw a mask of {wide} x {tall} pixels over a picture of {canvas.width} x {canvas.height}: give "
            "the mask of this picture, which has its shape"
        )


def _sides(box: Mapping[str, Any]) -> list[float]:
    """x, y, width and height. Raises DataError where they are no box."""
    if not isinstance(box, Mapping):
        raise DataError(f"cannot draw the box {box!r}: expected a dict such as {{'x': 1, 'y': 2, 'w': 30, 'h': 40}}")
    sides = [_number(box, name) for name in "xywh"]
    if sides[2] < 0 or sides[3] < 0:
        raise DataError(f"cannot draw a box with w = {sides[2]:g} and h = {sides[3]:g}: they are 0 or more")
    return sides


def _number(box: Mapping[str, Any], name: str) -> float:
    value = box.get(name)
    if not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise DataError(f"cannot draw a box with {name} = {value!r}: expected a number")
    return float(value)


def _covered(canvas: Image.Image, labels: Labels) -> Image.Image:
    """The picture with the classes of its pixels over it. Raises DataError for values that are no class."""
    codes = labels.codes
    values, places = np.unique(codes, return_inverse=True)
    if values[0] < 0:
        raise DataError(f"cannot draw a mask with the value {values[0]}: classes are 0 or more")
    own = [_own(int(value)) if labels.colours else _colour(int(value)) for value in values]
    colours = np.array(own, np.uint8)[places.reshape(codes.shape)]
    over = Image.fromarray(colours).resize(canvas.size, Image.Resampling.NEAREST)
    there = Image.fromarray((codes != 0).astype(np.uint8) * 255).resize(canvas.size, Image.Resampling.NEAREST)
    return Image.composite(Image.blend(over, canvas, SEEN_THROUGH), canvas, there)


def _own(value: int) -> tuple[int, int, int]:
    """Of a value of a coloured mask."""
    return value >> 16, value >> 8 & 255, value & 255


def _colour(value: int) -> tuple[int, int, int]:
    """Of a class number; from 256 on they begin anew."""
    red, green, blue = PALETTE[3 * (value % 256) : 3 * (value % 256) + 3]
    return red, green, blue
