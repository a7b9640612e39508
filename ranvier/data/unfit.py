"""What does not fit in a delimited file: counted while it is read, told or refused in the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.data.encoding import Bytes, blocks

_MOST = 0.01  # of the rows that may have another number of fields than the header
_SHOWN = 3  # lines named in a note


@dataclass
class Unfit:
    """width: fields of the header. rows: read so far. returns: parts with lone carriage returns. spare: values without
    a column. trimmed: rows with more delimiters at the end. spaces: those between quotes and delimiters. short, long:
    (line, row, record) with too few, too many fields."""

    width: int
    delimiter: str
    rows: int = 0
    blank: int = 0
    headers: int = 0
    returns: int = 0
    spare: int = 0
    trimmed: int = 0
    spaces: int = 0
    short: list[tuple[int, int, list[str]]] = field(default_factory=list)
    long: list[tuple[int, int, list[str]]] = field(default_factory=list)

    def fitted(self, record: list[str], line: int, row: int) -> list[str | None] | None:
        """The record with as many fields as the header; None for a blank line.

        What is too short is filled up with missing values; of one that is too long nobody knows which field is which,
        so that all its values are missing. row: how many of this chunk came before.
        """
        if len(record) == self.width:
            return record  # type: ignore[return-value]
        if not record and self.width > 1:
            self.blank += 1
            return None
        if len(record) < self.width:
            if record:
                self.short.append((line, self.rows + row, record))
            return [*record, *[None] * (self.width - len(record))]
        if not any(record[self.width :]):
            self.trimmed += 1
            return record[: self.width]  # type: ignore[return-value]
        self.long.append((line, self.rows + row, record))
        return [None] * self.width

    def tell(self, where: str, notes: list[str]) -> None:
        """What was repaired, in sentences. Raises DataError naming the first row, where more than 1 % do not fit."""
        bad = sorted(self.short + self.long)
        if len(bad) > _MOST * self.rows:
            line, row, record = bad[0]
            fields = "1 field" if len(record) == 1 else f"{len(record)} fields"
            more = f"{len(bad):,} of {self.rows:,} rows do not fit; " if len(bad) > 1 else ""
            raise DataError(
                f"{where}, line {line} (row {row}): {fields}, but the header has {self.width} "
                f'(delimiter {self.delimiter!r}); {more}a text that holds the delimiter needs "quotes". The line '
                f"starts: {self.delimiter.join(record)[:60]!r}"
            )
        found = [
            (self.blank, f"{counted(self.blank, 'blank line|lines')} left out"),
            (
                self.headers,
                f"the header comes "
                f"{counted(self.headers, 'time|times more among the rows; this|these line|lines is|are left out')}",
            ),
            (self.returns, "carriage returns without a line feed are taken as ends of lines, outside quotes"),
            (
                self.trimmed,
                f"{counted(self.trimmed, 'row|rows ends|end in more delimiters than the header, which are left out')}",
            ),
            (
                self.spaces if self.delimiter != " " else 0,
                f"{counted(self.spaces, 'space|spaces between quotes and what is around them is|are left out')}",
            ),
            (
                self.spare,
                f"{counted(self.spare, 'value|values stands|stand after the last named column, and is|are left out')}",
            ),
            (
                len(self.short),
                f"{counted(len(self.short), 'row|rows has|have')} too few fields; the last are missing "
                f"({_lines(self.short)})",
            ),
            (
                len(self.long),
                f"{counted(len(self.long), 'row|rows has|have')} too many fields, so that which is which "
                "is not known; all their values "
                f"are missing ({_lines(self.long)})",
            ),
        ]
        notes += [f"{where}: {told}" for count, told in found if count]


def _lines(rows: list[tuple[int, int, list[str]]]) -> str:
    shown = ", ".join(f"line {line}" for line, _, _ in rows[:_SHOWN])
    return shown + (", ..." if len(rows) > _SHOWN else "")


def lines_before(data: Bytes, place: int) -> int:
    """How many lines end before that byte."""
    count, seen = 0, 0
    for block in blocks(data):
        if seen >= place:
            break
        count += int(np.count_nonzero(block[: place - seen] == ord("\n")))
        seen += len(block)
    return count
