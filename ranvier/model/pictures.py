"""Pictures of a table as files: one of all side by side, or one for each row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from ranvier.columns.grid import grid
from ranvier.columns.pixels import encode_png
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.model.write import Joints, writer

ENDINGS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}
QUALITY = 92  # of forms that lose something
ROWS = "rows.csv"  # in a folder of pictures: the other columns, and which picture is whose


def to_grid(values: pl.Series, column: Column, path: Path, across: int = 0) -> Path:
    """Writes a column of pictures as one PNG file, so many side by side (see `grid`). Raises DataError."""
    return save_png(grid(column.encode(values).data, across), path)


def to_folder(frame: pl.DataFrame, pictures: Sequence[str], folder: Path, joints: Joints) -> Path:
    """Writes each picture of the named columns as a PNG file, and rows.csv, in which the files stand for them.

    Files are named by the row, and of several columns by the column's place as well. Raises DataError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write into {folder}: {error.strerror or error}") from None
    digits = len(str(max(0, frame.height - 1)))
    for place, name in enumerate(pictures):
        end = f"-{place}.png" if len(pictures) > 1 else ".png"
        files = [f"{row:0{digits}}{end}" for row in range(frame.height)]
        for file, picture in zip(files, frame[name], strict=True):
            _written(folder / file, picture)
        frame = frame.with_columns(pl.Series(name, files))
    return writer(folder / ROWS, joints)([frame])


def save_png(pixels: np.ndarray, path: Path) -> Path:
    """Writes one picture, uint8 (H, W, 1 or 3). Raises DataError."""
    return _written(path, encode_png(pixels))


def check_ending(path: Path) -> None:
    """Raises DataError for a name that does not end as a picture's does that can be written."""
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"cannot write {path.name!r}: expected a name ending in {', '.join(ENDINGS)}")


def save_as(png: bytes, path: Path) -> Path:
    """Writes a PNG file's picture in the form that the path's ending says. Raises DataError."""
    check_ending(path)
    buffer, form = BytesIO(), ENDINGS[path.suffix.lower()]
    with Image.open(BytesIO(png)) as image:
        image.save(buffer, form, quality=QUALITY)
    return _written(path, buffer.getvalue())


def _written(path: Path, content: bytes) -> Path:
    """Writes to a neighbour first, so that what stands under the name is always whole."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path
