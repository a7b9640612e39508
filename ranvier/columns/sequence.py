"""Strings out of other forms: a list for each row, as columns of words and of tags read it; texts out of bytes."""

from __future__ import annotations

import polars as pl

from ranvier.core.errors import DataError
from ranvier.core.rows import row_number

# an emoji, with what is joined to it
PICTURE = r"\p{RI}{2}|\p{Extended_Pictographic}[\p{M}\p{Emoji_Modifier}]*(?:\x{200D}\p{Extended_Pictographic}\p{M}*)*"
# Scripts written without spaces; about two characters make a word.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
REPEATING = 0.05  # share of rows that hold a string twice, from which on lists are sequences rather than sets


def as_lists(values: pl.Series) -> pl.Series:
    """(N,) lists of strings, null where missing; strings are split at white space, missing elements become "".

    Raises DataError for values that are neither lists of plain values nor strings.
    """
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        inner = values.dtype.inner
        if inner is not None and (inner.is_nested() or inner in (pl.Binary, pl.Object)):  # type: ignore[union-attr]
            raise DataError(f"column {values.name!r}: expected lists of words, got {values.dtype}")
        return values.cast(pl.List(pl.String)).list.eval(pl.element().fill_null(""))
    if values.dtype in (pl.String, pl.Null):
        return values.cast(pl.String).str.extract_all(r"\S+")
    raise DataError(f"column {values.name!r}: expected lists of words, or strings with spaces, got {values.dtype}")


def spaced(texts: pl.Series) -> pl.Series:
    """Texts (N,) with spaces around each emoji, which is a word of its own, and none at their ends."""
    return texts.str.replace_all(PICTURE, " ${0} ").str.strip_chars()


def looked_at(sample: pl.Series) -> tuple[float, int, int]:
    """Of true lists of strings: the share of rows that hold a string twice, how many differ, how many there are.

    Zeros for anything else.
    """
    if not isinstance(sample.dtype, pl.List | pl.Array) or sample.dtype.inner != pl.String:
        return 0.0, 0, 0
    lists = as_lists(sample).drop_nulls()
    lengths = lists.list.len()
    total = int(lengths.sum())
    if not total:
        return 0.0, 0, 0
    repeating = float((lists.list.n_unique() < lengths).mean() or 0.0)  # type: ignore[arg-type]
    return repeating, lists.explode().drop_nulls().n_unique(), total


def decoded(values: pl.Series) -> pl.Series:
    """Bytes (N) as texts. Raises DataError naming the first row that is not UTF-8."""
    texts = []
    for row, value in enumerate(values.to_list()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError as error:
            raise DataError(
                f"column {values.name!r}, row {row_number(row)}: {value[:20]!r} is not UTF-8 (byte {error.start}); "
                "decode it by its own encoding"
            ) from None
    return pl.Series(values.name, texts, dtype=pl.String)
