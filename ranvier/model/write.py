"""Predictions to a file, a chunk of rows at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from ranvier.columns.set import SEPARATORS, Set, joint
from ranvier.columns.tags import Tags
from ranvier.core.column import Column
from ranvier.core.errors import DataError, did_you_mean
from ranvier.core.whole import neighbour
from ranvier.data.files import expand

Frames = Iterable[pl.DataFrame]
Joints = Mapping[str, str]  # column of lists -> what joins its labels as text, "" = JSON
JOINT = "|"


def writer(to: Any, joints: Joints, data: Any = None) -> Callable[[Frames], Path]:
    """A function that writes frames to the path; the first joins the rows of lists for CSV and TSV (see `flat`).

    No more than a chunk of rows is held in memory: Parquet and Arrow go through temporary files beside the path.
    data: what the rows come from, if that is a path, a pattern or several. Raises DataError for what is no path, for a
    suffix it does not know and for one of those paths, at once, and for a path that cannot be written.
    """
    if not isinstance(to, str | os.PathLike):
        raise DataError(f"to = {to!r:.60}: expected the path of a file to write")
    path, given = Path(to), data if isinstance(data, list | tuple) else [data]
    paths = (Path(one) for one in given if isinstance(one, str | os.PathLike))
    if os.path.exists(path) and any(one.samefile(path) for named in paths for one in expand(named)):
        raise DataError(f"{path} holds the rows to predict, and would be lost; name another file to write")
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise DataError(f"cannot write {path.name!r}: unknown suffix {suffix!r}; {did_you_mean(suffix, WRITERS)}")
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}")
    return lambda frames: _write(path, frames, joints, WRITERS[suffix])


def joints(columns: Mapping[str, Column]) -> dict[str, str]:
    """What joins the labels of each column of lists that is predicted: what none of them holds, "" = no such sign."""
    labelled = {n: c for n, c in columns.items() if hasattr(c, "labels")}
    return {
        n if isinstance(c, Set | Tags) else f"{n}_set": joint(c.labels, " " if isinstance(c, Tags) else SEPARATORS)
        for n, c in labelled.items()
    }


def flat(frame: pl.DataFrame, joints: Joints) -> pl.DataFrame:
    """Lists as text, which is all that such a file can hold: labels joined; without a joint, vectors, boxes as JSON.

    Raises DataError for pictures, as `_lines` does.
    """
    _check_text(frame)
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    vectors = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Array)]
    return frame.with_columns(
        *(_as_text(frame[name], _joint(frame.schema[name], joints.get(name, JOINT))) for name in lists),
        *(_as_text(frame[name].arr.to_list(), "") for name in vectors),
    )


def _joint(dtype: pl.DataType, joint: str) -> str:
    """What joins lists of this type; nothing where they hold more than labels."""
    return "" if isinstance(dtype, pl.List) and dtype.inner.is_nested() else joint


def _as_text(lists: pl.Series, joint: str) -> pl.Series:
    if joint:
        return lists.cast(pl.List(pl.String)).list.join(joint)
    texts = [None if row is None else json.dumps(row, ensure_ascii=False, default=str) for row in lists.to_list()]
    return pl.Series(lists.name, texts, dtype=pl.String)


def _check_text(frame: pl.DataFrame) -> None:
    """Raises DataError for what no text can hold."""
    bare = [name for name, dtype in frame.schema.items() if dtype == pl.Binary]
    if bare:
        raise DataError(
            f"column {bare[0]!r} holds pictures, which no text can: write them to .parquet, .arrow or a folder/"
        )


def _write(path: Path, frames: Frames, joints: Joints, write: Callable[[Frames, Path, Joints], None]) -> Path:
    with whole(path) as part:
        write(frames, part, joints)
    return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write, so that what stands under the path's name is always whole. Raises DataError."""
    try:
        with neighbour(path, lasts=False) as part:
            yield part
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None


def _delimited(separator: str) -> Callable[[Frames, Path, Joints], None]:
    def write(frames: Frames, path: Path, joints: Joints) -> None:
        with path.open("wb") as file:
            for number, frame in enumerate(frames):
                flat(frame, joints).write_csv(file, separator=separator, include_header=number == 0)

    return write


def _lines(frames: Frames, path: Path, joints: Joints) -> None:
    with path.open("wb") as file:
        for frame in frames:
            _check_text(frame)
            frame.write_ndjson(file)


def _streamed(sink: Callable[[pl.LazyFrame, Path], Any]) -> Callable[[Frames, Path, Joints], None]:
    """For formats that end in a table of contents: each chunk to a file of its own, then all of them as one stream."""

    def write(frames: Frames, path: Path, joints: Joints) -> None:
        with TemporaryDirectory(prefix=".parts-", dir=path.parent) as folder:
            parts = []
            for number, frame in enumerate(frames):
                parts.append(Path(folder) / f"{number}.parquet")
                frame.write_parquet(parts[-1], compression="lz4")
            try:
                sink(pl.concat([pl.scan_parquet(part, glob=False, hive_partitioning=False) for part in parts]), path)
            except pl.exceptions.PolarsError as error:
                raise DataError(f"cannot write {path}: {str(error).splitlines()[0]}") from None

    return write


WRITERS: dict[str, Callable[[Frames, Path, Joints], None]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _lines,
    ".parquet": _streamed(lambda frame, path: frame.sink_parquet(path)),
    ".arrow": _streamed(lambda frame, path: frame.sink_ipc(path)),
}
