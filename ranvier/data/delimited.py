"""CSV and TSV in chunks, so that a file of any length is read in bounded memory; rows that do not fit are told."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.errors import DataError
from ranvier.core.room import let_go
from ranvier.core.threads import ahead
from ranvier.data.encoding import Bytes, as_utf8
from ranvier.data.header import Layout, lay_out, numbered
from ranvier.data.spaces import tight
from ranvier.data.unfit import Unfit, lines_before

CHUNK = 1 << 24  # bytes that are parsed together
_QUOTE, _FEED, _RETURN = b'"\n\r'
_EDGES = np.zeros(256, bool)
_EDGES[[_QUOTE, _FEED, _RETURN]] = True
Types = Mapping[str, Any]  # of columns that the parser may read as numbers by itself


@dataclass
class Delimited:
    """A CSV that is laid out, and can be gone through as often as is needed. size: of a chunk in bytes, 0 = CHUNK."""

    data: Bytes
    where: str
    layout: Layout
    size: int = 0

    @property
    def names(self) -> list[str]:
        """The columns to come: without one that only delimiters at the ends of lines have made."""
        names = list(self.layout.names)
        return names[:-1] if self.layout.spare else names

    def frames(self, types: Types, notes: list[str], columns: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """The rows in chunks: strings, but for the columns in `types` wherever a chunk can be read as these.

        An empty field is null. `types` may change between chunks. columns: those wanted, () for all. notes: gets in the
        end what was repaired. Raises DataError for a quote that is never closed, and, naming the first, where more than
        1 % of the rows have another number of fields than the header.
        """
        wanted = list(columns) or self.names
        unfit = Unfit(len(self.layout.names), self.layout.delimiter)

        def quickly(place: tuple[int, bytes, int]) -> tuple[int, bytes, int, pl.DataFrame | None]:
            return *place, self._quickly(place[1], types)

        for start, block, spaces, frame in ahead(quickly, self._blocks()):
            unfit.spaces += spaces
            if frame is None:
                frame = self._slowly(block, start, unfit)
            unfit.rows += frame.height
            if self.layout.spare:
                unfit.spare += frame.height - frame.to_series(-1).null_count()
            if frame.height:
                yield frame.select(wanted)
        unfit.tell(self.where, notes)

    def _blocks(self) -> Iterator[tuple[int, bytes, int]]:
        """The place of the first of whole records of some `size` bytes, these, and how many spaces they lost."""
        start, end, size = self.layout.start, self._end(), self.size or CHUNK
        while start < end:
            raw = self.data[start : min(start + size, end)]
            block = tight(raw, self.layout.delimiter)
            last = start + size >= end
            cut = len(block) if last else _cut(block, self.layout.delimiter)
            if cut or last:
                let_go(np.frombuffer(self.data, np.uint8))  # what is mapped: the block is a copy
                block = block[:cut] if cut < len(block) else block
                size = len(raw) if last else _length(raw, block)
                yield start, block, size - len(block)
                start, size = start + size, self.size or CHUNK
            else:  # one record is longer than that
                size *= 2

    def _end(self) -> int:
        """Where the rows end: blank lines after them are no event, but where a blank line is a row."""
        end = len(self.data)
        while len(self.layout.names) > 1 and end > self.layout.start and self.data[end - 1] in (_FEED, _RETURN):
            end -= 1
        return end

    def _quickly(self, block: bytes, types: Types) -> pl.DataFrame | None:
        """The block by polars; None where it may hold what has to be looked at record by record."""
        delimiter, names = self.layout.delimiter, self.layout.names
        quoted = _QUOTE in block
        if self._repeats(block) or _lone_returns(block):
            return None
        if quoted and len(_quotes(block, delimiter)[1]):
            return None
        frame = _parsed(block, delimiter, {name: types.get(name, pl.String) for name in names})
        if frame is None or _has_nan(frame):
            frame = _parsed(block, delimiter, dict.fromkeys(names, pl.String))
        if frame is None:
            return None
        short = frame.width > 1 and frame.to_series(-1).null_count()  # polars fills up with nulls, blank lines too
        if short and _delimiters(block, delimiter, quoted) != (frame.width - 1) * frame.height:
            return None
        return _without_empty(frame) if quoted else frame

    def _repeats(self, block: bytes) -> bool:
        """Whether the header's line comes again, as in files that were put together of several."""
        line = self.layout.delimiter.join(self.layout.header).encode()
        if len(self.layout.header) < 2:
            return False
        if b"\n" + line not in block and not block.startswith(line):
            return False  # looked for once, for nearly all
        return block.startswith((line + b"\n", line + b"\r")) or any(
            b"\n" + line + end in block for end in (b"\n", b"\r")
        )

    def _slowly(self, block: bytes, start: int, unfit: Unfit) -> pl.DataFrame:
        """The block record by record."""
        before, rows = lines_before(self.data, start), list[list[str | None]]()
        if _lone_returns(block):
            unfit.returns += 1
        try:
            last = before
            for record, line in numbered(block.decode(), self.layout.delimiter, strict=True):
                if tuple(record) == self.layout.header and len(record) > 1:
                    unfit.headers += 1
                elif (row := unfit.fitted(record, last + 1, len(rows))) is not None:
                    rows.append(row)
                last = before + line
        except csv.Error as error:
            raise DataError(
                f"{self.where}, line {last + 1}: {error}; a quote inside a quoted text is written twice"
            ) from None
        return _without_empty(pl.DataFrame(rows, dict.fromkeys(self.layout.names, pl.String), orient="row"))


