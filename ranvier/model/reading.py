"""Data as they were read in training: what was text then is text now, what was packed is packed, what lacks is null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from ranvier.columns._numbers import MISSING
from ranvier.columns.number import Number
from ranvier.columns.row import Row
from ranvier.columns.text import Text
from ranvier.columns.words import Words
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.core.plan import Plan
from ranvier.data.folder import IMAGE
from ranvier.data.pieces import Pieces, one_piece
from ranvier.data.read import of_pictures, read, read_pieces
from ranvier.data.table import Table
from ranvier.data.together import packed
from ranvier.model.frames import blank, completed, is_pandas, lacking, told_lacking, with_nulls


def _with_commas(column: Column) -> bool:
    """Whether its numbers have decimal commas as text, which a reader cannot tell of few of them."""
    return isinstance(column, Number) and bool(column.manner.comma)


class Reader:
    """Reads for a model of this plan with these columns: `reader(data)`."""

    def __init__(self, columns: Mapping[str, Column], plan: Plan) -> None:
        self.plan, self.together, self.columns = plan, plan.data.together, columns
        self.texts = [n for n, column in columns.items() if column.raw == "String" or _with_commas(column)]
        self.texts += [name for column in columns.values() if isinstance(column, Row) for name in column.texts()]

    def __call__(self, data: Any) -> Table:
        """Raises DataError."""
        return completed(self.packed(self.unpacked(data)), self.plan)

    def unpacked(self, data: Any) -> Table:
        """As the user has them. Raises DataError."""
        index = data.index if is_pandas(data) else None
        if index is not None and (index.dtype.kind not in "iu" or any(name is not None for name in index.names)):
            data = data.reset_index(drop=True)  # predictions keep it, so that nothing needs to be said of it
        table = read(data, as_text=self.texts)
        return self.named(table) if of_pictures(data) else table

    def named(self, table: Table) -> Table:
        """The table of a folder, or of files of pictures, as the model's only input of pictures, however called."""
        wanted = [name for name in self.plan.inputs if self.plan.columns[name].type == "image"]
        if len(wanted) != 1 or wanted[0] in table.frame.columns or IMAGE not in table.frame.columns:
            return table
        return Table(table.frame.with_columns(pl.col(IMAGE).alias(wanted[0])), table.notes)

    def packed(self, table: Table) -> Table:
        """The same table, its columns packed if they are there, and read alike in all rows."""
        frame, notes = self._together(table.frame), list(table.notes)
        for name, column in self.columns.items():
            if name in frame.columns:
                values, told = column.settled(frame[name])
                frame, notes = frame.with_columns(values.alias(name)), notes + told
        return Table(frame, notes)

    def _together(self, frame: pl.DataFrame) -> pl.DataFrame:
        return packed(frame, self.together) if any(name in frame.columns for name in self.together) else frame

    def pieces(self, data: Any) -> Pieces:
        """As a call, piece by piece where the data are files that can be read so. Raises DataError, at once."""
        found = read_pieces(data, as_text=self.texts)
        if found is None:
            return one_piece(self(data))
        head = self._together(found.head)
        held, notes = self._settled(found), list(found.notes)
        for name in self.columns:  # in their order
            notes += held[name][1] if name in held else []
        nulls = found.nulls | {name: values.null_count() for name, (values, _) in held.items()}
        absent = lacking(head.columns, self.plan)
        notes += [*blank(nulls, found.rows, self.plan), *told_lacking(absent, head.columns)]

        def frames() -> Iterator[pl.DataFrame]:
            start = 0
            for piece in found.frames():
                settled = [values[start : start + piece.height].alias(name) for name, (values, _) in held.items()]
                yield with_nulls(self._together(piece).with_columns(settled), absent)
                start += piece.height

        settled = [values.clear().alias(name) for name, (values, _) in held.items()]
        return Pieces(with_nulls(head.with_columns(settled), absent), found.rows, nulls, frames, notes)

    def _settled(self, found: Pieces) -> dict[str, tuple[pl.Series, list[str]]]:
        """What `Column.settled` gives of all rows, for columns of which it does not give the values themselves."""
        texts = [name for name, dtype in found.head.schema.items() if dtype == pl.String and name in self.columns]
        able = [name for name in texts if type(self.columns[name]).settled is not Column.settled]
        odd = {name for piece in found.frames() for name in able if self._differs(name, piece[name])} if able else set()
        whole: dict[str, list[pl.Series]] = {name: [] for name in able if name in odd}
        for piece in found.frames() if whole else ():
            for name, parts in whole.items():
                parts.append(piece[name])
        return {name: self.columns[name].settled(pl.concat(parts)) for name, parts in whole.items()}

    def _differs(self, name: str, values: pl.Series) -> bool:
        return self.columns[name].settled(values)[0] is not values


def check_readable(plan: Plan, columns: Mapping[str, Column], table: Table, given: Mapping[str, Sequence[Any]]) -> None:
    """Raises DataError for a given value that its input's column cannot read, as a missing file; not for blank ones."""
    for name in plan.inputs:
        if name not in given or isinstance(columns[name], Text | Words):  # of which nothing is too little
            continue
        read = columns[name].encode(table.frame[name])
        for value, there in zip(given[name], read.observed, strict=True):
            if not (there or is_missing(value)):
                told = [f"no {plan.columns[name].type} can be read from {name} = {value!r:.80}", *table.notes]
                raise DataError("; ".join([*told, *read.notes]))


def is_missing(value: Any) -> bool:
    """Whether a value given alone says that there is none."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and value != value)
