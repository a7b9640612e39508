"""CSV and TSV: encoding, delimiter, header, ragged rows. Every value is read as text; types come after."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator

import polars as pl

from ranvier.core.errors import DataError
from ranvier.data.table import check_names

_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 16
_CHUNK = 1 << 24
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before the mark of UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_delimited(data: bytes, where: str, notes: list[str], delimiter: str | None = None) -> pl.DataFrame:
    """The bytes of a CSV as a frame of strings; an empty field is null.

    delimiter: None = the one of , ; tab | that makes the first rows most even. Raises DataError for a wrong
    encoding, names that appear twice, or a row with another number of fields than the header.
    """
    data = as_utf8(data, where, notes)
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    if delimiter is None:
        delimiter = sniff(data[:_SAMPLE].decode("utf-8", "ignore"))
    names = _header(data, delimiter, where, notes)
    try:
        frame = pl.read_csv(data, infer_schema=False, separator=delimiter)
    except pl.exceptions.PolarsError as error:
        _blame(data, delimiter, len(names), where)
        raise DataError(f"{where} cannot be read as a table: {str(error).splitlines()[0]}") from None
    if frame.width != len(names):
        raise DataError(f"{where}: the header has {len(names)} names, but the rows have {frame.width} fields")
    frame.columns = names
    frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))  # a quoted nothing is missing too
    return _without_short_rows(frame, data, delimiter, where, notes)


def as_utf8(data: bytes, where: str, notes: list[str]) -> bytes:
    """The same text in UTF-8 without byte order mark. Raises DataError naming the first byte that fits no encoding."""
    bom, encoding = next((pair for pair in _BOMS if data.startswith(pair[0])), (b"", ""))
    data = data[len(bom) :]
    if not encoding:
        encoding = _guess_utf16(data[:_SAMPLE]) or "utf-8"
        if encoding != "utf-8":
            notes.append(f"{where} has no byte order mark; read as {encoding}")
    if encoding != "utf-8":
        try:
            return data.decode(encoding).encode()
        except UnicodeError as error:
            raise DataError(f"{where} starts as {encoding} but goes wrong: {error}; save it as UTF-8") from None
    _check_utf8(data, where)
    return data


def _guess_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark shows as zero bytes at every other place."""
    half = len(head) // 2
    if half < 2:
        return None
    odd, even = head[1::2].count(0) / half, head[::2].count(0) / half
    if odd > 0.7 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 and odd < 0.1 else None


def _check_utf8(data: bytes, where: str) -> None:
    decoder, seen = codecs.getincrementaldecoder("utf-8")(), 0
    view = memoryview(data)
    for start in range(0, len(data) + 1, _CHUNK):
        pending = len(decoder.getstate()[0])
        chunk = view[start : start + _CHUNK]
        try:
            text = decoder.decode(chunk, final=start + _CHUNK > len(data))
        except UnicodeDecodeError as error:
            place = seen - pending + error.start
            line = data.count(b"\n", 0, place) + 1
            name, whose = likely_encoding(data[max(0, place - _SAMPLE) : place + _SAMPLE])
            raise DataError(
                f"{where} is not UTF-8: byte 0x{data[place]:02x} at position {place} (line {line}); it may be {whose} "
                f"({name}): iconv -f {name} -t utf-8 FILE > NEW, or save it as UTF-8 in the program it came from"
            ) from None
        if "\0" in text:
            raise DataError(f"{where} holds zero bytes, so it is no text file; is it another format, misnamed?")
        seen += len(chunk)


def likely_encoding(data: bytes) -> tuple[str, str]:
    """(name, whose) of the encoding that bytes around one that is not UTF-8 may be of.

    Chinese signs are two bytes above 127 each; in Western texts such a byte stands alone among letters.
    """
    foreign = sum(byte > 127 for byte in data)
    pairs = len(re.findall(rb"[\x80-\xff]{2}", data))
    return ("gb18030", "Chinese") if 2 * pairs >= 0.8 * foreign else ("cp1252", "Western")


def sniff(sample: str) -> str:
    """The delimiter under which most of the first 200 records have as many fields as the header, at least two."""

    def score(delimiter: str) -> tuple[float, int]:
        records = [r for _, r in zip(range(200), _records(sample, delimiter), strict=False) if r]
        if len(records) > 2:
            records.pop()  # the sample may end inside a record
        width = len(records[0]) if records else 0
        if width < 2:
            return 0.0, 0
        return sum(len(r) == width for r in records) / len(records), width

    best = max(_DELIMITERS, key=score)
    return best if score(best)[1] else ","


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    old = csv.field_size_limit(2**31 - 1)  # long texts are welcome
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    finally:
        csv.field_size_limit(old)


def _header(data: bytes, delimiter: str, where: str, notes: list[str]) -> list[str]:
    end = min(len(data), 1 << 22)
    first = next((r for r in _records(data[:end].decode("utf-8", "ignore"), delimiter) if r), [])
    if not first:
        raise DataError(f"{where} holds only blank lines; a header line and at least one row are needed")
    names = [name.strip() for name in first]
    check_names([name for name in names if name], where)
    blank = [place for place, name in enumerate(names) if not name]
    for place in blank:
        taken, name = set(names), f"column_{place + 1}"
        while name in taken:
            name += "_"
        names[place] = name
        notes.append(f"{where}: column {place + 1} has no name; called {name!r}")
    if len(names) > 1 and all(_is_float(name) for name in names) and not all(name.isdigit() for name in names):
        raise DataError(f"{where}: the first line holds only numbers ({', '.join(names[:4])} ...); add a line of names")
    return names


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_short_rows(frame: pl.DataFrame, data: bytes, delimiter: str, where: str, notes: list[str]) -> pl.DataFrame:
    """Polars fills short rows up with null: look again where the last field is missing."""
    if frame.width == 1 or not frame.to_series(-1).null_count():
        return frame
    text = data.decode()
    sizes = [len(record) for record in _records(text, delimiter)]
    start = next(i for i, size in enumerate(sizes) if size) + 1
    sizes = sizes[start:]
    if any(0 < size < frame.width for size in sizes):
        _blame(data, delimiter, frame.width, where)
    blank = sizes.count(0)
    if blank and len(sizes) == frame.height:
        frame = frame.filter(pl.Series([size > 0 for size in sizes]))
        if any(sizes[-blank:]):  # blank lines at the end are no event
            notes.append(f"{where}: {blank} blank lines left out")
    return frame


def _blame(data: bytes, delimiter: str, width: int, where: str) -> None:
    """Raises DataError naming the first record that does not fit, if there is one."""
    old = csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, strict=True)
    try:
        row, line = -1, 1
        for record in reader:
            if not record:
                line = reader.line_num + 1
                continue
            if len(record) != width:
                fields = "1 field" if len(record) == 1 else f"{len(record)} fields"
                raise DataError(
                    f"{where}, line {line} (row {row}): {fields}, but the header has {width} "
                    f'(delimiter {delimiter!r}); a text that holds the delimiter needs "quotes". The line '
                    f"starts: {delimiter.join(record)[:60]!r}"
                )
            row, line = row + 1, reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{where}, line {reader.line_num}: {error}; a quote inside a quoted text is written twice"
        ) from None
    finally:
        csv.field_size_limit(old)
