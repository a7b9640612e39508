"""Types for columns that arrive as text, decided over all rows: a late "N/A" neither crashes nor drops a column."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import polars as pl

from ranvier.core.counts import agreed

MARKERS = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-", "--", ".")
YES, NO = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
HEAD = 1000  # a value here that is neither number nor marker settles that the column is text
FEW = 0.1  # of the first values no numbers: such a column is told
_COMMA = r"^[+-]?\d+,\d+$"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+$"
_WHOLE = r"^[+-]?\d+$"


def infer_types(frame: pl.DataFrame, notes: list[str], as_text: Collection[str] = ()) -> pl.DataFrame:
    """A frame of strings with whole numbers as Int64, other numbers as Float64, true/false as Boolean.

    The rest stays String, dates too. Nothing is lost: numbers with leading zeros or too many digits stay text.
    The markers above become missing only where every other value is a number, and are counted in `notes`.
    as_text: names of columns to leave as they are.
    """
    done = [column if column.name in as_text else infer_column(column, notes) for column in frame]
    return frame.with_columns(done)


def infer_column(column: pl.Series, notes: list[str]) -> pl.Series:
    """One String column by the rules of `infer_types`."""
    head = column.drop_nulls().head(HEAD).str.strip_chars()
    if not len(head):
        return column
    odd = ~(is_number(head) | is_marker(head))
    if odd.any():
        return _not_numbers(column, head, int(odd.sum()) / len(odd), notes)
    text = column.str.strip_chars()
    number, marker, missing = is_number(text), is_marker(text), column.is_null()
    odd = ~(number | marker | missing)
    if odd.any():
        return _not_numbers(column, head, int(odd.sum()) / len(odd), notes)
    if not number.any():
        return column  # markers only: they may well be the category "none"
    plain = text.set(marker & ~missing, None)
    numbers = _to_numbers(plain, notes)
    if numbers is None:
        return column
    if marker.sum():
        notes.append(told_markers(column.name, text.filter(marker & ~missing).value_counts().rows()))
    return numbers


def plain_text(head: pl.Series) -> bool:
    """Whether the first values alone, without spaces around, tell that `infer_column` leaves a column as it is.

    head: as many as there are, but for missing ones, or HEAD.
    """
    if not len(head):
        return True
    odd = ~(is_number(head) | is_marker(head))
    return int(odd.sum()) > FEW * len(odd) and not _says_truth(head) and not head.str.contains(_COMMA).any()


def truths(head: pl.Series, spellings: Collection[str], notes: list[str]) -> bool:
    """Whether `infer_column` makes booleans of a column. head: as of `plain_text`. spellings: all that there are."""
    odd = ~(is_number(head) | is_marker(head))
    column = pl.Series(head.name, sorted(spellings), dtype=pl.String)
    return bool(odd.any()) and _says_truth(head) and _truth(column, notes) is not None


def is_true(text: pl.Series) -> pl.Series:
    """Which of the words for yes and no are those for yes."""
    return text.str.strip_chars().str.to_lowercase().is_in(list(YES))


def _says_truth(head: pl.Series) -> bool:
    return bool(head.str.to_lowercase().is_in([*YES, *NO]).all())


def is_number(text: pl.Series) -> pl.Series:
    """Which values are numbers, but for "nan"."""
    numbers = text.cast(pl.Float64, strict=False)
    return numbers.is_not_null() & ~numbers.is_nan().fill_null(False)


def is_marker(text: pl.Series) -> pl.Series:
    """Which values, in any case, stand for a missing one among numbers."""
    return text.str.to_lowercase().is_in(list(MARKERS)).fill_null(False)


def is_whole(text: pl.Series) -> pl.Series:
    """Which values are whole numbers, of any number of digits."""
    return text.str.contains(_WHOLE)


def coded(text: pl.Expr) -> pl.Expr:
    """Which whole numbers begin with a zero, as 007 or 00501: codes, whose zeros are to stay."""
    signed = text.str.starts_with("-0") | text.str.starts_with("+0")
    size = text.str.len_bytes()
    return (text.str.starts_with("0") & (size > 1)) | (signed & (size > 2))


def told_markers(name: str, counts: Iterable[tuple[str, int]]) -> str:
    """The sentence on markers of a column of numbers, by how often each was met."""
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    told = ", ".join(f"{count:,} of {value or 'blank'!r}" for value, count in ordered)
    return f"column {name!r}: {told} taken as missing, because all other values are numbers"


def _to_numbers(text: pl.Series, notes: list[str]) -> pl.Series | None:
    """Int64 or Float64, or None where that would lose digits."""
    whole = text.cast(pl.Int64, strict=False)
    exact = whole.null_count() == text.null_count()
    if (exact or is_whole(text.drop_nulls()).all()) and text.to_frame().select(coded(pl.first()).any()).item():
        notes.append(f"column {text.name!r}: numbers with leading zeros are codes, kept as text")
        return None
    if exact:
        return whole
    if is_whole(text.drop_nulls()).all():
        notes.append(f"column {text.name!r}: whole numbers beyond 64 bits, kept as text so that no digit is lost")
        return None
    return text.cast(pl.Float64)


def _truth(column: pl.Series, notes: list[str]) -> pl.Series | None:
    """Booleans, of true and false in any case, or of words for yes and no in more than one spelling each."""
    written = column.drop_nulls().unique()
    lower = written.str.strip_chars().str.to_lowercase()
    words, truth = set(lower), column.is_in(written.filter(is_true(written)).to_list())
    if words <= {"true", "false"}:
        return truth
    spellings = sorted(written.str.strip_chars().unique())
    if len(spellings) <= 2 or not words <= {*YES, *NO} or not words & set(YES) or not words & set(NO):
        return None
    yes, no = ([repr(word) for word in spellings if word.lower() in known] for known in (YES, NO))
    notes.append(f"column {column.name!r}: {', '.join(yes)} are taken as true, {', '.join(no)} as false")
    return truth


def _not_numbers(column: pl.Series, head: pl.Series, odd: float, notes: list[str]) -> pl.Series:
    if _says_truth(head) and (truth := _truth(column, notes)) is not None:
        return truth
    if head.str.contains(_COMMA).any():
        text = column.str.strip_chars()
        comma, thousands = text.str.contains(_COMMA), text.str.contains(_THOUSANDS)
        whole = text.str.contains(_WHOLE)
        if (thousands | whole).drop_nulls().all():
            return column  # thousands or decimals: the number column reads them, and tells how
        if (comma | whole).drop_nulls().all():
            notes.append(f"column {column.name!r}: decimal commas read as decimal points (1,5 is 1.5)")
            return text.str.replace(",", ".", literal=True).cast(pl.Float64)
    if 0 < odd <= FEW:
        text = column.str.strip_chars()
        bad = (~(is_number(text) | is_marker(text)) & column.is_not_null()).arg_true()
        first = int(bad[0])
        notes.append(
            f"column {column.name!r} comes as text: {len(bad)} of {len(column)} values "
            f"{agreed(len(bad), 'is|are no number|numbers')}, "
            f"such as {column[first]!r} in row {first}"
        )
    return column
