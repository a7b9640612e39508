"""Workbooks of Excel (.xlsx, .xlsm), by the extra `excel`: values as stored; what was done to the table is told."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

import polars as pl

from ranvier.core.counts import counted
from ranvier.core.errors import DataError, MissingExtra
from ranvier.data.header import called, titles
from ranvier.data.infer import infer_column
from ranvier.data.records import series_of
from ranvier.data.table import Table

EXCEL = (".xlsx", ".xlsm")
# what openpyxl raises for what it does not know, too, such as a sheet of a chart without a chart
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_UNCOUNTED = rb"<f[ >](?:(?!<v|</c>).)*(?:</f>|/>)(?:<v></v>|<v/>)?</c>"  # a formula without the value it had
Rows = dict[int, dict[int, Any]]  # values by row and column, where there are any


def read_excel(data: bytes, where: str, as_text: Collection[str] = ()) -> Table:
    """The first sheet with values as a table: formulas by the values last computed, dates by their number format.

    Errors such as #N/A are missing, merged cells one below the other all have the value of the first, titles above the
    header and empty rows and columns are left out; each is counted. as_text: columns to keep as text. Raises DataError,
    MissingExtra without openpyxl.
    """
    notes: list[str] = []
    book = _book(data, where)
    filled = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible" and _has_values(sheet)]
    if not filled:
        raise DataError(f"{where} has no visible sheet with values (sheets: {', '.join(book.sheetnames)})")
    sheet, others = filled[0], [other.title for other in filled[1:]]
    if others:
        shown = ", ".join(map(repr, others))
        notes.append(f"{where}: the sheet {sheet.title!r} is read; {shown} too have values, and are left out")
    rows = _cells(sheet, where, notes)
    empty = _uncomputed(data)
    if empty:
        notes.append(
            f"{where}: {empty:,} formulas have no value stored, so that they are missing; open it in a "
            "spreadsheet program and save it"
        )
    return _table(rows, where, notes, as_text)


def _book(data: bytes, where: str) -> Any:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ModuleNotFoundError:
        raise MissingExtra("openpyxl", "excel") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which hold no values
            return load_workbook(BytesIO(data), data_only=True)
    except (*_DAMAGED, InvalidFileException) as error:
        raise DataError(f"{where} is no readable Excel workbook ({error}); save it anew as .xlsx or CSV") from None


def _has_values(sheet: Any) -> bool:
    return any(cell.value is not None for cell in _held(sheet).values())


def _held(sheet: Any) -> dict[tuple[int, int], Any]:
    """The cells that the file holds: the sheet's own rows reach down to a last one, however far, that has a format."""
    return sheet._cells  # type: ignore[no-any-return]


def _cells(sheet: Any, where: str, notes: list[str]) -> Rows:
    """All values, errors as missing and merged cells filled downwards."""
    errors: Counter[str] = Counter()
    rows: Rows = {}
    for (row, column), cell in _held(sheet).items():
        if (value := _value(cell, errors)) is not None:
            rows.setdefault(row, {})[column] = value
    if errors:
        told = ", ".join(f"{count:,} of {name}" for name, count in errors.most_common())
        notes.append(f"{where}: cells hold errors, taken as missing: {told}")
    merged = 0
    for region in sheet.merged_cells.ranges:
        if region.max_row > region.min_row:
            merged += 1
            value = rows.get(region.min_row, {}).get(region.min_col)
            for row in range(region.min_row, region.max_row + 1) if value is not None else ():
                rows.setdefault(row, {})[region.min_col] = value
    if merged:
        notes.append(f"{where}: {counted(merged, 'cell|cells is|are')} merged over several rows, which all have it")
    return rows


def _value(cell: Any, errors: Counter[str]) -> Any:
    value = cell.value
    if cell.data_type == "e":
        errors[str(value)] += 1
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    return None if isinstance(value, str) and not value.strip() else value


def _uncomputed(data: bytes) -> int:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return sum(len(re.findall(_UNCOUNTED, archive.read(name))) for name in sheets)


def _table(rows: Rows, where: str, notes: list[str], as_text: Collection[str]) -> Table:
    if not rows:
        raise DataError(f"{where} holds errors and blanks only; a header and at least one row are needed")
    columns = sorted({column for row in rows.values() for column in row})
    whole = [[rows[row].get(column) for column in columns] for row in sorted(rows)]
    first = titles([_shown(row) for row in whole[:200]])
    if first:
        notes.append(f"{where}: {counted(first, 'row|rows above the header is|are left out')}")
    header, body = whole[first], whole[first + 1 :]
    blank = max(rows) - min(rows) + 1 - len(rows)
    if blank:
        notes.append(f"{where}: {counted(blank, 'empty row|rows')} left out")
    names = called(["" if value is None else str(value).strip() for value in header], where, notes)
    if not body:
        raise DataError(f"{where} has a header ({', '.join(names[:8])}) but no rows")
    made = [
        _column(name, list(values), notes, as_text) for name, values in zip(names, zip(*body, strict=True), strict=True)
    ]
    return Table(pl.DataFrame(made), notes)


def _shown(row: list[Any]) -> list[str]:
    """The cells as text; of a row with one value that alone, for it may be a title."""
    filled = [str(value) for value in row if value is not None]
    return filled if len(filled) == 1 else ["" if value is None else str(value) for value in row]


def _column(name: str, values: list[Any], notes: list[str], as_text: Collection[str]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds & {datetime, date} and kinds <= {datetime, date}:
        stamps = [v if v is None or isinstance(v, datetime) else datetime(v.year, v.month, v.day) for v in values]
        days = all(stamp is None or stamp.time() == time() for stamp in stamps)
        made = pl.Series(name, stamps, dtype=pl.Datetime("us"))
        return made.dt.date() if days else made
    if kinds & {datetime, date, time} and len(kinds) > 1:
        told = " and ".join(sorted(kind.__name__ for kind in kinds))
        notes.append(f"column {name!r} mixes {told}; taken as text")
        kinds, values = {str}, [None if value is None else str(value) for value in values]
    made = series_of(name, values, "the sheet", notes)
    if name in as_text:
        return made.cast(pl.String)
    return infer_column(made, notes) if kinds == {str} else made  # of other kinds it is done
