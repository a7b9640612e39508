"""Pictures of a table as files: one of all side by side, or one for each row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from PIL import Image

from ranvier.columns.grid import grid
from ranvier.columns.pixels import encode_png
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.data.folder import IMAGE
from ranvier.data.read import of_pictures
from ranvier.model.frames import tell
from ranvier.model.write import Joints, whole, writer

if TYPE_CHECKING:
    from ranvier.model.model import Model

ENDINGS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}
QUALITY = 92  # of forms that lose something
ROWS = "rows.csv"  # in a folder of pictures: the other columns, and which picture is whose
TOLD = 3  # files that an error names


def to_grid(values: pl.Series, column: Column, path: Path, across: int = 0) -> Path:
    """Writes a column of pictures as one PNG file, so many side by side (see `grid`). Raises DataError."""
    return save_png(grid(column.encode(values).data, across), path)


def to_folder(
    frame: pl.DataFrame, pictures: Sequence[str], folder: Path, joints: Joints, given: pl.Series | None = None
) -> Path:
    """Writes each picture of the named columns as a PNG file, and rows.csv, in which the files stand for them.

    Files are named by the row, or as the files `given` that the rows were made of, those of one name being numbered
    from the second on; of several columns by the column's place as well. Raises DataError, also where a file of such
    a name is there already, before anything is written.
    """
    files = _files(frame.height, len(pictures), given)
    check_new(folder, *files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write into {folder}: {error.strerror or error}") from None
    for name, own in zip(pictures, files, strict=True):
        for file, picture in zip(own, frame[name], strict=True):
            _written(folder / file, picture)
        frame = frame.with_columns(pl.Series(name, own))
    return writer(folder / ROWS, joints)([frame])


def check_new(folder: Path, *files: Sequence[str]) -> None:
    """Raises DataError where rows.csv or another of the files to be written is in the folder already."""
    names = [ROWS, *(name for some in files for name in some)]
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        more = f" and {len(there) - TOLD:,} more" if len(there) > TOLD else ""
        raise DataError(
            f"{folder} holds {', '.join(there[:TOLD])}{more} already, which would be lost: name another folder, or "
            "remove what it holds"
        )


def predict_to_folder(model: Model, data: Any, folder: Path, **how: Any) -> Path:
    """Writes what a model predicts as `to_folder` does, named as the rows' pictures are. how: as of `Model.predict`.

    Raises DataError for a model that predicts neither pictures nor masks, and as `to_folder` does, before predicting.
    """
    made = [name for name in model.plan.targets if model.plan.columns[name].type in ("image", "mask")]
    if not made:
        raise DataError(
            f"cannot write {folder}: a folder is for pictures or masks, and this model predicts none; name a .csv"
        )
    inputs = [name for name in model.plan.inputs if model.plan.columns[name].type == "image"]
    table = model._read.unpacked(data)
    files = next((table.frame[n] for n in inputs if n in table.frame and table.frame[n].dtype == pl.String), None)
    if not how.get("keep") and of_pictures(data):
        how["keep"] = [IMAGE]
    check_new(folder, *_files(table.frame.height, len(made), files))  # before the work, not after it
    tell(table.notes)
    return to_folder(model.predict(table.frame, **how), made, folder, model.joints, files)


def _files(rows: int, columns: int, given: pl.Series | None) -> list[list[str]]:
    """The names of each column's files, one a row."""
    digits = len(str(max(0, rows - 1)))
    stems = [f"{row:0{digits}}" for row in range(rows)] if given is None else _stems(given)
    ends = [f"-{place}.png" if columns > 1 else ".png" for place in range(columns)]
    return [[f"{stem}{end}" for stem in stems] for end in ends]


def _stems(given: pl.Series) -> list[str]:
    """The files' names without ending, missing ones by the row; one that is taken with -2, or the next that is free."""
    names = [Path(path).stem if path else "" for path in given]
    taken, unused = set(names), set(names) - {""}  # a name goes to the first row that has it
    tries: Counter[str] = Counter()
    found = []
    for row, name in enumerate(names):
        stem = wanted = name or f"row-{row}"
        if name in unused:
            unused.remove(name)
        else:
            while stem in taken:
                tries[wanted] += 1
                stem = f"{wanted}-{tries[wanted] + 1}"
            taken.add(stem)
        found.append(stem)
    return found


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
    with whole(path) as part:
        part.write_bytes(content)
    return path
