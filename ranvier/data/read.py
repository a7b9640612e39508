"""Anything a person may have, as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from ranvier.core.errors import DataError
from ranvier.core.forks import check_process
from ranvier.core.unknown import strict
from ranvier.data.files import beside, expand, read_files
from ranvier.data.folder import IMAGE, names_image, parts_of, read_folder
from ranvier.data.keys import ENDINGS
from ranvier.data.memory import read_memory
from ranvier.data.pieces import Pieces, pieces_of
from ranvier.data.scenes import coco_files, from_coco
from ranvier.data.table import Table, tidy
from ranvier.data.yolo import described_parts, read_yolo, yolo_parts

Parts = dict[str, tuple[str, Callable[[], Table]]]  # part -> where it is, and what reads it


@strict
def read(source: Any, *, as_text: Collection[str] = ()) -> Table:
    """The source as one table (at least one row and column) with a note for each repair.

    source: a path to CSV, TSV, JSON Lines, JSON, Parquet, Arrow or Excel (also packed), text (.txt: a row a line, or
    the lines of a table), COCO's JSON of pictures with boxes, a glob pattern, several paths, a folder of images,
    one of images/ and labels/ or its data.yaml (YOLO), one with COCO's JSON, files of pictures (a row each), a polars
    or pandas frame, a pyarrow table, a dict of arrays, tensors or lists, an array, a list of dicts, or (X, y). as_text:
    columns of a CSV to leave as text, as they were in training. Raises DataError.
    """
    parts = _parts(source, as_text)
    if len(parts) > 1:
        names = ", ".join(f"{part}: {path}" for part, (path, _) in parts.items())
        raise DataError(f"{source} holds several parts; name the folder of one of them ({names})")
    return _read(parts)["train"]


def read_parts(source: Any, *, as_text: Collection[str] = ()) -> dict[str, Table]:
    """The source by part: "train" always, "val" and "test" where a folder of images has them side by side.

    Raises DataError as `read` does, and RunError in a forked process (core/forks.py).
    """
    return _read(_parts(source, as_text))


def _read(parts: Parts) -> dict[str, Table]:
    return {part: reader() for part, (_, reader) in parts.items()}


def _parts(source: Any, as_text: Collection[str]) -> Parts:
    """What the source is made of, not read yet."""
    check_process()
    paths = _paths(source)
    if paths is None:
        return {"train": ("", lambda: read_memory(source))}
    folders = [path for path in paths if path.is_dir()]
    if len(paths) == 1 and paths[0].suffix.lower() in ENDINGS and not folders:
        return _yolo(*described_parts(paths[0]))
    if all(names_image(path) for path in paths):
        return {"train": ("", lambda: Table(pl.DataFrame({IMAGE: [os.path.abspath(path) for path in paths]})))}
    if not folders:
        return {"train": ("", lambda: read_files(paths, as_text))}
    if len(paths) > 1:
        raise DataError(f"{folders[0]} is a folder; several folders or a folder among files cannot be read together")
    parts, names = yolo_parts(folders[0])
    if parts:
        return _yolo(parts, names)
    if files := coco_files(folders[0]):
        return {"train": (str(folders[0]), partial(_coco, folders[0], files))}
    if within := parts_of(folders[0]):
        return {part: (str(folder), partial(_folder, folder)) for part, folder in within.items()}
    return {"train": (str(folders[0]), partial(read_folder, folders[0]))}


def _yolo(parts: dict[str, Path], names: Sequence[str]) -> Parts:
    return {part: (str(pictures), partial(read_yolo, pictures, names)) for part, pictures in parts.items()}


def _folder(folder: Path) -> Table:
    """A folder of pictures: with boxes where a JSON file there tells them, else with classes."""
    files = coco_files(folder)
    return _coco(folder, files) if files else read_folder(folder)


def _coco(folder: Path, files: Mapping[Path, Any]) -> Table:
    """A folder of pictures whose boxes are in a file. Raises DataError for several files."""
    if len(files) > 1:
        raise DataError(
            f"{folder} holds several files of boxes in COCO's form ({', '.join(path.name for path in [*files][:8])}); "
            "name one of them as the data, and others as val or test"
        )
    ((path, value),) = files.items()
    return tidy(beside(from_coco(value, str(path)), path.parent), str(path))


def of_pictures(source: Any) -> bool:
    """Whether the source is a folder, or files of pictures, so that nobody has named the column of their files."""
    paths = _paths(source)
    return paths is not None and (all(map(names_image, paths)) or (len(paths) == 1 and paths[0].is_dir()))


def read_pieces(source: Any, *, as_text: Collection[str] = ()) -> Pieces | None:
    """What `read` gives, piece by piece, if the source is CSV or Parquet files of which no more need be held; or None.

    Raises DataError as `read` does, before the first piece.
    """
    check_process()
    paths = _paths(source)
    return None if paths is None or any(path.is_dir() for path in paths) else pieces_of(paths, as_text)


def _paths(source: Any) -> list[Path] | None:
    """The paths that the source names, or None if it is an object in memory."""
    if isinstance(source, str | os.PathLike):
        return expand(Path(source))
    several = isinstance(source, list | tuple) and len(source) > 0
    if several and all(isinstance(item, str | os.PathLike) for item in source):
        return [path for item in source for path in expand(Path(item))]
    return None
