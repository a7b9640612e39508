"""Answers that stand within a text of another column."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.stream import present
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

NONE, SOUGHT = -1, -2  # instead of places: there is no answer; the answer's text has to be sought in the passage
_PYTHON = re.compile(r"\{\s*'(?:start|end|text|answer_start)'\s*:")  # how Python writes a dict of an answer
JOINER = "\u200d"  # between pictures that make one
TONES = ("\U0001f3fb", "\U0001f3ff")  # of skin
JAMO = (("\u1160", "\u11ff"), ("\ud7b0", "\ud7fb"))  # vowels and ends of Korean syllables


class Span(Column):
    """Where in a text of another column (the passage) the answer stands.

    Raw values are structs {"start", "text"} or {"start", "end"}, in characters of the raw passage, the end past the
    last, also as text, in JSON or as Python writes it, there in SQuAD's form (answer_start, lists of answers) too; or
    other strings, the answer's text, of which the first occurrence is meant. An empty text
    and a struct of nothing mean that the passage has no answer; a missing value, that nothing is known. Data are int32
    (N, 2), start and end; -1, -1 for no answer; -2, -2 where only the passage can tell (see `located`).
    """

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for structs of a start and a text or an end, or their text; else a person calls strings answers."""
        fields = _fields(sample)
        if sample.dtype == pl.String and len(sample) and all(map(_parsed, sample.to_list())):
            return 0.99, "texts of a start and a text or an end"
        if "start" in fields and fields & {"text", "end"} and fields <= {"start", "end", "text"} and len(sample):
            return 0.9, "a start and " + ("a text" if "text" in fields else "an end")
        return 0.0, ""

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Learns nothing but that there are answers. Raises DataError when none is observed."""
        known = several = 0
        for chunk in chunks:
            known += len(chunk) - chunk.null_count()
            several += sum(map(_several, chunk.drop_nulls())) if chunk.dtype == pl.String else 0
        told = counted(several, "row|rows has|have")
        self.notes = [f"column {self.name!r}: {told} several answers, of which the first is taken"] if several else []
        if not known:
            raise DataError(f"{self.name}: answers were expected, but all training rows are missing")
        return self._ready()

    def _ready(self) -> Spec:
        self.spec = Spec("span", (2,), 0, "char")
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """(N, 2) start and end. Raises DataError for values that are neither structs as above nor strings."""
        data = np.full((len(values), 2), NONE, np.int32)
        for row, (text, start, end) in enumerate(told(values)):
            if start >= 0 and (text or end >= 0):
                data[row] = start, start + len(text) if text else end
            elif text or start >= 0 or end >= 0:
                data[row] = SOUGHT
        return Encoded(data, present(values))

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"start", "end", "confidence": (N,), "text": (N,) strings} as `name`, the text, and `name_start` and so on.

        Without an answer the text is empty, and start and end are null. Without "text", as a head gives it, so is it.
        """
        start = np.asarray(prediction["start"], np.int64)
        texts = prediction.get("text", [None] * len(start))
        return pl.DataFrame(
            {
                self.name: pl.Series(list(texts), dtype=pl.String),
                f"{self.name}_start": pl.Series(start).set(pl.Series(start < 0), None),
                f"{self.name}_end": pl.Series(np.asarray(prediction["end"], np.int64)).set(pl.Series(start < 0), None),
                f"{self.name}_confidence": np.asarray(prediction["confidence"], np.float32),
            }
        )

    def state(self) -> dict[str, Any]:
        """Nothing was learnt."""
        return {"version": 1}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self._ready()


def told(values: pl.Series) -> Iterator[tuple[str, int, int]]:
    """Text, start and end of each raw value; "" and -1 for what it does not tell.

    Raises DataError for values that are neither strings nor structs of these.
    """
    fields = _fields(values)
    if values.dtype in (pl.String, pl.Null):
        for row, text in enumerate(values.to_list()):
            found = _parsed(text)
            yield _whole_answer(found, values, row) if found else (text or "", NONE, NONE)
    elif fields and fields <= {"start", "end", "text"}:
        frame = values.struct.unnest()
        types = {"text": pl.String, "start": pl.Int64, "end": pl.Int64}
        try:
            each = [
                frame[name].cast(dtype).to_list() if name in fields else [None] * len(values)
                for name, dtype in types.items()
            ]
        except pl.exceptions.PolarsError:
            raise DataError(f"{_expected(values)}, start and end being whole numbers") from None
        yield from map(_plain, *each)
    else:
        raise DataError(_expected(values))


