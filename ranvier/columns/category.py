"""Categories: strings, booleans, whole numbers that are codes. Also the counting of labels that sets share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.sequence import UNSPACED, spaced
from ranvier.columns.stream import present
from ranvier.core.column import Column
from ranvier.core.counts import agreed, counted
from ranvier.core.errors import DataError, plain_name
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

DISTINCT_LIMIT = 1_000_000  # more than this is an identifier; counting on would outgrow memory
MERGE_ROWS = 200_000  # counts are merged when so many have come together

FEW = 16  # rows
STOPS = r"[。！？；…]"  # between sentences, where no spaces need stand
NAME = 8  # characters of a script without spaces that a name hardly has
NEAR = 10_000  # labels among which one is looked for that differs by capitals alone
SAID = {"true": ("t", "yes", "y", "on", "1", "1.0"), "false": ("f", "no", "n", "off", "0", "0.0")}
BOOLEANS = {word: truth for truth, words in SAID.items() for word in words}


class Category(Column):
    """One of a set of values known from the training rows.

    Codes are 0 .. size - 1 in natural order (numbers by value, false before true, item2 before item10); the code
    `size` stands for a value not seen in training. Missing values are null, NaN and blank strings. Spaces around a
    value are seldom meant, and no part of it, neither when categories are learnt nor when rows are given: that is told.

    ordered: neighbouring categories are alike (unit "order"). categories: their names in order, [] = learnt.
    rare: values seen fewer times in training are treated as not seen. most: at most so many, the most frequent.
    """

    def __init__(
        self,
        name: str,
        /,
        *,
        ordered: bool = False,
        categories: list[str] = [],  # noqa: B006  (read only: the constructor is the schema)
        rare: int = 1,
        most: int = 100_000,
    ) -> None:
        super().__init__(name)
        self.ordered = ordered
        self.categories = list(categories)
        self.rare = rare
        self.most = most
        self.labels: list[str] = []
        self.dtype = "String"
        self.notes: list[str] = []  # what learn had to leave out

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for booleans and strings that repeat, low for whole numbers, 0 for nested and binary values."""
        dtype = sample.dtype
        if dtype == pl.Boolean:
            return 1.0, "true or false"
        if dtype in (pl.Categorical, pl.Enum):
            return 0.98, "stored as categories"
        if not (dtype == pl.String or dtype.is_numeric()):
            return 0.0, ""
        known = as_labels(sample).drop_nulls()
        if not len(known):
            return 0.2, "all values are missing"
        distinct = known.n_unique()
        told = f"{distinct:,} distinct values in {len(known):,} rows"
        if dtype.is_numeric():
            few = distinct <= 20 and distinct * 5 <= len(known)
            whole = not known.str.contains(r"[^0-9-]").any()
            return (0.15 if few and whole else 0.05), told  # a code's values would be met as unseen, a number's not
        return _score_strings(known, distinct), told

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Counts the values. Raises DataError when none is observed, or more than 1,000,000 differ."""
        tally, dtypes = Tally(self.name), []
        for chunk in chunks:
            dtypes.append(chunk.dtype)
            tally.add(as_labels, chunk)
        self.dtype = _common(dtypes)
        if self.categories:
            self.labels = _checked_categories(self.name, self.categories, tally)
        else:
            self.labels = in_natural_order(tally.kept(self.rare, self.most))
        self.notes = tally.left_out(self.name, self.labels)
        return self._ready()

    def _ready(self) -> Spec:
        self._enum = pl.Enum(self.labels)
        self._code = {label: code for code, label in enumerate(self.labels)}
        self._title = self.dtype == "String" and {"True", "False"} >= set(self.labels)
        self._unpadded = _unpadded(self.labels) if self.dtype == "String" else {}
        size = len(self.labels)
        self.spec = Spec("index", (), size, unit="order" if self.ordered else "row")
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """(N,) codes in the smallest signed or 8-bit integer type that holds `size`; unseen values are noted."""
        size = len(self.labels)
        codes = self._codes(values if values.dtype == pl.String else as_labels(values))
        if not codes.null_count():  # the quick way, for all known as they are written
            return Encoded(codes.to_numpy().astype(index_dtype(size)), np.ones(len(codes), bool))
        labels = as_labels(values)
        notes = spaces_told(self.name, values, labels, codes)
        codes = codes.fill_null(self._codes(self._matched(labels)))
        if self._unpadded and values.dtype.is_numeric():
            codes = self._padded(codes, labels, notes)
        observed = present(labels)
        unseen = codes.is_null().to_numpy() & observed
        data = codes.fill_null(0).to_numpy().astype(index_dtype(size))
        data[unseen] = size
        if unseen.any():
            told = name_some(values, unseen) + self._nearly(labels, unseen)
            notes.append(f"{self.name}: {counted(int(unseen.sum()), 'value|values')} not seen in training: {told}")
        if values.dtype == pl.String and (blank := len(values) - values.null_count() - int(observed.sum())):
            notes.append(f"{self.name}: {counted(blank, 'blank value|values is|are')} taken as missing")
        return Encoded(data, observed, notes=notes)

    def _codes(self, labels: pl.Series) -> pl.Series:
        """(N,) the codes of labels, null where unseen or missing."""
        if len(labels) <= FEW:  # looked up one by one: a query costs more than the work
            return pl.Series([self._code.get(label) for label in labels.to_list()], dtype=pl.UInt32)
        return labels.cast(self._enum, strict=False).to_physical()

    def _matched(self, labels: pl.Series) -> pl.Series:
        """The labels as this column would write them: 1.0 as 1, TRUE or 1 as true, when that is how it learnt."""
        if self.dtype == "Boolean":
            return labels.str.to_lowercase().replace(BOOLEANS)
        if self._title:
            return labels.str.to_titlecase()
        if self.dtype == "String":
            return labels
        whole = labels.cast(pl.Int64, strict=False).cast(pl.String)  # exact, where a float rounds large codes
        read = whole.fill_null(_number_labels(labels.cast(pl.Float64, strict=False))).fill_null(labels)
        return labels.cast(self._enum, strict=False).cast(pl.String).fill_null(read)

    def _padded(self, codes: pl.Series, labels: pl.Series, notes: list[str]) -> pl.Series:
        """(N,) the codes with those of numbers that were written with zeros before them, as 00501; notes tell."""
        found = codes.fill_null(
            self._codes(labels.replace_strict(self._unpadded, default=None, return_dtype=pl.String))
        )
        if new := codes.null_count() - found.null_count():
            bare, full = next(iter(self._unpadded.items()))
            notes.append(
                f"{self.name}: {counted(new, 'number|numbers is|are')} taken for codes that have lost "
                f"their leading zeros (as {bare} for "
                f"{full!r}); read the column as text to keep them"
            )
        return found

    def _nearly(self, labels: pl.Series, unseen: np.ndarray) -> str:
        """What the first unseen value differs from a known one by, if it is no more than capitals."""
        first = plain_name(labels[int(unseen.argmax())])
        near = [label for label in self.labels[:NEAR] if plain_name(label) == first]
        return f"; training has it as {near[0]!r}" if near else ""

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"probs": (N, size)} as `name` in the raw type, `name_confidence`, and `name_p_<category>` for each."""
        probs = np.asarray(prediction["probs"], np.float32)
        best = probs.argmax(1) if len(probs) else np.zeros(0, np.int64)
        columns = [
            self._values().gather(best).alias(self.name),
            pl.Series(f"{self.name}_confidence", probs[np.arange(len(best)), best]),
        ]
        columns += [pl.Series(f"{self.name}_p_{label}", probs[:, i]) for i, label in enumerate(self.labels)]
        return pl.DataFrame(columns)

    def _values(self) -> pl.Series:
        """(size,) the categories in the raw type."""
        labels = pl.Series(self.name, self.labels, dtype=pl.String)
        return labels == "true" if self.dtype == "Boolean" else labels.cast(getattr(pl, self.dtype))

    def state(self) -> dict[str, Any]:
        """The categories in order and the raw type."""
        return {"version": 1, "labels": list(self.labels), "dtype": self.dtype}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.labels, self.dtype = list(state["labels"]), str(state["dtype"])
        self._ready()