def open_delimited(data: Bytes, where: str, notes: list[str], delimiter: str | None = None, size: int = 0) -> Delimited:
    """A CSV's bytes as chunks of rows. delimiter: None = found (see `lay_out`). size: of a chunk. Raises DataError."""
    data = as_utf8(data, where, notes)
    if data.find(b"\n") < 0 and data.find(b"\r") >= 0:
        data = bytes(data).replace(b"\r", b"\n")
    return Delimited(data, where, lay_out(data, where, notes, delimiter), size)


def _parsed(block: bytes, delimiter: str, schema: dict[str, Any]) -> pl.DataFrame | None:
    """None where polars cannot read it so."""
    try:
        return pl.read_csv(block, has_header=False, schema=schema, separator=delimiter)
    except pl.exceptions.PolarsError:
        return None


def _has_nan(frame: pl.DataFrame) -> bool:
    """Whether a word such as "nan" was read as a number, which is for `markers` to count."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return bool(floats) and any(frame.select(pl.col(floats).is_nan().any()).row(0))


def _without_empty(frame: pl.DataFrame) -> pl.DataFrame:
    """A quoted nothing is missing, too."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(pl.when(pl.col(texts) != "").then(pl.col(texts)))


def _quotes(block: bytes, delimiter: str) -> tuple[np.ndarray, np.ndarray]:
    """The places of quotes that open and close texts, or stand in pairs within, and of those that are mere signs."""
    values = np.frombuffer(block, np.uint8)
    places = np.flatnonzero(values == _QUOTE)
    around = np.concatenate([[_FEED], values, [_FEED]])
    edges = _EDGES | np.isin(np.arange(256), list(b",;\t|" + delimiter.encode()))
    known = edges[around[places]] | edges[around[places + 2]]
    return places[known], places[~known]


def _cut(block: bytes, delimiter: str) -> int:
    """How many bytes hold whole records."""
    cut = block.rfind(b"\n")
    if _QUOTE not in block:
        return cut + 1
    quotes, _ = _quotes(block, delimiter)
    while cut >= 0 and np.searchsorted(quotes, cut) % 2:  # within a quoted text
        cut = block.rfind(b"\n", 0, cut)
    return cut + 1


def _length(raw: bytes, tight: bytes) -> int:
    """How many bytes of the raw block the tight one, of whole lines, was made of."""
    if raw.startswith(tight):
        return len(tight)
    return int(np.flatnonzero(np.frombuffer(raw, np.uint8) == _FEED)[tight.count(b"\n") - 1]) + 1


def _delimiters(block: bytes, delimiter: str, quoted: bool) -> int:
    """How many stand outside quoted texts."""
    values = np.frombuffer(block, np.uint8)
    hits = values == ord(delimiter)
    if quoted:
        hits &= np.cumsum(values == _QUOTE, dtype=np.uint8) % 2 == 0
    return int(np.count_nonzero(hits))


def _lone_returns(block: bytes) -> bool:
    """Whether carriage returns stand without a line feed."""
    if _RETURN not in block:
        return False
    values = np.frombuffer(block, np.uint8)
    returns = np.flatnonzero(values == _RETURN)
    return bool((np.append(values, _FEED)[returns + 1] != _FEED).any())
