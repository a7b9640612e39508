"""What models do with frames of any library: chunks of rows with what is to be told of them, and pandas given back."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from ranvier.core.counts import counted
from ranvier.core.errors import DataError, MissingExtra, RanvierWarning, did_you_mean
from ranvier.core.plan import Plan
from ranvier.data.folder import IMAGE
from ranvier.data.read import of_pictures
from ranvier.data.table import Table
from ranvier.model.network import chunks

MOST = 20  # notes in a warning
OWN = __name__.partition(".")[0]
TABULAR = ("number", "category", "date", "set", "vector")  # types of columns that stand in one table


def kept_columns(frame: pl.DataFrame, keep: str | Sequence[str], data: Any, taken: str) -> list[str]:
    """The columns to stand before the answers. Raises DataError for one that is not there, or has an answer's name.

    taken: the names of answers, as a pattern.
    """
    if not isinstance(keep, str | Sequence):
        raise DataError(f"keep = {keep!r:.60}: expected a column's name or a list of names")
    names = [keep] if isinstance(keep, str) else list(dict.fromkeys(keep))
    if not names and of_pictures(data):
        names = [IMAGE]
    for name in names:
        if name not in frame.columns:
            raise DataError(f"keep: column {name!r} is not in the data; {did_you_mean(name, frame.columns)}")
        if re.fullmatch(taken, name):
            raise DataError(f"keep: {name!r} is a column of the answers, and two cannot have one name; rename it first")
        dtype = frame[name].dtype
        each = dtype.inner if isinstance(dtype, pl.List) else dtype
        if each.is_nested() or each == pl.Binary:
            raise DataError(f"keep: column {name!r} holds {dtype}; only plain values and lists of them can be kept")
    return names


def completed(table: Table, plan: Plan) -> Table:
    """The table with nothing but nulls for inputs that it lacks; its notes tell of them.

    Only where a table may be meant to lack some: where inputs are of several kinds, or the network has learnt to do
    without (`train.without`). Columns of one table, and rows that lack all inputs, are left to be refused.
    """
    frame = table.frame
    nulls = {name: frame[name].null_count() for name in plan.inputs if name in frame.columns}
    absent = lacking(frame.columns, plan)
    notes = [*table.notes, *blank(nulls, frame.height, plan), *told_lacking(absent, frame.columns)]
    return Table(with_nulls(frame, absent), notes)


def lacking(known: Collection[str], plan: Plan) -> list[str]:
    """The inputs that a table of these columns is meant to lack (see `completed`)."""
    absent = [name for name in plan.inputs if name not in known]
    kinds = {"table" if (kind := plan.columns[name].type) in TABULAR else kind for name in plan.inputs}
    return [] if len(absent) == len(plan.inputs) or (len(kinds) < 2 and not plan.train.without) else absent


def told_lacking(absent: Sequence[str], known: Sequence[str]) -> list[str]:
    """A note on each."""
    return [f"{name}: no such column, taken as missing in all rows; {did_you_mean(name, known)}" for name in absent]


def with_nulls(frame: pl.DataFrame, absent: Sequence[str]) -> pl.DataFrame:
    """The frame with columns of nothing but nulls beside it."""
    return frame.with_columns(pl.lit(None).alias(name) for name in absent) if absent else frame


def blank(nulls: Mapping[str, int], rows: int, plan: Plan) -> list[str]:
    """A note on each input without a single value, where there are several rows to have one."""
    none = [name for name in plan.inputs if nulls.get(name) == rows > 1]
    return [f"{name}: no value in any of {rows:,} rows, taken as missing" for name in none]


def predicted(plan: Plan, more: str) -> str:
    """A pattern of the names of predictions. more: what else than always they may end in, as a pattern."""
    spans = {name: "|_start|_end" if plan.columns[name].type == "span" else "" for name in plan.targets}
    names = (rf"{re.escape(name)}(_confidence|_similarity|_p_.*|_q[\d.]+{span}{more})?" for name, span in spans.items())
    return "|".join(names)


def told_chunks(
    frames: pl.DataFrame | Iterator[pl.DataFrame], notes: list[str]
) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    """The rows chunk by chunk, each with a list for what is to be told of it, which `notes` gets in the end.

    Of several frames it makes no difference where these are cut.
    """
    for start, rows in chunks(frames):
        told: list[str] = []
        yield rows, told
        once = list(dict.fromkeys(told))  # several networks say mostly the same
        notes += once if start == 0 else [f"rows from {start:,}, counted from there: {note}" for note in once]


def told_empty(
    frames: Iterable[pl.DataFrame], plan: Plan, notes: list[str], least: float | None = None
) -> Iterator[pl.DataFrame]:
    """The same predictions; in the end notes tell of boxes of which there is not one in any row.

    least: the chance from which on one is predicted, if that is not as planned.
    """
    boxes = [name for name in plan.targets if plan.columns[name].type == "boxes"]
    rows, found = 0, dict.fromkeys(boxes, 0)
    for frame in frames:
        rows += frame.height
        for name in boxes:
            found[name] += int(frame[name].list.len().sum())
        yield frame
    notes += [
        f"{name}: no box in any of {counted(rows, 'row|rows')}: nothing is surer than least = "
        f"{plan.targets[name].head['least'] if least is None else least:g}, "
        f"as a network that has hardly learnt says; train longer, or give predict a lower one (least=, --least)"
        for name, count in found.items()
        if rows and not count
    ]


def tell(notes: list[str]) -> None:
    """Warns, once, one line a note, the first caller that is not of Ranvier."""
    lines = list(dict.fromkeys(notes))
    if len(lines) > MOST:
        lines = [*lines[:MOST], f"and {len(lines) - MOST:,} more such notes"]
    if lines:
        warnings.warn("\n".join(lines), RanvierWarning, stacklevel=_outside())


def _outside() -> int:
    """How many calls above its caller's own, which is 1, the first stands that is not of Ranvier."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == OWN:
        frame, level = frame.f_back, level + 1
    return level


def to_pandas(frame: pl.DataFrame, index: Any) -> Any:
    """Raises MissingExtra without pyarrow."""
    try:
        made = frame.to_pandas()
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", "pandas") from None
    made.index = index
    return made


def is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"
