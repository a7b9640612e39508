"""Tables that are gone through piece by piece, as often as needed, so that memory does not grow with their rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ranvier.data.files import DELIMITED, DelimitedFiles, suffix_of
from ranvier.data.folder import IMAGES
from ranvier.data.table import Table, tidy, told_nan, told_totals
from ranvier.data.typed import as_settled

TEXT = 1 << 22  # bytes of a CSV that are read together
BYTES = 1 << 26  # of a Parquet file that are, about
MOST, LEAST = 1 << 17, 1 << 10  # rows that are
PARQUET = (".parquet", ".pq")


@dataclass
class Pieces:
    """A table of so many rows. head: none of them, but names and types. nulls: how many there are, by column.

    frames: goes through the rows, a frame of some of them at a time. notes: a sentence for each repair, in all rows.
    """

    head: pl.DataFrame
    rows: int
    nulls: dict[str, int]
    frames: Callable[[], Iterator[pl.DataFrame]]
    notes: list[str]


def one_piece(table: Table) -> Pieces:
    """A table that is in memory."""
    frame = table.frame
    nulls = {column.name: column.null_count() for column in frame}
    return Pieces(frame.clear(), frame.height, nulls, lambda: iter([frame]), list(table.notes))


def in_chunks(frames: Iterator[pl.DataFrame], size: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of all frames, so many at a time wherever these were cut, each with the number of the first."""
    start, rest = 0, None  # what was left of those before
    for frame in frames:
        place = 0
        if rest is not None:
            place = size - rest.height
            rest = pl.concat([rest, frame.head(place)], rechunk=True)
            if rest.height < size:
                continue
            yield start, rest
            start += size
        last = frame.height - max(0, frame.height - place) % size
        for first in range(place, last, size):
            yield start, frame[first : first + size]
            start += size
        rest = frame[np.arange(last, frame.height)] if last < frame.height else None  # a copy, not to hold all of it
    if rest is not None:
        yield start, rest


def pieces_of(paths: Sequence[Path], as_text: Collection[str] = ()) -> Pieces | None:
    """The rows of files as `read_files` reads them; None for kinds of file that are only read as a whole.

    Raises DataError as `read_files` does, at once.
    """
    suffixes = {suffix_of(path) for path in paths}
    if suffixes and suffixes <= {*DELIMITED}:
        return _of_delimited(paths, as_text)
    plain = len(paths) == 1 and paths[0].is_file() and paths[0].suffix.lower() in PARQUET
    return _of_parquet(paths[0]) if plain else None


def _of_delimited(paths: Sequence[Path], as_text: Collection[str]) -> Pieces:
    """CSV files, read once to know what their columns are, and then again for each time that they are gone through.

    Columns that only all values together tell something of are held, once they are no longer texts.
    """
    files = DelimitedFiles(paths, TEXT)
    typing = files.typed(as_text, hold=False)
    settled = typing.settle(files.texts, files.notes)

    def frames() -> Iterator[pl.DataFrame]:
        start = 0
        for frame in files.frames(typing.parsed):
            yield pl.DataFrame([_settled(frame[name], settled[name], start) for name in files.names])
            start += frame.height

    last = _settled_last(typing.last, typing.rows, settled)
    told = told_totals(last, typing.rows, lambda name: files.texts([name])[name])
    head = last.clear()
    if not told:
        return Pieces(head, typing.rows, typing.nulls, frames, files.notes)
    nulls = {name: count - last[name].null_count() for name, count in typing.nulls.items()}
    rows = typing.rows - 1
    return Pieces(head, rows, nulls, lambda: _first(frames(), rows), [*files.notes, told])


def _settled(column: pl.Series, settled: Any, start: int) -> pl.Series:
    """A piece's column, whose first row has this number, in its type; settled: this, or the values of all rows."""
    return settled[start : start + len(column)] if isinstance(settled, pl.Series) else as_settled(column, settled)


def _settled_last(last: pl.DataFrame, rows: int, settled: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([_settled(column, settled[column.name], rows - 1) for column in last])


def _first(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The first rows of all."""
    for frame in frames:
        if rows > 0:
            yield frame.head(rows)
        rows -= frame.height


def _of_parquet(path: Path) -> Pieces | None:
    """A Parquet file, by slices; None if it holds records or names of pictures, has no rows, or cannot be read."""
    try:
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = lazy.collect_schema()
        texts = [name for name, dtype in schema.items() if dtype == pl.String]
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        if not len(schema) or any(isinstance(dtype, pl.Struct) for dtype in schema.dtypes()):
            return None
        firsts = lazy.select(pl.col(texts).drop_nulls().first()).collect(engine="streaming").rows()
        if any(os.path.splitext(str(text))[1].lower() in IMAGES for row in firsts for text in row):
            return None
        null, nan = pl.all().null_count().name.prefix("-"), pl.col(floats).is_nan().sum().name.prefix("+")
        counts = lazy.select(pl.len().alias(""), null, nan).collect(engine="streaming").row(0, named=True)
        head = lazy.head(1).with_columns(pl.col(floats).fill_nan(None)).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None
    rows = counts[""]
    if not rows:
        return None
    first = tidy(Table(head), str(path), nan_free=True)
    lost = {name: counts[f"+{name}"] for name in floats}
    nulls = {name: counts[f"-{name}"] + lost.get(name, 0) for name in schema}
    size = max(LEAST, min(MOST, rows * BYTES // max(1, path.stat().st_size)))

    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, rows, size):
            yield tidy(Table(lazy.slice(start, size).collect()), str(path)).frame

    return Pieces(first.frame.clear(), rows, nulls, frames, [*told_nan(lost), *first.notes])
