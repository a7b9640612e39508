"""Types for columns that arrive as text, decided over all rows: a late "N/A" neither crashes nor drops a column."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

MARKERS = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-", "--", ".")
_HEAD = 1000  # a value here that is neither number nor marker settles that the column is text
_COMMA = r"^[+-]?\d+,\d+$"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+$"
_ZERO = r"^[+-]?0\d+$"  # 007, 00501: a code, not a number
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
    head = column.drop_nulls().head(_HEAD).str.strip_chars()
    if not len(head):
        return column
    odd = ~(_is_number(head) | _is_marker(head))
    if odd.any():
        return _not_numbers(column, head, int(odd.sum()) / len(odd), notes)
    text = column.str.strip_chars()
    number, marker, missing = _is_number(text), _is_marker(text), column.is_null()
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
        counts = text.filter(marker & ~missing).value_counts(sort=True).rows()
        told = ", ".join(f"{count} of {value or 'blank'!r}" for value, count in counts)
        notes.append(f"column {column.name!r}: {told} taken as missing, because all other values are numbers")
    return numbers


def _is_number(text: pl.Series) -> pl.Series:
    numbers = text.cast(pl.Float64, strict=False)
    return numbers.is_not_null() & ~numbers.is_nan().fill_null(False)


def _is_marker(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().is_in(list(MARKERS)).fill_null(False)


def _to_numbers(text: pl.Series, notes: list[str]) -> pl.Series | None:
    """Int64 or Float64, or None where that would lose digits."""
    if text.str.contains(_ZERO).any():
        notes.append(f"column {text.name!r}: numbers with leading zeros are codes, kept as text")
        return None
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return whole
    if text.drop_nulls().str.contains(_WHOLE).all():
        notes.append(f"column {text.name!r}: whole numbers beyond 64 bits, kept as text so that no digit is lost")
        return None
    return text.cast(pl.Float64)


def _not_numbers(column: pl.Series, head: pl.Series, odd: float, notes: list[str]) -> pl.Series:
    truth = head.str.to_lowercase().is_in(["true", "false"]).all()
    if truth:
        lower = column.str.strip_chars().str.to_lowercase()
        if lower.drop_nulls().is_in(["true", "false"]).all():
            return lower == "true"
    if head.str.contains(_COMMA).any():
        text = column.str.strip_chars()
        comma, thousands = text.str.contains(_COMMA), text.str.contains(_THOUSANDS)
        whole = text.str.contains(_WHOLE)
        if (thousands | whole).drop_nulls().all():
            notes.append(
                f"column {column.name!r} is kept as text: {text.filter(thousands)[0]!r} may be thousands or a decimal "
                f"comma; write the numbers without it"
            )
            return column
        if (comma | whole).drop_nulls().all():
            notes.append(f"column {column.name!r}: decimal commas read as decimal points (1,5 is 1.5)")
            return text.str.replace(",", ".", literal=True).cast(pl.Float64)
    if 0 < odd <= 0.1:
        text = column.str.strip_chars()
        bad = (~(_is_number(text) | _is_marker(text)) & column.is_not_null()).arg_true()
        first = int(bad[0])
        notes.append(
            f"column {column.name!r} comes as text: {len(bad)} of {len(column)} values are no numbers, "
            f"such as {column[first]!r} in row {first}"
        )
    return column
