"""One mask: from an encoded picture, a file or an array to a class value for each pixel, and back to PNG."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from ranvier.columns.pixels import Source, open_picture

LOSSY = ("JPEG", "MPO")
PLAIN = ("1", "L", "I", "I;16", "I;16L", "I;16B")


@dataclass(frozen=True)
class Labels:
    """codes: whole numbers (H, W); of coloured masks red * 65,536 + green * 256 + blue. palette: RGB values or none.

    lossy: they come from a file whose form changes values.
    """

    codes: np.ndarray
    colours: bool = False
    palette: list[int] = field(default_factory=list)
    lossy: bool = False


def read_labels(source: Source) -> Labels:
    """The values as they are, nothing resized or converted. Raises one of READ_ERRORS if they cannot be read."""
    if isinstance(source, np.ndarray):
        return Labels(_whole(source))
    with open_picture(source) as image:
        image.load()
        if image.mode == "P":
            return Labels(np.asarray(image), palette=list(image.getpalette() or []))
        if image.mode in PLAIN:
            return Labels(_whole(np.asarray(image)), lossy=image.format in LOSSY)
        colours = image if image.mode == "RGB" else image.convert("RGB")  # which would copy one that is
        codes = np.zeros((image.height, image.width), np.int32)
        for channel in range(3):
            codes <<= 8
            codes |= np.asarray(colours.getchannel(channel))
        return Labels(codes, colours=True, lossy=image.format in LOSSY)


def _whole(array: np.ndarray) -> np.ndarray:
    """Whole numbers (H, W), in their own type if that is one. Raises ValueError for others."""
    grid = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if grid.ndim != 2 or not grid.size:
        raise ValueError(f"numbers of shape {array.shape} are no mask: expected (H, W)")
    if grid.dtype.kind == "b":
        return grid.astype(np.uint8)
    if grid.dtype.kind in "iu":
        return grid
    with np.errstate(invalid="ignore"):
        codes = grid.astype(np.int64)
    if (codes != grid).any():
        raise ValueError("a mask holds whole numbers")
    return codes


def nearest(codes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) of another height and width, each pixel that of the nearest place."""
    rows, columns = (
        np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(np.int64)
        for new, old in zip(size, codes.shape, strict=True)
    )
    return codes[rows[:, None], columns]


def written(codes: np.ndarray, colours: bool, palette: list[int]) -> bytes:
    """Values (H, W) as a PNG that `read_labels` reads as they are; up to 255 it has a palette, to be looked at."""
    if colours:
        image = Image.fromarray(np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 2).astype(np.uint8))
    elif codes.max(initial=0) > 255:
        image = Image.fromarray(codes.astype(np.uint16))
    else:
        image = Image.fromarray(codes.astype(np.uint8), "P")
        image.putpalette(palette or PALETTE)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _spread() -> list[int]:
    """256 colours, far apart among the first: of a place's bits the first three lead red, green and blue, and so on.

    The colours of the PASCAL visual object classes (Everingham et al. 2010), by their rule.
    """
    colours = []
    for place in range(256):
        for channel in range(3):
            bits = ((place >> (3 * k + channel)) & 1 for k in range(3))
            colours.append(sum(bit << (7 - k) for k, bit in enumerate(bits)))
    return colours


PALETTE = _spread()
