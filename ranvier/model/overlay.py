"""What a model says of places, drawn on the picture."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ranvier.columns.labels import PALETTE, read_labels
from ranvier.columns.pixels import READ_ERRORS, Form, Source, measure, read
from ranvier.core.errors import DataError

SEEN_THROUGH = 0.5  # how much of the picture is left where a mask lies on it
SIDE = 512  # pixels of the longer side, at least, for lines and names to be legible
LINE = 2  # pixels


def draw(picture: Source, *, mask: bytes | np.ndarray | None = None, boxes: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """The picture as a PNG file with its mask in colours, value 0 left out, and its boxes with their labels.

    picture: encoded bytes, a path, or numbers (H, W, C), 0 to 255. mask: as a model predicts it (an encoded picture) or
    an array (H, W) of class numbers. boxes: mappings as a model predicts them, {"x", "y", "w", "h", "label", "score"}
    in pixels, score left out or not. Small pictures are enlarged. Raises DataError for what cannot be read.
    """
    try:
        seen = measure(picture)
        canvas = Image.fromarray(read(picture, Form(seen.height, seen.width, 3)).pixels)
        codes = None if mask is None else read_labels(mask).codes
    except READ_ERRORS as error:
        raise DataError(f"cannot draw: {error or type(error).__name__}") from None
    scale = max(1, -(-SIDE // max(canvas.size)))
    canvas = canvas.resize((canvas.width * scale, canvas.height * scale), Image.Resampling.BILINEAR)
    if codes is not None:
        canvas = _covered(canvas, codes)
    pen = ImageDraw.Draw(canvas)
    for box in boxes:
        left, top = box["x"] * scale, box["y"] * scale
        corners = (left, top, left + box["w"] * scale, top + box["h"] * scale)
        label = str(box.get("label", ""))
        colour = _colour(1 + zlib.crc32(label.encode()) % 20)
        pen.rectangle(corners, outline=colour, width=LINE)
        name = f"{label} {box['score']:.2f}" if "score" in box else label
        around = pen.textbbox((left + LINE, top + LINE), name)
        pen.rectangle((left, top, around[2] + LINE, around[3] + LINE), fill=colour)
        pen.text((left + LINE, top + LINE), name, fill="white" if sum(colour) < 380 else "black")
    buffer = BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def _covered(canvas: Image.Image, codes: np.ndarray) -> Image.Image:
    """The picture with the classes of its pixels over it."""
    values, places = np.unique(codes, return_inverse=True)
    colours = np.array([_colour(int(value)) for value in values], np.uint8)[places.reshape(codes.shape)]
    over = Image.fromarray(colours).resize(canvas.size, Image.Resampling.NEAREST)
    there = Image.fromarray((codes != 0).astype(np.uint8) * 255).resize(canvas.size, Image.Resampling.NEAREST)
    return Image.composite(Image.blend(over, canvas, SEEN_THROUGH), canvas, there)


def _colour(value: int) -> tuple[int, int, int]:
    """Of a class number; of a coloured mask its own."""
    if value > 255:
        return value >> 16, value >> 8 & 255, value & 255
    red, green, blue = PALETTE[3 * value : 3 * value + 3]
    return red, green, blue
