"""Running words from any data: those of lists as they are, texts cut in any script."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.recognise import recognise
from ranvier.columns.sequence import PICTURE, UNSPACED
from ranvier.core.counts import agreed
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.data.read import read
from ranvier.data.records import series_of

MOST = 500_000  # different words
_RUN = rf"[[\p{{L}}\p{{M}}\p{{N}}_]--{UNSPACED}]+"
# a character of a script without spaces with its marks, an emoji; else letters and digits, with an apostrophe inside
WORD = rf"{UNSPACED}\p{{M}}*|{PICTURE}|{_RUN}(?:['’]{_RUN})*"


@dataclass(frozen=True)
class Corpus:
    """words: (V,) the most frequent first. counts: (V,) how often. ids: (T,) the running text. row: (T,) whose, rising.

    notes: what was repaired or left out.
    """

    words: list[str]
    counts: np.ndarray
    ids: np.ndarray
    row: np.ndarray
    notes: list[str]


def cut(texts: pl.Series, lowercase: bool = True) -> pl.Series:
    """Texts (N,) as lists of words: runs of letters and digits, emoji, single characters of scripts without spaces."""
    composed = texts.cast(pl.String).str.normalize("NFC")
    return (composed.str.to_lowercase() if lowercase else composed).str.extract_all(WORD)


def corpus_of(data: Any, column: str = "", *, least: int | str = "auto", lowercase: bool = True) -> Corpus:
    """The words of a text or words column.

    least: a word is kept if met so often; "auto": 1, 2 or 5 by the length of the text. lowercase: of texts. Raises
    DataError where there is no such column, or less than two words; PlanError where a column must be named.
    """
    lists, notes = _lists(data, column, lowercase)
    flat = pl.DataFrame({"row": np.arange(len(lists), dtype=np.int32), "word": lists}).explode("word")
    flat = flat.filter(pl.col("word").is_not_null() & (pl.col("word") != ""))
    need = _least(flat.height) if least == "auto" else int(least)
    words = flat["word"].value_counts(name="count").sort(["count", "word"], descending=[True, False])
    kept = words.filter(pl.col("count") >= need).head(MOST)
    if kept.height < 2:
        raise DataError(
            f"column {lists.name!r} has {words.height:,} different words, {kept.height} of them met {need} times or "
            f"more; at least 2 are needed: give more text{', or least=1' if need > 1 else ''}"
        )
    codes = flat["word"].cast(pl.Enum(kept["word"]), strict=False).to_physical()
    known = codes.is_not_null().to_numpy()
    if (rare := words.height - kept.height) > 0:
        notes.append(
            f"{rare:,} of {words.height:,} different words, {1 - known.mean():.1%} of the text, "
            f"{agreed(rare, 'is|are')} met less than {need} times and {agreed(rare, 'has|have')} no vector of "
            f"{agreed(rare, 'its|their')} own (least = 1 keeps all)"
            if kept.height < MOST
            else f"{rare:,} rarer {agreed(rare, 'word|words has|have')} no vector of {agreed(rare, 'its|their')} own: "
            f"{MOST:,} are kept"
        )
    row = flat["row"].to_numpy()[known]
    if not (row[1:] == row[:-1]).any():
        raise DataError(f"column {lists.name!r}: no row holds two words that are kept, so that none has a neighbour")
    ids = codes.drop_nulls().to_numpy().astype(np.int32)
    return Corpus(kept["word"].to_list(), kept["count"].to_numpy().astype(np.int64), ids, row, notes)


def _least(words: int) -> int:
    return 1 if words < 20_000 else 2 if words < 1_000_000 else 5


def _lists(data: Any, column: str, lowercase: bool) -> tuple[pl.Series, list[str]]:
    """The column as lists of words."""
    if isinstance(data, list | tuple) and data and all(isinstance(one, str) for one in data):
        if not all(os.path.exists(one) for one in data):
            return cut(series_of("text", list(data), "the texts", []), lowercase), []
    elif isinstance(data, list) and data and all(isinstance(one, list | tuple) for one in data):
        if all(isinstance(word, str) for one in data for word in one):
            return series_of("words", list(map(list, data)), "the words", []).cast(pl.List(pl.String)), []
    elif isinstance(data, list | tuple) and not data:
        raise DataError("there are no texts; at least one is needed")
    table = read(data)
    series = table.frame[_column(table.frame, column)]
    if isinstance(series.dtype, pl.Array):
        series = series.arr.to_list()
    return (cut(series, lowercase) if series.dtype == pl.String else series), list(table.notes)


def _column(frame: pl.DataFrame, asked: str) -> str:
    readable = [name for name, dtype in frame.schema.items() if dtype == pl.String or _holds_words(dtype)]
    if asked:
        if asked not in frame.columns:
            raise DataError(f"column {asked!r} is not in the data; {did_you_mean(asked, frame.columns)}")
        if asked not in readable:
            raise DataError(f"column {asked!r} holds {frame[asked].dtype}: expected texts, or lists of words")
        return asked
    told = [name for name in readable if recognise(frame[name])[0] in ("text", "words")] or readable
    if not told:
        raise DataError(f"no column holds texts or lists of words; the data has {', '.join(frame.columns[:8])}")
    if len(told) > 1:
        raise PlanError(f"columns {', '.join(map(repr, told[:8]))} hold texts or words; name one as column=")
    return told[0]


def _holds_words(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.List | pl.Array) and dtype.inner == pl.String
