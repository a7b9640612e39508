"""Data as they were read in training: what was text then is text now, what was packed is packed, what lacks is null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ranvier.columns.number import Number
from ranvier.columns.row import Row
from ranvier.core.column import Column
from ranvier.core.plan import Plan
from ranvier.data.folder import IMAGE
from ranvier.data.read import of_pictures, read
from ranvier.data.table import Table
from ranvier.data.together import packed
from ranvier.model.frames import completed, is_pandas


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
        frame = table.frame
        if any(name in frame.columns for name in self.together):
            frame = packed(frame, self.together)
        notes = list(table.notes)
        for name, column in self.columns.items():
            if name in frame.columns:
                values, told = column.settled(frame[name])
                frame, notes = frame.with_columns(values.alias(name)), notes + told
        return Table(frame, notes)
