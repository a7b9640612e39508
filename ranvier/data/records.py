"""Values from Python: lists and JSON records as columns, with one answer for mixed kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.errors import DataError, half_character
from ranvier.data.infer import infer_column
from ranvier.data.scenes import from_coco, is_coco
from ranvier.data.strict import Twice, parsed
from ranvier.data.table import Table, check_names

_DTYPES: dict[type, type[pl.DataType]] = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String}


def read_lines(data: bytes, where: str) -> Table:
    """JSON Lines: one object a line; blank lines are passed over. Raises DataError naming the line."""
    records = []
    for number, line in enumerate(data.decode().split("\n"), 1):
        if not line.strip():
            continue
        record = _parse(line, where, number)
        if not isinstance(record, dict):
            raise DataError(f'{where}, line {number}: expected an object such as {{"a": 1}}, got {record!r:.60}')
        records.append(record)
    return from_records(records, where)


def read_json(data: bytes, where: str) -> Table:
    """A JSON array of objects, one object of equally long arrays or of one array of objects, or COCO's boxes."""
    value = _parse(data.decode(), where)
    if is_coco(value):
        return from_coco(value, where)
    inside = [key for key, v in value.items() if _holds_records(v)] if isinstance(value, dict) else []
    if len(inside) == 1:
        others = [repr(key) for key in value if key != inside[0]]
        table = from_records(value[inside[0]], where)
        table.notes += [f"{where}: the rows are under {inside[0]!r}; {', '.join(others)} left out"] if others else []
        return table
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        return from_lists(value, where)
    if not isinstance(value, list):
        raise DataError(f"{where} holds a JSON {type(value).__name__}; expected an array of objects (or use .jsonl)")
    return from_records(value, where)


def _holds_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def from_records(records: Sequence[Any], where: str) -> Table:
    """A list of mappings; a key absent from one is missing there."""
    names: dict[str, Any] = {}
    for row, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise DataError(f"{where}, row {row}: expected an object with column names, got {record!r:.60}")
        names.update(record)  # order of first appearance; the values do not matter
    if not records:
        raise DataError(f"{where} has no rows")
    return from_lists({name: [record.get(name) for record in records] for name in names}, where)


def from_lists(columns: Mapping[str, Sequence[Any]], where: str) -> Table:
    """Columns by name, as lists of Python values of one length."""
    check_names(map(str, columns), where)
    check_lengths({name: len(values) for name, values in columns.items()}, where)
    notes: list[str] = []
    return Table(pl.DataFrame([series_of(str(n), list(v), where, notes) for n, v in columns.items()]), notes)


def check_lengths(lengths: Mapping[str, int], where: str) -> None:
    """Raises DataError, naming two columns, unless all lengths are the same."""
    if len(set(lengths.values())) > 1:
        (first, n), *rest = lengths.items()
        other, m = next((name, length) for name, length in rest if length != n)
        raise DataError(f"{where}: columns differ in length: {first!r} has {n} rows, {other!r} has {m}")


def series_of(name: str, values: list[Any], where: str, notes: list[str]) -> pl.Series:
    """Python values as a column: int and float mix to float, numbers and text to text (told in `notes`).

    Raises DataError, naming the row, if the values have no type in common.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= set(_DTYPES):
        return _scalars(name, values, kinds, notes)
    try:
        return pl.Series(name, values, strict=True)
    except UnicodeEncodeError as error:
        raise _half(name, values, error) from None
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        pass
    try:
        return pl.Series(name, [_floats(value) for value in values], strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        row = _first_other(values)
        raise DataError(
            f"{where}: column {name!r} mixes kinds of value: row {row} holds {values[row]!r:.60}, unlike those before "
            f"it; give every row the same kind"
        ) from None


def _scalars(name: str, values: list[Any], kinds: set[type], notes: list[str]) -> pl.Series:
    if kinds == {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if len(kinds) == 1:
        try:
            return pl.Series(name, values, dtype=_DTYPES[next(iter(kinds))])
        except (OverflowError, TypeError):
            notes.append(f"column {name!r}: whole numbers beyond 64 bits, kept as text so that no digit is lost")
            return pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
        except UnicodeEncodeError as error:
            raise _half(name, values, error) from None
    text = pl.Series(name, [None if v is None else _as_text(v) for v in values], dtype=pl.String)
    made = infer_column(text, notes)
    if made.dtype == pl.String:
        told = " and ".join(sorted(kind.__name__ for kind in kinds))
        notes.append(f"column {name!r} mixes {told}; taken as text")
    return made


def _half(name: str, values: list[Any], error: UnicodeEncodeError) -> DataError:
    """What is wrong with a text, or one in a list, that holds half a surrogate pair."""
    row = next((i for i, v in enumerate(values) if isinstance(v, str | list | tuple) and error.object in v), None)
    return half_character(f"column {name!r}" + ("" if row is None else f", row {row}"), error)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _floats(value: Any) -> Any:
    """Nested lists with every whole number as a float, so that [1, 2.5] has one type."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list | tuple):
        return [_floats(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _floats(inner) for key, inner in value.items()}
    return value


def _first_other(values: Iterable[Any]) -> int:
    seen: type | None = None
    row = 0
    for row, value in enumerate(values):
        if value is None:
            continue
        if seen is not None and type(value) is not seen:
            return row
        seen = type(value)
    return row


def _parse(text: str, where: str, line: int = 0) -> Any:
    try:
        return parsed(text)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno}, character {error.colno}"
        raise DataError(f"{where}, {place}: no valid JSON: {error.msg}") from None
    except Twice as error:
        raise DataError(
            f"{where}{f', line {line}' if line else ''}: the key {error} appears twice in one object"
        ) from None
    except RecursionError:
        raise DataError(f"{where}: JSON nested too deeply") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise DataError(f"{where}{f', line {line}' if line else ''}: {error}") from None
