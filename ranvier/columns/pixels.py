"""One picture: from encoded bytes, a file or an array of numbers to uint8 pixels of a given size, and back to PNG."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
import polars as pl
from PIL import Image, ImageOps

from ranvier.core.errors import DataError

Source = bytes | str | np.ndarray  # encoded, the path of a file, or numbers (H, W), (H, W, C) or (C, H, W)

# what Pillow's decoders raise on damaged or foreign data
READ_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # where warnings are errors
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
MOST = 100_000_000  # pixels of a picture that is decoded
LIMIT = 128  # pixels of the longer side, unless asked for: decoded pictures are held in memory
GRAY = ("1", "L", "LA", "La", "I", "F")  # and the 16-bit kinds, which start with I;16
ROTATED = ("JPEG", "MPO", "TIFF", "WEBP")  # formats that may say in their EXIF how the camera was held
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Seen:
    """What a glance at a picture tells: its size, whether it has colours, and the range of its numbers."""

    height: int
    width: int
    colour: bool
    low: float = 0.0
    high: float = 255.0


@dataclass(frozen=True)
class Form:
    """The form all pictures of a column get; low and high are the numbers that become 0 and 255."""

    height: int
    width: int
    channels: int
    low: float = 0.0
    high: float = 255.0


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 (H, W, channels). resized, clipped: what had to be done to them; shares: 0..1 stood for 0..255."""

    pixels: np.ndarray
    resized: bool = False
    clipped: bool = False
    shares: bool = False


def is_picture(data: bytes) -> bool:
    """Whether bytes start as an encoded picture does."""
    return data.startswith(MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def names_picture(text: str) -> bool:
    """Whether a text ends as an image file's name does."""
    return text.lower().endswith(SUFFIXES) and "\n" not in text


def sources(values: pl.Series, folder: str) -> list[Source | None]:
    """The raw values of a column, None where missing. Raises DataError for a type that holds no pictures."""
    dtype = values.dtype
    if dtype == pl.Binary:
        return values.to_list()
    if dtype == pl.String:
        return [os.path.join(folder, path) if path else None for path in values.to_list()]
    if isinstance(dtype, pl.Struct):
        return [_from_struct(value, folder) for value in values.to_list()]
    if isinstance(dtype, pl.Array | pl.List):
        return _grids(values)
    if dtype == pl.Object:
        return [None if value is None else np.asarray(value) for value in values.to_list()]
    if values.null_count() == len(values):
        return [None] * len(values)
    raise DataError(
        f"column {values.name!r}: expected pictures (encoded bytes, paths, or arrays of numbers), got {dtype}; "
        f"try another type for it"
    )


def _from_struct(value: dict[str, Any] | None, folder: str) -> Source | None:
    if value is None:
        return None
    if value.get("bytes"):
        return value["bytes"]
    return os.path.join(folder, value["path"]) if value.get("path") else None


def _grids(values: pl.Series) -> list[Source | None]:
    """Nested numbers as one array a row; what holds no numbers gives empty arrays, which no reader takes."""
    present = values.is_not_null().to_numpy()
    rows: list[Source | None] = [None] * len(values)
    known = values.filter(pl.Series(present))
    arrays = _stack(known) if len(known) else []
    for row, array in zip(np.flatnonzero(present), arrays, strict=True):
        rows[row] = array
    return rows


def _stack(values: pl.Series) -> np.ndarray | list[np.ndarray]:
    """(N, ...) in one go where all rows have one shape, else an array for each row."""
    if not holds_numbers(values.dtype):
        return [np.zeros(0)] * len(values)
    shape, flat = [len(values)], values
    while isinstance(flat.dtype, pl.List | pl.Array):
        lists = flat.arr.to_list() if isinstance(flat.dtype, pl.Array) else flat
        lengths = lists.list.len()
        if lengths.null_count() or lengths.n_unique() != 1 or lengths[0] == 0:
            return [_ragged(value) for value in values.to_list()]
        shape.append(int(lengths[0]))
        flat = lists.explode()
    return (flat.cast(pl.UInt8) if flat.dtype == pl.Boolean else flat).to_numpy().reshape(shape)


def innermost(dtype: Any) -> Any:
    """The type of what nested lists hold."""
    while isinstance(dtype, pl.List | pl.Array):
        dtype = dtype.inner
    return dtype


def holds_numbers(dtype: Any) -> bool:
    """Whether values of this type are numbers, or nested lists of some."""
    inner = innermost(dtype)
    return inner.is_numeric() or inner == pl.Boolean


def _ragged(value: Any) -> np.ndarray:
    """One row of nested lists; numbers that form no grid give an empty array, which no reader takes."""
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError):
        return np.zeros(0)


def common_size(sizes: np.ndarray, asked: int | Literal["auto"]) -> tuple[int, int]:
    """The height and width that pictures of these sizes (N, 2) get; asked: pixels of the longer side.

    Theirs if they share one, else a square of their median shorter side; unless asked for at most 128.
    """
    if (sizes == sizes[0]).all():
        height, width = (int(side) for side in sizes[0])
    else:
        height = width = int(np.median(sizes.min(1)))
    longer = max(height, width)
    scale = min(1.0, LIMIT / longer) if asked == "auto" else asked / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def measure(source: Source) -> Seen:
    """Size, colour and range, decoding no more than a header. Raises one of READ_ERRORS if it cannot."""
    if isinstance(source, np.ndarray):
        grid = _grid(source)
        finite = grid[np.isfinite(grid)] if grid.dtype.kind == "f" else grid
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        return Seen(grid.shape[0], grid.shape[1], grid.shape[2] > 1, low, high)
    with open_picture(source) as image:
        width, height = image.size
        if image.format in ROTATED and image.getexif().get(ORIENTATION, 1) >= 5:
            width, height = height, width
        return Seen(height, width, image.mode not in GRAY and not image.mode.startswith("I;16"))