def _parsed(text: str | None) -> dict[str, Any]:
    """The fields of an answer that is written as JSON or as a dict of Python's; none of any other text."""
    found = {"start" if key == "answer_start" else key: value for key, value in _written(text).items()}
    fields = found.keys()
    if "start" not in fields or not fields & {"text", "end"} or not fields <= {"start", "end", "text"}:
        return {}
    return {key: next(iter(value), None) if isinstance(value, list) else value for key, value in found.items()}


def _written(text: str | None) -> dict[str, Any]:
    if not text or not text.lstrip().startswith("{"):
        return {}
    try:
        found = ast.literal_eval(text.strip()) if _PYTHON.match(text.lstrip()) else json.loads(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # the last is of too deep a dict
        return {}
    return found if isinstance(found, dict) else {}


def _several(text: str) -> bool:
    """Whether this is the text of more than one answer."""
    return any(isinstance(value, list) and len(value) > 1 for value in _written(text).values()) and bool(_parsed(text))


def _whole_answer(found: Mapping[str, Any], values: pl.Series, row: int) -> tuple[str, int, int]:
    """Text, start and end. Raises DataError for fields of another type, and text that is none."""
    text, start, end = (found.get(name) for name in ("text", "start", "end"))
    numbers = all(place is None or (type(place) is int and abs(place) < 2**31) for place in (start, end))
    if not numbers or not isinstance(text, str | None) or any("\ud800" <= sign <= "\udfff" for sign in text or ""):
        raise DataError(f"{_expected(values)}: {dict(found)!r:.60} in row {row_number(row)}")
    return _plain(text, start, end)


def _plain(text: str | None, start: int | None, end: int | None) -> tuple[str, int, int]:
    if text == "" and end is None:  # SQuAD's form of no answer may have any start
        start = None
    return text or "", NONE if start is None else max(start, NONE), NONE if end is None else max(end, NONE)


def located(values: pl.Series, passages: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Where the answers (N) stand in their passages (N): int32 (N, 2), white space at their ends left out.

    And which are wrong, (N,) bool: not in the passage, beyond its end, another text there, or a start without an end.
    """
    data, wrong = np.full((len(values), 2), NONE, np.int32), np.zeros(len(values), bool)
    texts = passages.cast(pl.String).fill_null("").to_list()
    for row, ((text, start, end), passage) in enumerate(zip(told(values), texts, strict=True)):
        if start < 0 and end < 0 and not text.strip():
            continue
        if text:
            start = passage.find(text) if start < 0 else start
            end = start + len(text)
        elif start == end >= 0:
            continue
        found = passage[start:end] if 0 <= start < end <= len(passage) else ""
        if not found.strip() or (text and found != text):
            wrong[row] = True
            continue
        data[row] = start + len(found) - len(found.lstrip()), end - len(found) + len(found.rstrip())
    return data, wrong


def cut(passages: pl.Series, start: Sequence[int] | np.ndarray, end: Sequence[int] | np.ndarray) -> np.ndarray:
    """The texts (N,) from start to end of the passages (N), "" where start is below 0."""
    texts = passages.cast(pl.String).fill_null("").to_list()
    each = [text[s:e] if s >= 0 else "" for text, s, e in zip(texts, start, end, strict=True)]
    return np.array([*each, None], object)[:-1]


def widened(passages: pl.Series, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (N,) moved outwards to where what a reader takes for one character begins and ends.

    Texts are tokenised in composed form, and a token's span is then that of the first of the signs that made one.
    """
    texts = passages.cast(pl.String).fill_null("").to_list()
    start, end = start.copy(), end.copy()
    for row, text in enumerate(texts):
        if start[row] >= 0:
            start[row], end[row] = _begin(text, int(start[row])), whole(text, int(end[row]))
    return start, end


def whole(text: str, end: int) -> int:
    """The first place from `end` on that divides no character as a reader sees it."""
    while 0 < end < len(text) and _goes_on(text, end):
        end += 1
    return end


def _begin(text: str, start: int) -> int:
    while 0 < start < len(text) and _goes_on(text, start):
        start -= 1
    return start


def _goes_on(text: str, place: int) -> bool:
    """Whether the sign at this place belongs to the one before it: a mark, a joined picture, a part of a syllable."""
    sign, before = text[place], text[place - 1]
    if sign < "\u0300":
        return False
    joined = unicodedata.category(sign)[0] == "M" or JOINER in (sign, before) or TONES[0] <= sign <= TONES[1]
    return joined or any(low <= sign <= high for low, high in JAMO)


def _fields(values: pl.Series) -> set[str]:
    return {field.name for field in values.dtype.fields} if isinstance(values.dtype, pl.Struct) else set()


def _expected(values: pl.Series) -> str:
    return (
        f"column {values.name!r}: expected answers as strings, or as {{'start': 3, 'text': 'so'}} or "
        f"{{'start': 3, 'end': 5}}, got {values.dtype}"
    )
