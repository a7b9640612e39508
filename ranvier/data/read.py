"""Anything a person may have, as a table."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ranvier.core.errors import DataError
from ranvier.core.forks import check_process
from ranvier.data.files import expand, read_files
from ranvier.data.folder import parts_of, read_folder
from ranvier.data.memory import read_memory
from ranvier.data.pieces import Pieces, pieces_of
from ranvier.data.scenes import PICTURES, is_yolo, read_yolo
from ranvier.data.table import Table


def read(source: Any, *, as_text: Collection[str] = ()) -> Table:
    """The source as one table (at least one row and column) with a note for each repair.

    source: a path to CSV, TSV, JSON Lines, JSON, Parquet, Arrow or Excel (also packed), text (.txt, a row a line),
    COCO's JSON of pictures with boxes, a glob pattern, several paths, a folder of images, one of images/ and labels/
    (YOLO), a polars or pandas frame, a pyarrow table, a dict of arrays, tensors or lists, an array, a list of dicts, or
    (X, y). as_text: columns of a CSV to leave as text, as they were in training. Raises DataError.
    """
    parts = read_parts(source, as_text=as_text)
    if len(parts) > 1:
        names = ", ".join(f"{part}/" for part in parts)
        raise DataError(f"{source} holds several parts ({names}); name the folder of one of them")
    return parts["train"]


def read_parts(source: Any, *, as_text: Collection[str] = ()) -> dict[str, Table]:
    """The source by part: "train" always, "val" and "test" where a folder of images has them side by side.

    Raises DataError as `read` does, and RunError in a forked process (core/forks.py).
    """
    check_process()
    paths = _paths(source)
    if paths is None:
        return {"train": read_memory(source)}
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        return {"train": read_files(paths, as_text)}
    if len(paths) > 1:
        raise DataError(f"{folders[0]} is a folder; several folders or a folder among files cannot be read together")
    if is_yolo(folders[0]):
        parts = parts_of(folders[0] / PICTURES)
        return {n: read_yolo(folders[0], p.name) for n, p in parts.items()} or {"train": read_yolo(folders[0])}
    parts = parts_of(folders[0])
    if parts and all(is_yolo(folder) for folder in parts.values()):
        return {part: read_yolo(folder) for part, folder in parts.items()}
    if not parts:
        return {"train": read_folder(folders[0])}
    return {part: read_folder(folder) for part, folder in parts.items()}


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
