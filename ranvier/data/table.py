"""A frame with what was repaired in it, and the few rules that every source's frame obeys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from ranvier.core.counts import counted
from ranvier.core.errors import DataError

FEW = 16  # rows
TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "somme", "suma", "totale", "合计", "总计", "小计")


@dataclass
class Table:
    """What a reader gives. frame: at least one row and one column. notes: a sentence for each repair. commas: columns
    of numbers that a text had with decimal commas."""

    frame: pl.DataFrame
    notes: list[str] = field(default_factory=list)
    commas: list[str] = field(default_factory=list)


def check_names(names: Iterable[str], where: str) -> None:
    """Raises DataError if a column name appears twice, is no text that can be written down, or stands for others."""
    counts = Counter(names)
    for name in counts:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{where}: the column name {name!r} is no valid text: {error}") from None
        if name == "*" or (name[:1] == "^" and name[-1:] == "$"):  # polars takes them for patterns
            raise DataError(f"{where}: the column name {name!r} is a pattern, which stands for others; rename it")
    twice = [name for name, times in counts.items() if times > 1]
    if twice:
        raise DataError(f"{where} has more than one column named {twice[0]!r}; rename all but one of them")


def tidy(table: Table, where: str, nan_free: bool = False) -> Table:
    """The table with one answer for what formats and libraries do in several ways.

    NaN becomes null, counted (unless the frame is `nan_free`, its reader having seen to that),
    categoricals and all-null columns become String, decimals Float64, durations seconds, nested records columns
    `outer.inner`, but for answers within a text, of a start and a text or an end. Raises DataError if there is no row,
    no column, or a column of Python objects.
    """
    frame, notes = table.frame, list(table.notes)
    check_names(frame.columns, where)
    while any(_of_squad(dtype) or (isinstance(dtype, pl.Struct) and not _is_answer(dtype)) for dtype in frame.dtypes):
        frame = _flatten(frame, notes)
    if frame.width == 0:
        raise DataError(f"{where} has no columns")
    if frame.height == 0:
        raise DataError(f"{where} has columns ({_shown(frame.columns)}) but no rows; at least one row is needed")
    frame = frame if nan_free else _without_nan(frame, notes)
    changed = {name: _plain(frame[name], where, notes) for name, dtype in frame.schema.items() if not _is_plain(dtype)}
    return Table(frame.with_columns(**changed) if changed else frame, notes, table.commas)


def without_totals(table: Table) -> Table:
    """The table without a last row that begins with a word such as "Total" and sums up those above."""
    frame = table.frame
    told = told_totals(frame.tail(1), frame.height, frame.get_column)
    return Table(frame.head(frame.height - 1), [*table.notes, told], table.commas) if told else table


def told_totals(last: pl.DataFrame, rows: int, column: Callable[[str], pl.Series]) -> str:
    """What is told of a last row of so many that sums up those above, as `without_totals` has it; "" of any other.

    column: gives the values of one in all rows.
    """
    if rows < 3 or last.width < 2:
        return ""
    name, value = next(((name, v) for name, v in last.row(0, named=True).items() if v is not None), ("", None))
    if not isinstance(value, str) or value.strip(" :").lower() not in TOTALS:
        return ""
    if (column(name).head(rows - 1) == value).any():
        return ""
    return f"the last row ({value!r}) sums up those above, and is left out"


def _without_nan(frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """NaN as null, counted, all columns in one query; a few rows are looked at one by one, for a query costs more."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    if frame.height <= FEW and not any(x != x for name in floats for x in frame.get_column(name).to_list()):
        return frame
    counts = frame.select(pl.col(floats).is_nan().sum()).row(0) if floats else ()
    found = {name: count for name, count in zip(floats, counts, strict=True) if count}
    notes += told_nan(found)
    return frame.with_columns(pl.col(list(found)).fill_nan(None)) if found else frame


def told_nan(counts: Mapping[str, int]) -> list[str]:
    """What is told of columns with so many of them."""
    return [f"column {name!r}: {count} NaN taken as missing" for name, count in counts.items() if count]


def _is_plain(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_integer() or dtype in (pl.String, pl.Boolean)


def _plain(column: pl.Series, where: str, notes: list[str]) -> pl.Series:
    dtype, name = column.dtype, column.name
    if dtype in (pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    if dtype.is_decimal():
        return column.cast(pl.Float64)
    if dtype == pl.Duration:
        notes.append(f"column {name!r}: durations are taken as seconds")
        return column.dt.total_microseconds() / 1e6
    if dtype == pl.Object:
        kind = type(next(value for value in column.to_list() if value is not None)).__name__
        raise DataError(
            f"{where}: column {name!r} holds Python objects ({kind}); give numbers, text, dates, bytes, lists or arrays"
        )
    return column


def _flatten(frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Records become columns named `outer.inner`.

    But for a record of bytes and path (an embedded file), which becomes its bytes, and SQuAD's answers.
    """
    parts: list[pl.Series] = []
    for column in frame:
        if _of_squad(column.dtype):
            parts.append(_first_answer(column, notes))
            continue
        if not isinstance(column.dtype, pl.Struct) or _is_answer(column.dtype):
            parts.append(column)
            continue
        names = [inner.name for inner in column.dtype.fields]
        if set(names) == {"bytes", "path"}:
            inner = column.struct.field("bytes")
            parts.append((inner if inner.null_count() < len(inner) else column.struct.field("path")).alias(column.name))
            notes.append(f"column {column.name!r}: records of bytes and path are taken as the files they hold")
            continue
        parts.extend(column.struct.field(name).alias(f"{column.name}.{name}") for name in names)
        notes.append(f"column {column.name!r} holds records; its fields became columns {column.name}.<field>")
    check_names((part.name for part in parts), "the table, once its records are laid out,")
    return pl.DataFrame(parts)


def _first_answer(column: pl.Series, notes: list[str]) -> pl.Series:
    """The first of SQuAD's answers as a start and a text.

    These are {"answer_start", "text"} with a list of each, or one, or a list of such records.
    """
    first = column.list.first() if column.dtype == pl.List else column
    fields = [first.struct.field(name).alias(ours) for name, ours in (("answer_start", "start"), ("text", "text"))]
    lists = [x for x in (column, *fields) if x.dtype == pl.List]
    if lists and (several := int((lists[0].list.len() > 1).sum())):
        told = counted(several, "row|rows has|have")
        notes.append(f"column {column.name!r}: {told} several answers, of which the first is taken")
    answers = pl.DataFrame([x.list.first() if x.dtype == pl.List else x for x in fields]).to_struct(column.name)
    return answers.zip_with(column.is_not_null(), pl.Series([None], dtype=answers.dtype))


def _of_squad(dtype: pl.DataType) -> bool:
    """Whether these are answers as SQuAD has them (see `_first_answer`)."""
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    return isinstance(inner, pl.Struct) and {one.name for one in inner.fields} == {"answer_start", "text"}


def _is_answer(dtype: pl.Struct) -> bool:
    """Whether records say where in a text an answer stands, which is one value (see `columns.span`)."""
    known = {field.name: field.dtype for field in dtype.fields if field.dtype != pl.Null}
    start, end, text = (known.pop(name, None) for name in ("start", "end", "text"))
    whole = all(place is None or place.is_integer() for place in (start, end))  # type: ignore[union-attr]
    return not known and whole and start is not None and (text == pl.String or (text is None and end is not None))


def _shown(names: list[str]) -> str:
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
