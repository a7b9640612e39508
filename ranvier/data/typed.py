"""Types for columns that come as text in chunks: numbers are kept as such chunk by chunk, the rest decided last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import polars as pl

from ranvier.data.header import is_float
from ranvier.data.infer import MARKERS, coded, infer_column, is_marker, is_number, is_whole, told_markers


class Typing:
    """Columns in the making; the outcome is that of `infer_column` of all rows.

    A column whose first values are numbers is read as such chunk by chunk. If a later one turns out to hold what is no
    number, it is read once more, as text. types: what the parser may read by itself.
    """

    def __init__(self, names: Sequence[str], as_text: Collection[str] = ()) -> None:
        self.names, self.as_text = list(names), set(as_text)
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
        """Takes in the next rows, strings or what `types` names."""
        whole = [n for n, dtype in self._numbers.items() if dtype == pl.Int64]
        made = frame.select(pl.col(whole).cast(pl.Int64, strict=False)) if whole else frame
        zeros = frame.select(coded(pl.col(whole)).any()).row(0, named=True) if whole else {}
        for name in self.names:
            column = frame[name]
            if name in self._again:
                continue
            if name not in self._numbers:
                self._parts[name].append(column)
            elif self._numbers[name] == pl.Int64:
                self._add_whole(column, made[name], bool(zeros[name]))
            else:
                self._add_floats(column)

    def _add_whole(self, text: pl.Series, made: pl.Series, zeros: bool) -> None:
        if zeros:
            self._read_again(text.name)
        elif made.null_count() == text.null_count():
            self._parts[text.name].append(made)
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
            self._parts[column.name].append(column)
            return
        made = column.cast(pl.Float64, strict=False)
        if made.null_count() == column.null_count() and not made.is_nan().any():
            self._parts[column.name].append(made)
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
        plain = text.str.strip_chars()
        self._parts[text.name].append(plain.set(is_marker(plain), None).cast(dtype))

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

    def finish(self, texts: Callable[[list[str]], pl.DataFrame], notes: list[str]) -> pl.DataFrame:
        """The columns. texts: gives some of them for all rows as they were written."""
        again = texts(self._again) if self._again else None
        done = []
        for name in self.names:
            parts = self._parts.pop(name)
            if again is not None and name in self._again:
                column = again[name]
            else:
                column = pl.concat(parts, rechunk=True) if len(parts) > 1 else parts[0]
            if name not in self._numbers and name not in self.as_text:
                text, column = column, infer_column(column, notes)
                self.commas += [name] if column.dtype == pl.Float64 and text.str.contains(",").any() else []
            if self._markers.get(name):
                notes.append(told_markers(name, self._markers[name].most_common()))
            done.append(column)
        return pl.DataFrame(done)