def as_labels(values: pl.Series) -> pl.Series:
    """The values (N) as strings, equal where they mean the same (3 and 3.0; "a" and " a"); null where missing, NaN or
    blank.

    Raises DataError for nested and binary values.
    """
    dtype = values.dtype
    if dtype.is_float() or dtype.is_decimal():
        return _number_labels(values)
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise DataError(f"column {values.name!r} holds {dtype}, which cannot be categories; try another type for it")
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    labels = values.cast(pl.String).str.strip_chars()
    return labels.set(labels == "", None)


def spaces_told(name: str, values: pl.Series, labels: pl.Series, exact: pl.Series) -> list[str]:
    """A note on values (N) with spaces around them, which their labels lack. exact: (N,) codes of values as they are
    written, which those of models of before may be; null for others."""
    if values.dtype != pl.String:
        return []
    padded = (exact.is_null() & (values != labels)).fill_null(False)
    if not (count := padded.sum()):
        return []
    first = values[int(padded.arg_max() or 0)]
    told = counted(int(count), "value|values has|have spaces around it|them, which do not count")
    return [f"{name}: {told} (such as {first!r:.60})"]


def _number_labels(values: pl.Series) -> pl.Series:
    """Numbers as strings, whole ones without a point; NaN as null."""
    floats = values if values.dtype.is_float() else values.cast(pl.Float64)
    whole = floats.cast(pl.Int64, strict=False)
    back = whole.cast(floats.dtype)
    if not whole.null_count() and np.array_equal(back.to_numpy(), floats.to_numpy()):
        return whole.cast(pl.String)
    floats = floats.fill_nan(None)
    return whole.cast(pl.String).zip_with(back.eq_missing(floats), floats.cast(pl.String))


