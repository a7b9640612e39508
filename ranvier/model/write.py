"""Predictions to a file, a chunk of rows at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import polars as pl

from ranvier.core.errors import DataError, did_you_mean

Frames = Iterable[pl.DataFrame]


def writer(path: Path) -> Callable[[Frames], Path]:
    """A function that writes frames to the path. Raises DataError for a suffix it does not know, at once."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise DataError(f"cannot write {path.name!r}: unknown suffix {suffix!r}; {did_you_mean(suffix, WRITERS)}")
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}")
    return lambda frames: _write(path, frames, WRITERS[suffix])


def _write(path: Path, frames: Frames, write: Callable[[Frames, BinaryIO], None]) -> Path:
    """Writes to a neighbour first, so that what stands under the name is always whole."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(frames, file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _delimited(separator: str) -> Callable[[Frames, BinaryIO], None]:
    def write(frames: Frames, file: BinaryIO) -> None:
        for number, frame in enumerate(frames):
            _flat(frame).write_csv(file, separator=separator, include_header=number == 0)

    return write


def _lines(frames: Frames, file: BinaryIO) -> None:
    for frame in frames:
        frame.write_ndjson(file)


def _parquet(frames: Frames, file: BinaryIO) -> None:
    pl.concat(list(frames)).write_parquet(file)


def _arrow(frames: Frames, file: BinaryIO) -> None:
    pl.concat(list(frames)).write_ipc(file)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Lists of labels as text, which is all that a delimited file can hold."""
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    return frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|") for name in lists)


WRITERS: dict[str, Callable[[Frames, BinaryIO], None]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _lines,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
