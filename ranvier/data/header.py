"""How a delimited file is laid out: its delimiter, lines before the header, and the names of its columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.data.encoding import Bytes
from ranvier.data.infer import MARKERS
from ranvier.data.spaces import tight
from ranvier.data.table import check_names

_DELIMITERS = ",;\t|"
SAMPLE = 1 << 16
_HEAD = 1 << 22  # bytes that hold the header, however many columns
_ROWS = 200  # records looked at
_TITLES = 30  # lines before the header, at most
_TOLD = 5  # columns of one kind named in notes
_DECIMAL = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+([eE][+-]?\d+)?")  # a number with a decimal comma
_EVEN = 0.8  # of the records that must have as many fields as the header for lines before it to be left out


@dataclass(frozen=True)
class Layout:
    """names: of all columns. start: the byte where the rows begin. header: the fields of its line, () without one.

    sample: the first records. spare: the last column has neither name nor values, for each line ends in a delimiter.
    """

    delimiter: str
    names: tuple[str, ...]
    start: int
    header: tuple[str, ...]
    sample: tuple[list[str], ...]
    spare: bool = False


def lay_out(data: Bytes, where: str, notes: list[str], delimiter: str | None = None) -> Layout:
    """The layout of a CSV in UTF-8 with line feeds.

    delimiter: None = what a first line such as sep=; says, or the one of , ; tab | that makes the first rows most even,
    or runs of spaces and tabs.
    Raises DataError for a file of blank lines, or of a header that does not fit its rows.
    """
    head = data[:_HEAD]
    text = head.decode("utf-8", "ignore")
    said = text[:5].lower() if text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n") else ""
    if said:
        delimiter = said[4]
        notes.append(f"{where}: the first line names the delimiter ({said!r}) and is left out")
    delimiter = delimiter or sniff(text[:SAMPLE])
    text = tight(head, delimiter).decode("utf-8", "ignore")
    found = [(r, line) for r, line in islice(numbered(text, delimiter), _ROWS + _TITLES) if r][bool(said) :]
    if len(found) > 2 and (len(head) < len(data) or text[-1:] != "\n"):
        found.pop()  # it may end inside a record
    if not found:
        raise DataError(f"{where} holds only blank lines; a header line and at least one row are needed")
    first = titles([record for record, _ in found])
    if first:
        told = ", ".join(repr(" ".join(filter(None, record))[:60]) for record, _ in found[: min(first, 3)])
        notes.append(f"{where}: {counted(first, 'line|lines before the header is|are left out')} ({told})")
    (header, line), rows = found[first], tuple(record for record, _ in found[first + 1 :])
    if delimiter == " ":
        notes.append(f"{where}: the columns are set apart by spaces or tabs, of which several count as one")
    elif len(header) == 1 and not said and aligned(text[:SAMPLE]):
        notes.append(told_aligned(where))
    if _is_data(header, rows) or (delimiter == " " and all(map(_is_number, header))):
        notes.append(f"{where}: the first line holds values, not names; the columns are called column_1, column_2 ...")
        before = found[first - 1][1] if first else int(bool(said))
        names = tuple(f"column_{place + 1}" for place in range(len(header)))
        return Layout(delimiter, names, _offset(head, before), (), (header, *rows))
    if value := _like_value(header, rows):
        notes.append(
            f"{where}: the first line is taken for names of columns, though {value!r} there looks like a value; "
            "if it is a row, put a line of names above it"
        )
    names, spare = _names(header, rows, where, notes)
    return Layout(delimiter, names, _offset(head, line), tuple(header), rows, spare)


def sniff(sample: str) -> str:
    """The delimiter under which most of the first 200 records have the same number of fields, at least two.

    Commas are not where they stand within numbers alone, and another sign makes the records even. Spaces are it where
    these surely set columns apart, and no other sign makes the records even.
    """

    def score(delimiter: str) -> tuple[float, int]:
        records = _firsts(sample, delimiter)
        width = _usual(records)
        if width < 2:
            return 0.0, 0
        return sum(len(r) == width for r in records) / len(records), width

    best = max(_DELIMITERS, key=score)
    if best == "," and (other := next((sign for sign in ";\t| " if _around_decimals(sample, sign)), "")):
        return other
    share, width = score(best)
    uneven = share < (1.0 if best == "\t" else _EVEN)
    return " " if uneven and _in_spaces(sample) else best if width else ","


def _around_decimals(sample: str, delimiter: str) -> bool:
    """Whether the delimiter makes even records in which commas are those of decimals.

    Names that hold commas speak for these, unless there are numbers alone, most of them with commas. So does a first
    line of values, of which some are words, where spaces set them apart.
    """
    before, header, rows = _parted(sample, delimiter)
    rows = _fitting(rows)
    fields = [field.strip() for row in rows for field in row]
    commas = [field for field in fields if "," in field]
    if not commas or not all(map(_DECIMAL.fullmatch, commas)):
        return False
    if len(rows[0]) < 2 or len(rows[0]) - len(header) not in (0, 1) or (delimiter == " " and not _in_spaces(sample)):
        return False
    named = [name.strip() for name in header if "," in name]
    if not named:
        return True
    if before and sum(field.count(",") for field in before[-1]) * len(rows) == len(commas):
        return False  # what stands before values are the names of as many columns as commas make
    if 2 * len(commas) <= sum(map(_is_number, fields)):
        return False
    if all(map(_DECIMAL.fullmatch, named)):  # values, for there are no names
        return delimiter != " " or all(map(_is_number, [*header, *fields]))
    return delimiter != " " and len(header) == len(rows[0]) and all(map(_is_number, fields))


def table_sign(sample: str) -> tuple[str, bool]:
    """What a text has equally often in each line, "" for nothing, and whether it surely sets columns apart.

    That it does where half of the columns or more are of numbers, with a header or without. Of commas there must be
    two, for texts have them, too.
    """
    sign = sniff(sample)
    if sign == " ":
        return sign, True
    _, header, rows = _parted(sample, sign)
    if len(header) < (3 if sign == "," else 2) or not rows or any(len(row) != len(header) for row in rows):
        return "", False
    named = not any(map(_is_number, header)) or _is_data(header, tuple(rows))
    return sign, named and _half_numbers(rows)


def _in_spaces(sample: str) -> bool:
    """Whether spaces surely set columns apart: as many in nearly each row as names, and half or more of numbers.

    Not so where they may as well group digits, as in 1 234 567. Rows with fewer or more are told when they are read.
    """
    before, header, rows = _parted(sample, " ")
    if any(len(record) == 1 and record[0][:1] != "#" for record in before):
        return False  # it may be the name of lists of numbers
    named = len(rows) > 2 and all(len(row) == len(header) + 1 for row in rows)  # rows with names, as R writes them
    width, rows = len(header) + named, _fitting(rows)
    if not rows or len(header) < 2 or any(len(row) != width for row in rows):
        return False
    if all(len(last) == 3 and last.isdigit() for row in rows for last in (f.partition(",")[0] for f in row[1:])):
        return False
    return _half_numbers(rows)


def _fitting(rows: list[list[str]]) -> list[list[str]]:
    """The rows with as many fields as most have; none where too few have."""
    width = _usual(rows)
    found = [row for row in rows if len(row) == width]
    return found if len(found) >= _EVEN * len(rows) else []


def _half_numbers(rows: list[list[str]]) -> bool:
    """Whether half of the columns or more hold numbers, and beside them markers of missing ones alone."""
    columns = [
        [field for field in column if field.strip().lower() not in MARKERS] for column in zip(*rows, strict=True)
    ]
    return 2 * sum(bool(known) and all(map(_is_number, known)) for known in columns) >= len(columns)


def _is_number(text: str) -> bool:
    return is_float(text) or _DECIMAL.fullmatch(text.strip()) is not None


def aligned(sample: str) -> bool:
    """Whether spaces may set columns apart: several or tabs within most lines, or as many numbers in each."""
    lines = [line.strip() for line in sample.splitlines()[:_ROWS] if line.strip()]
    runs = sum("  " in line or "\t" in line for line in lines)
    fields = _firsts(sample, " ")
    even = len({len(record) for record in fields}) == 1 and len(fields[0]) > 1
    return 2 * runs > len(lines) or (even and all(map(_is_number, fields[-1])))


def told_aligned(where: str) -> str:
    """What to do where `aligned`."""
    return (
        f"{where}: no sign such as , ; tab or | sets columns apart, so that each line is one value; if spaces do, "
        "write texts with spaces in quotes and - for what is missing, or read it by pandas.read_fwf and give the frame"
    )


def _firsts(sample: str, delimiter: str) -> list[list[str]]:
    """The first records of a sample, which may end inside one."""
    text = tight(sample.encode(), delimiter).decode()
    records = [record for record in islice(records_of(text, delimiter), _ROWS) if record]
    return records[:-1] if len(records) > 2 and sample[-1:] != "\n" else records


def _parted(sample: str, delimiter: str) -> tuple[list[list[str]], list[str], list[list[str]]]:
    """The first records as those before the header, the header, and the rows."""
    records = _firsts(sample, delimiter)
    first = titles(records)
    header, *rows = records[first:] or [[]]
    return records[:first], header, rows


def _usual(records: list[list[str]]) -> int:
    """The number of fields that most records have, the header's first."""
    counts = Counter(map(len, records))
    return max(counts, key=lambda width: counts[width], default=0)


