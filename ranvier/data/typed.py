"""Types for columns that come as text in chunks: numbers are kept as such chunk by chunk, the rest decided last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import polars as pl

from ranvier.core.threads import each
from ranvier.data.header import is_float
from ranvier.data.infer import (
    HEAD,
    MARKERS,
    coded,
    infer_column,
    is_marker,
    is_number,
    is_true,
    is_whole,
    plain_text,
    told_markers,
    truths,
)

FEW = 10_000  # rows
SPELLINGS = 32  # different values, of which words for yes and no have fewer


class Typing:
    """Columns in the making; the outcome is that of `infer_column` of all rows.

    A column whose first values are numbers is read as such chunk by chunk. If a later one turns out to hold what is no
    number, it is read once more, as text. types: what the parser may read by itself. nulls: how many, by column.
    rows: seen so far. last: that one. hold: whether values are kept for `finish`; else `settle` tells what they are.
    """

    def __init__(self, names: Sequence[str], as_text: Collection[str] = (), *, hold: bool = True) -> None:
        self.names, self.as_text, self.hold = list(names), set(as_text), hold
        self.nulls, self.rows, self.last = dict.fromkeys(names, 0), 0, pl.DataFrame()
        self._heads: dict[str, list[str]] = {name: [] for name in names}
        self._spellings: dict[str, set[str]] = {name: set() for name in names}
        self.types: dict[str, Any] = {}
        self._numbers: dict[str, Any] = {}  # Int64, Float64
        self._parts: dict[str, list[pl.Series]] = {name: [] for name in names}
        self._markers: dict[str, Counter[str]] = {}
        self._again: list[str] = []
        self.commas: list[str] = []  # numbers that were written with decimal commas, known at the end

    def guess(self, sample: Sequence[Sequence[str]], names: Sequence[str]) -> None:
        """Takes columns whose first values are numbers with decimals for such. sample: the first records."""
        for place, name in enumerate(names):
            if name not in self._parts or name in self.as_text:
                continue
            values = [record[place].strip() for record in sample if len(record) > place]
            values = [value for value in values if value.lower() not in MARKERS]
            if values and all(map(is_float, values)):
                whole = all(value.lstrip("+-").isdigit() for value in values)
                if not whole or all(abs(int(value)) < 2**63 for value in values):
                    self._set(name, pl.Int64 if whole else pl.Float64)

    def add(self, frame: pl.DataFrame) -> None:
        """Takes in the next rows, one at least, strings or what `types` names."""
        self.rows, self.last = self.rows + frame.height, frame.select(self.names).tail(1)
        whole = [n for n, dtype in self._numbers.items() if dtype == pl.Int64]
        made = frame.select(pl.col(whole).cast(pl.Int64, strict=False)) if whole else frame
        zeros = frame.select(coded(pl.col(whole)).any()).row(0, named=True) if whole else {}
        for name in self.names:
            column = frame[name]
            if name in self._again:
                continue
            if name not in self._numbers:
                self._add_text(column)
            elif self._numbers[name] == pl.Int64:
                self._add_whole(column, made[name], bool(zeros[name]))
            else:
                self._add_floats(column)

    def _keep(self, column: pl.Series) -> None:
        self.nulls[column.name] += column.null_count()
        if self.hold:
            self._parts[column.name].append(column)

    def _add_text(self, column: pl.Series) -> None:
        self._keep(column)
        if self.hold or column.name in self.as_text:
            return
        head, spellings = self._heads[column.name], self._spellings[column.name]
        if len(head) < HEAD:
            head += column.drop_nulls().head(HEAD - len(head)).str.strip_chars().to_list()
        if len(spellings) <= SPELLINGS:
            spellings |= set(column.drop_nulls().unique().head(SPELLINGS + 1))

    def _add_whole(self, text: pl.Series, made: pl.Series, zeros: bool) -> None:
        if zeros:
            self._read_again(text.name)
        elif made.null_count() == text.null_count():
            self._keep(made)
        else:
            odd = text.filter(made.is_null() & text.is_not_null()).str.strip_chars()
            left = odd.filter(~is_marker(odd))
            if not len(left) or left.cast(pl.Int64, strict=False).null_count() == 0:
                self._add_odd(text, odd, pl.Int64)
            elif is_whole(left).any() or not is_number(left).all():
                self._read_again(text.name)
            else:
                name = text.name
                self._set(name, pl.Float64)
                self._parts[name] = [part.cast(pl.Float64) for part in self._parts[name]]
                self._add_floats(text)

    def _add_floats(self, column: pl.Series) -> None:
        if column.dtype == pl.Float64:
            self._keep(column)
            return
        made = column.cast(pl.Float64, strict=False)
        if made.null_count() == column.null_count() and not made.is_nan().any():
            self._keep(made)
            return
        odd = column.filter((made.is_null() | made.is_nan()) & column.is_not_null()).str.strip_chars()
        left = odd.filter(~is_marker(odd))
        if is_number(left).all():
            self._add_odd(column, odd, pl.Float64)
        else:
            self._read_again(column.name)

    def _add_odd(self, text: pl.Series, odd: pl.Series, dtype: Any) -> None:
        """Numbers among which there are markers, and spaces around."""
        marked = odd.filter(is_marker(odd))
        counts = marked.value_counts().rows() if len(marked) else []
        self._markers.setdefault(text.name, Counter()).update(dict(counts))
        self.types.pop(text.name, None)  # there will be more, which the parser would stumble over
        self._keep(_without_markers(text).cast(dtype))

    def _set(self, name: str, dtype: Any) -> None:
        self._numbers[name] = dtype
        if dtype == pl.Float64:
            self.types[name] = dtype

    def _read_again(self, name: str) -> None:
        self._again.append(name)
        self._parts[name] = []
        del self._numbers[name]
        self.types.pop(name, None)
        self._markers.pop(name, None)

    def settle(self, texts: Callable[[list[str]], pl.DataFrame], notes: list[str]) -> dict[str, Any]:
        """{column: its type, or where all values together tell what they are, these}; arguments as of `finish`."""
        told: dict[str, list[str]] = {name: [] for name in self.names}
        settled = {name: self._by_first(name, told[name]) for name in self.names}
        unknown = [name for name, dtype in settled.items() if dtype is None]
        for column in texts(unknown) if unknown else ():
            made = infer_column(column, told[column.name])
            self.nulls[column.name] = made.null_count()
            settled[column.name] = pl.String if made.dtype == pl.String else made
        for name, markers in self._markers.items():
            told[name] += [told_markers(name, markers.items())] if markers else []
        notes += [note for each in told.values() for note in each]
        return settled

    def _by_first(self, name: str, notes: list[str]) -> Any:
        """The type of a column that its first values and different spellings tell; None where they do not."""
        if name in self._numbers or name in self._again:
            return self._numbers.get(name)
        head, spellings = pl.Series(name, self._heads[name], dtype=pl.String), self._spellings[name]
        if name in self.as_text or plain_text(head):
            return pl.String
        return pl.Boolean if len(spellings) <= SPELLINGS and truths(head, spellings, notes) else None

    @property
    def parsed(self) -> dict[str, Any]:
        """The columns that the parser may read by itself, all values having been seen."""
        return {name: dtype for name, dtype in self._numbers.items() if name not in self._markers}

    def finish(self, texts: Callable[[list[str]], pl.DataFrame], notes: list[str]) -> pl.DataFrame:
        """The columns. texts: gives some of them for all rows as they were written."""
        again = texts(self._again) if self._again else pl.DataFrame()

        def made(name: str) -> tuple[pl.Series, list[str], bool]:
            parts, told, commas = self._parts.pop(name), list[str](), False
            column = again[name] if name in self._again else pl.concat(parts, rechunk=True)
            if name not in self._numbers and name not in self.as_text:
                text, column = column, infer_column(column, told)
                commas = column.dtype == pl.Float64 and bool(text.str.contains(",").any())
            if self._markers.get(name):
                told.append(told_markers(name, self._markers[name].items()))
            return column, told, commas

        several = each if self.rows > FEW else map  # threads cost more than the work for a few rows
        done = list(several(made, self.names))
        notes += [note for _, told, _ in done for note in told]
        self.commas = [column.name for column, _, commas in done if commas]
        return pl.DataFrame([column for column, _, _ in done])


def as_settled(column: pl.Series, dtype: Any) -> pl.Series:
    """Strings, or what the parser has made of them, in the type that `Typing.settle` tells."""
    if column.dtype == dtype:
        return column
    if dtype == pl.Boolean:
        return is_true(column)
    made = column.cast(dtype, strict=False)
    if made.null_count() == column.null_count() and not (made.dtype == pl.Float64 and made.is_nan().any()):
        return made
    return _without_markers(column).cast(dtype)


def _without_markers(text: pl.Series) -> pl.Series:
    plain = text.str.strip_chars()
    return plain.set(is_marker(plain), None)