def _unpadded(labels: Sequence[str]) -> dict[str, str]:
    """{"501": "00501"} of labels with leading zeros, where no other label is the same number."""
    numbers = [label for label in labels if label.isascii() and label.isdigit()]
    bare = [label.lstrip("0") or "0" for label in numbers]
    times = Counter(bare)
    return {one: label for one, label in zip(bare, numbers, strict=True) if one != label and times[one] == 1}


class Tally:
    """Counts labels over chunks, in memory that grows with the distinct ones only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self._parts: list[pl.DataFrame] = []

    def add(self, labels_of: Callable[[pl.Series], pl.Series], values: pl.Series) -> None:
        """Adds (N) values; `labels_of` makes labels of the distinct ones, null standing for missing."""
        counts = values.rename("label").value_counts(name="count") if len(values) else None
        if counts is None:
            return
        labels = labels_of(counts["label"].rename(self.name)).alias("label")
        part = pl.DataFrame([labels, counts["count"].cast(pl.Int64)]).drop_nulls("label")
        self.rows += int(part["count"].sum())
        self._parts.append(part)
        if sum(map(len, self._parts)) > MERGE_ROWS + len(self._parts[0]):
            self.merged()

    def merged(self) -> pl.DataFrame:
        """(label, count), the most frequent first, equal counts in the order of the labels."""
        if not self._parts:
            return pl.DataFrame(schema={"label": pl.String, "count": pl.Int64})
        counts = pl.concat(self._parts).group_by("label").agg(pl.col("count").sum())
        if len(counts) > DISTINCT_LIMIT:
            raise DataError(
                f"column {self.name!r} has more than {DISTINCT_LIMIT:,} distinct values, too many for categories; "
                f"leave it out with roles={{{self.name!r}: 'ignore'}} or read it as text"
            )
        self._parts = [counts]
        return counts.sort(["count", "label"], descending=[True, False])

    def kept(self, rare: int, most: int) -> list[str]:
        """The labels seen at least `rare` times, at most `most`. Raises DataError when there are none."""
        counts = self.merged()
        labels = counts.filter(pl.col("count") >= rare)["label"].head(most).to_list()
        if not labels and len(counts):
            raise DataError(f"column {self.name!r}: no value is seen {rare} times in the training rows; lower `rare`")
        if not labels:
            raise DataError(
                f"column {self.name!r} has no observed value in the training rows; "
                f"leave it out with roles={{{self.name!r}: 'ignore'}} or check how it was read"
            )
        return labels

    def left_out(self, name: str, labels: Sequence[str]) -> list[str]:
        """A note on the labels that are counted but not among `labels`."""
        counts = self.merged()
        out = counts.filter(~pl.col("label").is_in(list(labels)))
        if not len(out):
            return []
        some = ", ".join(map(repr, out["label"].head(3).to_list()))
        rows = int(out["count"].sum())
        return [
            f"{name}: {counted(len(out), 'category|categories')} ({counted(rows, 'training row|rows')}) "
            f"{agreed(len(out), 'is|are')} treated as not seen: {some}"
        ]


def in_natural_order(labels: Sequence[str]) -> list[str]:
    """Labels sorted: by value if all are numbers, else as text in which runs of digits count as numbers."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        numbers = [math.nan]
    if all(map(math.isfinite, numbers)):
        return [label for _, label in sorted(zip(numbers, labels, strict=True))]
    return sorted(labels, key=lambda label: (_natural(label), label))