def read(source: Source, form: Form) -> Picture:
    """The picture in that form. Raises one of READ_ERRORS if it cannot be decoded to its end."""
    if isinstance(source, np.ndarray):
        grid = _grid(source)
        shares = _in_shares(grid, form)
        grid, clipped = _to_bytes(grid * form.high if shares else grid, form)
        if grid.shape == (form.height, form.width, form.channels):
            return Picture(grid, clipped=clipped, shares=shares)
        image = Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid)
        return Picture(_fit(image, form), grid.shape[:2] != (form.height, form.width), clipped, shares)
    with open_picture(source) as image:
        original = image.size
        if image.format == "JPEG":  # lets the decoder skip detail that resizing would throw away
            longer = max(form.height, form.width)
            image.draft(None, (longer, longer))
        image.load()
        upright = ImageOps.exif_transpose(image) if image.format in ROTATED else image
        if upright.size != image.size:
            original = original[::-1]
        return Picture(_fit(upright, form), original != (form.width, form.height))


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 pixels (H, W, 1 or 3) as a PNG file."""
    buffer = BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 255 of any shape as uint8, rounded; what lies outside is moved to the edge."""
    return np.rint(np.asarray(values, np.float32)).clip(0, 255).astype(np.uint8)


def check_size(height: int, width: int) -> None:
    """Raises ValueError for a size, said by a model file, that no picture has."""
    if height < 1 or width < 1 or height * width > MOST:
        raise ValueError(f"pictures of {width:,} x {height:,} pixels: expected 1 to {MOST // 10**6} megapixels")


def open_picture(source: bytes | str) -> Image.Image:
    """A picture of which no more than the header is read. Raises one of READ_ERRORS, also for over 100 megapixels."""
    if not source or (isinstance(source, str) and os.path.isfile(source) and not os.path.getsize(source)):
        raise ValueError("empty (0 bytes)")
    image = Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    if image.width * image.height > MOST:
        image.close()
        raise ValueError(f"{image.width:,} x {image.height:,} pixels are too many: over {MOST // 10**6} megapixels")
    return image


def _grid(array: np.ndarray) -> np.ndarray:
    """Numbers as (H, W, C). Raises ValueError for a shape that is no picture."""
    if array.ndim == 2 and array.size:
        return array[:, :, None]
    if array.ndim == 3 and array.size and array.shape[2] in (1, 3, 4):
        return array
    if array.ndim == 3 and array.size and array.shape[0] in (1, 3, 4):
        return np.moveaxis(array, 0, 2)
    raise ValueError(f"numbers of shape {array.shape} are no picture: expected (H, W), (H, W, C) or (C, H, W)")


def _in_shares(grid: np.ndarray, form: Form) -> bool:
    """Whether decimals from 0 to 1 stand where training had numbers up to 255: no picture is as dark as that."""
    if grid.dtype.kind != "f" or (form.low, form.high) != (0, 255):
        return False
    return bool((grid >= 0).all() and (grid <= 1).all() and (grid != np.round(grid)).any())


def why(source: Source | None, error: Exception) -> str:
    """What is wrong with a picture in a few words, with the path where there is one."""
    told = str(error) or type(error).__name__
    if isinstance(source, str):
        if isinstance(error, FileNotFoundError):
            told = "no such file"
        return f"{source!r}: {told}"
    if isinstance(source, bytes):
        return "unknown format" if "cannot identify" in told else told
    return told


def _to_bytes(grid: np.ndarray, form: Form) -> tuple[np.ndarray, bool]:
    """low..high laid on 0..255; whether a number lay outside or was not finite (then taken as low)."""
    if (form.low, form.high) == (0, 255) and grid.dtype == np.uint8:
        return np.ascontiguousarray(grid), False
    scaled = (grid.astype(np.float64) - form.low) * (255 / (form.high - form.low))
    scaled = np.rint(np.nan_to_num(scaled, nan=-1.0, posinf=256.0, neginf=-1.0))
    clipped = bool(((scaled < 0) | (scaled > 255)).any())
    return np.ascontiguousarray(scaled.clip(0, 255).astype(np.uint8)), clipped


def _fit(image: Image.Image, form: Form) -> np.ndarray:
    """uint8 (H, W, channels): transparency on white, colours as asked for, then the size."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "L" if form.channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (form.width, form.height):
        image = image.resize((form.width, form.height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image).reshape(form.height, form.width, form.channels)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float pictures as 8-bit ones; a plain conversion would cut them off at 255."""
    values = np.array(image, np.float32)
    top = float(values.max())
    values *= 255.0 if image.mode == "F" and top <= 1 else 255 / 65_535 if top > 255 or ";16" in image.mode else 1.0
    return Image.fromarray(np.rint(values, out=values).clip(0, 255, out=values).astype(np.uint8))