def records_of(text: str, delimiter: str, strict: bool = False) -> Iterator[list[str]]:
    """The records of a CSV, however long their fields are."""
    return (record for record, _ in numbered(text, delimiter, strict))


def numbered(text: str, delimiter: str, strict: bool = False) -> Iterator[tuple[list[str], int]]:
    """Each record with the number of lines up to its end."""
    old = csv.field_size_limit(2**31 - 1)  # long texts are welcome
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    try:
        for record in reader:
            yield record, reader.line_num
    finally:
        csv.field_size_limit(old)


def _offset(head: bytes, lines: int) -> int:
    """Where the line after so many begins."""
    place = 0
    for _ in range(lines):
        place = head.find(b"\n", place) + 1
        if not place:
            return len(head)
    return place


def titles(records: list[list[str]]) -> int:
    """How many titles and comments stand before the header: lines of one text, where even rows of several follow."""
    width = _usual(records)
    first = next((i for i, r in enumerate(records) if len(r) == width and not _is_title(r)), 0)
    before, after = records[:first], records[first:]
    if width < 2 or first > _TITLES or not all(_is_title(r) or r[0].lstrip().startswith("#") for r in before):
        return 0
    return first if sum(len(r) == width for r in after) >= max(2, _EVEN * len(after)) else 0