def _natural(label: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", label)
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


def index_dtype(size: int) -> Any:
    """The smallest integer type for 0 .. size that torch works with in full (it has little for uint16 and uint32)."""
    return next(t for t in (np.uint8, np.int16, np.int32, np.int64) if size <= np.iinfo(t).max)


def name_some(values: pl.Series, where: np.ndarray) -> str:
    """The first three distinct values where the mask (N,) holds, each with its row."""
    found: dict[str, int] = {}
    for row in np.flatnonzero(where)[:1000].tolist():
        found.setdefault(repr(values[row]), row)
        if len(found) == 3:
            break
    return ", ".join(f"{value[:60]} (row {row_number(row)})" for value, row in found.items())


def _checked_categories(name: str, categories: list[str], tally: Tally) -> list[str]:
    categories = [category.strip() for category in categories]
    seen = set(tally.merged()["label"].to_list())
    if len(set(categories)) < len(categories):
        raise DataError(f"column {name!r}: the option `categories` names a category twice: {categories}")
    if not seen & set(categories):
        raise DataError(
            f"column {name!r}: none of the option `categories` {categories[:5]} is in the training rows, "
            f"which hold {sorted(seen)[:5]}"
        )
    return list(categories)


def _common(dtypes: Sequence[pl.DataType]) -> str:
    """The name of the type that predictions come back in."""
    known = [dtype for dtype in dtypes if dtype != pl.Null]
    names = {str(dtype.base_type()) for dtype in known}
    if names == {"Boolean"}:
        return "Boolean"
    if not names or not all(dtype.is_numeric() for dtype in known):
        return "String"
    if len(names) == 1 and names != {"Decimal"}:
        return names.pop()
    return "Int64" if all(dtype.is_integer() for dtype in known) else "Float64"


def _score_strings(known: pl.Series, distinct: int) -> float:
    """High for strings that repeat and are short; many different ones of several words are rather text."""
    rows = len(known)
    long = float(known.str.len_chars().mean() or 0.0) > 60  # type: ignore[arg-type]
    spaces = spaced(known).str.count_matches(r"\s+") + known.str.count_matches(STOPS)
    apart = spaces + known.str.count_matches(UNSPACED) / NAME  # of scripts without spaces, whose names are short
    words = 99.0 if long else float(apart.mean() or 0.0)  # type: ignore[arg-type]
    if distinct <= max(2, min(50, rows // 3)) and (distinct < rows or words < 1):
        return 0.7 if long else 0.95
    if distinct <= rows // 2:
        return 0.85 if words <= 4 else 0.4
    return 0.5 if words < 1 else 0.2