def _is_title(record: list[str]) -> bool:
    filled = sum(bool(field.strip()) for field in record)
    return len(record) == 1 or (len(record) > 2 and filled <= 1)


def _is_data(header: list[str], rows: tuple[list[str], ...]) -> bool:
    """Whether the first line is no header: it holds numbers no name is, or numbers, and texts that come again below."""
    fields = [field.strip() for field in header]
    numbers = [field for field in fields if _is_number(field)]
    if len(header) < 2 or not numbers:
        return False
    texts = [(field, values) for field, values in _above(header, rows) if not _is_number(field)]
    if any(values and all(map(_is_number, values)) for _, values in texts):
        return False  # a word above numbers is their name
    if any(not field.isdigit() and field.lower() not in ("nan", "inf", "infinity") for field in numbers):
        return True
    return any(field in values for field, values in texts)


def _like_value(header: list[str], rows: tuple[list[str], ...]) -> str:
    """Of a first line that may be no header the field that says so, a number above numbers or a text that comes again.

    "" where a word above numbers, or names counted from 0 or any other number, leave no doubt.
    """
    above = _above(header, rows)
    numeric = [bool(values) and all(map(_is_number, values)) for _, values in above]
    if any(below and not _is_number(field) for (field, _), below in zip(above, numeric, strict=True)):
        return ""
    numbers = [field for (field, _), below in zip(above, numeric, strict=True) if below]
    if numbers:
        counts = sorted(int(number) if number.isdecimal() and len(number) < 10 else -1 for number in numbers)
        counted_up = counts == list(range(counts[0], counts[0] + len(counts))) and (len(counts) > 1 or counts == [0])
        return "" if counted_up else numbers[0]
    return next((field for field, values in above if field in values), "")


def _above(header: list[str], rows: tuple[list[str], ...]) -> list[tuple[str, set[str]]]:
    """Each field of the first line, but for empty ones, with the different values below it."""
    below = [{row[place].strip() for row in rows if len(row) > place and row != header} for place in range(len(header))]
    return [(field.strip(), values - {""}) for field, values in zip(header, below, strict=True) if field.strip()]


def is_float(text: str) -> bool:
    """Whether Python reads the text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names(
    header: list[str], rows: tuple[list[str], ...], where: str, notes: list[str]
) -> tuple[tuple[str, ...], bool]:
    """The names of the columns, each once and none empty, and whether the last is a delimiter's only."""
    names = [name.strip() for name in header]
    if len(names) > 1 and not names[-1] and rows and all(len(row) == len(names) - 1 for row in rows):
        notes.append(f"{where}: the header ends in a delimiter, which is left out")
        return tuple(called(names[:-1], where, notes)), False
    wider = bool(rows) and all(len(row) == len(names) + 1 for row in rows)
    if wider and all(not row[-1] for row in rows):
        names.append("")
    elif wider and len(names) > 1 and len(rows) > 2:
        names.insert(0, "")  # of row names, as R writes them
    width = len(names)
    spare = width > 2 and not names[-1] and bool(rows) and all(len(r) == width and not r[-1] for r in rows)
    if spare:
        notes.append(f"{where}: each line ends in a delimiter; the empty column that this makes is left out")
    return tuple(called(names, where, notes, spare)), spare


def called(names: list[str], where: str, notes: list[str], spare: bool = False) -> list[str]:
    """The names, each once and none empty; those that had to be made are told. spare: but for the last."""
    check_names(list(dict.fromkeys(names)), where)
    taken, seen, called = set(names), set[str](), list[str]()
    blank, again = [], []
    for place, name in enumerate(names):
        new = name if name and name not in seen else _free(name or f"column_{place + 1}", taken)
        if not name and not (spare and place == len(names) - 1):
            blank.append(f"column {place + 1} has no name; called {new!r}")
        elif name in seen:
            again.append(f"a further column {name!r} (column {place + 1}) is called {new!r}")
        seen.add(new)
        taken.add(new)
        called.append(new)
    for told in (blank, again):
        notes += [f"{where}: {note}" for note in told[:_TOLD]]
        notes += [f"{where}: and {len(told) - _TOLD:,} more such columns"] if len(told) > _TOLD else []
    return called


def _free(stem: str, taken: set[str]) -> str:
    """The name, or with the first number from 2 on that makes it another than those taken."""
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name
