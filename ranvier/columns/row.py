"""Several columns of a table as one vector, so that they can be drawn together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns._numbers import parse
from ranvier.columns.category import Category
from ranvier.columns.recognise import recognise
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.spec import STEP, Encoded, Field, Spec

EDGE = 3.5  # normal scores are kept within it
NEW = "something new stands for them"
GRID = np.linspace(-EDGE, EDGE, 2_801)  # places at which the normal distribution is known
BELOW = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in GRID])
POINTS = 2_000  # values of a field that are kept, at most
STEPS = 50  # different values, up to which a field of numbers has nothing between them
OFTEN = 0.005  # share of the rows from which on a value is one that is often met, and comes back as such
MOST = 64  # categories of a field
MOST_DIGITS = 6  # behind the point of a number that is written as text; of others as many as they have, from the first
EXACT = 17  # digits from the first that is not 0, by which any number is told from all others
KINDS = ("number", "category")


class Row(Column):
    """Fields of a row, numbers and categories, as one vector (N, D) of about unit variance, and back.

    Raw values are structs, a field for each column. A number becomes its normal score, the place of its rank in a
    normal distribution, equal values being spread over their ranks; so every distribution comes back as it was, peaks,
    gaps and whole numbers too; read from text, it comes back as text, in plain digits. A category becomes one number
    for each value, a field of which some values are missing one more that says so. types: "field=number" or
    "field=category" where the values alone would be read otherwise.
    """

    def __init__(self, name: str, /, *, types: list[str] = []) -> None:  # noqa: B006  (read only: the schema)
        super().__init__(name)
        self.types = list(types)
        self.fields: dict[str, Ranks | Kinds] = {}
        self.rows = 0  # of training

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """Never: the planner makes such columns, and says so."""
        return 0.0, ""

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Ranks and categories of every field. Raises DataError for a field that is neither."""
        rows = pl.concat(list(chunks)).struct.unnest()
        asked = dict(one.partition("=")[::2] for one in self.types)
        self.fields = {name: _learnt(rows[name], asked.get(name, "")) for name in rows.columns}
        return self._ready(rows.height)

    def _ready(self, rows: int) -> Spec:
        self.rows, fields = rows, tuple(field.field(rows) for field in self.fields.values())
        self.spec = Spec("vector", (sum(field.width for field in fields),), unit="field", fields=fields)
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """float32 (N, D), where what training never had is apart (see `Field`), and told but for numbers near by."""
        if not isinstance(values.dtype, pl.Struct):  # a column that came without a type
            values = values.cast(pl.Struct(dict.fromkeys(self.fields, pl.Null)))
        rows, notes = values.struct.unnest(), list[str]()
        numbers = [field.numbers(rows[name], notes) for name, field in self.fields.items()]
        for own, (name, field) in zip(numbers, self.fields.items(), strict=True):
            notes += field.never_seen(name, own)
        data = self._vector(numbers)
        return Encoded(data, values.is_not_null().to_numpy(), notes=[f"{self.name}: {note}" for note in notes])

    def begun(self, rows: pl.DataFrame, notes: list[str]) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
        """Of rows that lack some fields: their vectors (N, F), which fields are there (N, D), and these as decoded.

        Raises DataError for a number too large for its column; one that is rounded to be of it is told.
        """
        numbers = [field.numbers(rows[name], notes) for name, field in self.fields.items()]
        there = [np.isfinite(own) for own in numbers]
        known = [
            field.values_of(np.where(some, own, 0)).set(pl.Series(~some), None).alias(name)
            for (name, field), own, some in zip(self.fields.items(), numbers, there, strict=True)
        ]
        for (name, field), own, some, kept in zip(self.fields.items(), numbers, there, known, strict=True):
            notes += field.never_seen(name, own[some])
            notes += _moved(name, field.dtype, own[some], field.numbers(kept, [])[some])
        return self._vector(numbers), np.stack(there, 1), pl.DataFrame(known)

    def _vector(self, numbers: list[np.ndarray]) -> np.ndarray:
        """(N, F) float32 of what each field's `numbers` gave."""
        parts = [
            field.encode(own, _spread(numbers, place))
            for place, (own, field) in enumerate(zip(numbers, self.fields.values(), strict=True))
        ]
        return np.concatenate(parts, 1).astype(np.float32)

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"value": (N, D)} as the fields, each in its raw type."""
        found, start = [], 0
        for name, field in self.fields.items():
            found.append(field.decode(prediction["value"][:, start : start + field.width]).alias(name))
            start += field.width
        return pl.DataFrame(found)

    def texts(self) -> list[str]:
        """The fields that training read as texts, and that are to be read so again."""
        return [name for name, field in self.fields.items() if field.dtype == "String"]

    def state(self) -> dict[str, Any]:
        """What the fields have learnt."""
        fields = {name: field.state() for name, field in self.fields.items()}
        return {"version": 1, "rows": self.rows, "fields": fields}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.fields = {
            name: Ranks.of(own) if own["kind"] == "number" else Kinds.of(own, name)
            for name, own in state["fields"].items()
        }
        self._ready(int(state.get("rows", 0)))


class Ranks:
    """A field of numbers: (N,) to normal scores (N, 1), or (N, 2) with whether there is one.

    values: (K,) ascending. low, high: (K,) the share of rows below each, and up to each; both in the middle for values
    of few rows, between which there may be others, unless `steps` says that there is nothing. digits: behind the point
    of any of the values, at most MOST_DIGITS. figures: where these are too few, as many digits from the first that is
    not 0 as any of the values has, else 0. Numbers that were texts come back as texts of so many.
    """

    def __init__(
        self,
        values: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        missing: float,
        steps: bool,
        digits: int,
        figures: int,
        dtype: str,
    ) -> None:
        self.values, self.low, self.high = values, low, high
        self.missing, self.steps, self.digits, self.figures, self.dtype = missing, steps, digits, figures, dtype
        self.width = 2 if missing else 1

    @classmethod
    def learnt(cls, raw: pl.Series) -> Ranks:
        """From the values of the training rows."""
        numbers, _ = parse(raw)
        known = np.sort(numbers[np.isfinite(numbers)])
        if not len(known):
            raise DataError(f"column {raw.name!r}: no training row holds a number; leave it out")
        values, counts = np.unique(known, return_counts=True)
        up_to = np.cumsum(counts) / len(known)
        low = np.concatenate([[0.0], up_to[:-1]])
        digits, figures = _digits(values)
        steps = len(values) <= STEPS or (not digits and len(values) <= POINTS)
        if not steps:
            often = counts > max(1, OFTEN * len(known))
            middle = (low + up_to) / 2
            low, up_to = np.where(often, low, middle), np.where(often, up_to, middle)
            kept = np.searchsorted(middle, np.linspace(0, 1, POINTS)).clip(0, len(values) - 1)
            at = np.union1d(kept, np.flatnonzero(often))
            values, low, up_to = values[at], low[at], up_to[at]
        return cls(values, low, up_to, 1 - len(known) / len(raw), steps, digits, figures, str(raw.dtype))

    def field(self, rows: int) -> Field:
        """Cut halfway between any two values that it knows, and on both sides of those that are often met."""
        often = self.high > self.low
        until, since = self.high[:-1], self.low[1:]
        after = np.where(often[:-1], until, np.where(often[1:], since, (until + since) / 2))
        before = np.where(often[1:], since, after)
        cuts = np.unique(np.interp([*after, *before], BELOW, GRID))
        cuts = cuts[np.abs(cuts) < EDGE]
        off, on = _unit(np.array([[False], [True]]), 1 - self.missing).tolist() if self.missing else ((), ())
        return Field(tuple(cuts.tolist()), tuple(off), tuple(on), rows, self._within())

    def _within(self) -> tuple[float, float]:
        """The scores between which those of all values are."""
        first, last = np.interp([self.low[0], self.high[-1]], BELOW, GRID).tolist()
        return first, last

    def numbers(self, raw: pl.Series, notes: list[str]) -> np.ndarray:
        """(N,) the values, not a number where missing."""
        numbers, told = parse(raw)
        notes += told.notes(raw.name)
        return numbers

    def never_seen(self, name: str, numbers: np.ndarray) -> list[str]:
        """Notes of values that are missing where none was in training, and of those far outside all of training."""
        gaps = 0 if self.missing else int((~np.isfinite(numbers)).sum())
        told = f"{name}: {counted(gaps, 'value|values is|are')} missing, as none was in training"
        notes = [f"{told}; {NEW}"] if gaps else []
        if far := int((self._outside(np.where(np.isfinite(numbers), numbers, self.values[0])) > 1).sum()):
            first, last = self.values_of(self.values[[0, -1]]).to_list()
            notes += [
                f"{name}: {counted(far, 'value|values lies|lie')} far outside those of training, {first} to {last}"
            ]
        return notes

    def _outside(self, numbers: np.ndarray) -> np.ndarray:
        """(N,) how far each is below, or above, all that training had, in spans of that (1 if none); 0 within."""
        first, last = self.values[[0, -1]]
        with np.errstate(over="ignore"):
            return np.maximum(first - numbers, np.maximum(numbers - last, 0.0)) / ((last - first) or 1.0)

    def encode(self, numbers: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """(N, width). spread: (N,) between 0 and 1, where in the ranks of its equals each value is."""
        there = np.isfinite(numbers)
        known = np.where(there, numbers, self.values[0])
        at = np.searchsorted(self.values, known).clip(0, len(self.values) - 1)
        tied = self.low[at] + spread * (self.high[at] - self.low[at])
        between = np.interp(known, self.values, (self.low + self.high) / 2)
        rank = np.where(self.values[at] == known, tied, between)
        far, (first, last) = self._outside(known), self._within()
        beyond = STEP * (1 + np.log1p(far))
        outside = np.where(known < self.values[0], first - beyond, last + beyond)
        score = np.where(far > 0, outside, np.interp(rank, BELOW, GRID))
        if not self.missing:
            return np.where(there, score, last + STEP)[:, None]
        return np.stack([np.where(there, score, 0.0), _unit(there, 1 - self.missing)], 1)

    def decode(self, scores: np.ndarray) -> pl.Series:
        """(N, width) as values in the raw type."""
        rank = np.interp(scores[:, 0], GRID, BELOW)
        if self.steps:
            found = self.values[np.searchsorted(self.high, rank).clip(0, len(self.values) - 1)]
        else:
            found = np.interp(rank, np.stack([self.low, self.high], 1).ravel(), self.values.repeat(2))
            found = found if self.figures else np.round(found, self.digits)  # as whole, or as fine, as training's
        series = self.values_of(found)
        if not self.missing:
            return series
        there = scores[:, 1] > _unit(np.array([False, True]), 1 - self.missing).mean()
        return series.set(pl.Series(~there), None)

    def values_of(self, found: np.ndarray) -> pl.Series:
        """Numbers (N,) in the raw type."""
        if self.dtype == "String":
            return pl.Series([*map(self._written, found)], dtype=pl.String)
        kind = getattr(pl, self.dtype, pl.Float64)
        if not kind.is_integer():
            return pl.Series(found).cast(kind)
        least, most = (pl.select(end).item() for end in (kind.min(), kind.max()))
        most = float(most) if float(most) <= most else np.nextafter(float(most), 0)  # 2^63 would not fit
        return pl.Series(np.round(found).clip(least, most)).cast(kind)

    def _written(self, number: float) -> str:
        if self.figures:
            return np.format_float_positional(number + 0.0, self.figures, unique=False, fractional=False, trim="-")
        return f"{np.round(number, self.digits) + 0.0:.{self.digits}f}"

    def state(self) -> dict[str, Any]:
        """JSON values."""
        kept = {name: getattr(self, name).tolist() for name in ("values", "low", "high")}
        plain = {name: getattr(self, name) for name in ("missing", "steps", "digits", "figures", "dtype")}
        return {"kind": "number", **kept, **plain}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Ranks:
        """Inverts `state`, also one of before digits, or figures, were kept."""
        values, low, high = (np.asarray(state[name], np.float64) for name in ("values", "low", "high"))
        digits, figures = (state["digits"], state["figures"]) if "figures" in state else _digits(values)
        missing, steps = float(state["missing"]), bool(state["steps"])
        return cls(values, low, high, missing, steps, int(digits), int(figures), str(state["dtype"]))


class Kinds:
    """A field of categories: (N,) to (N, size), a number of mean 0 for each category, missing being one of them.

    shares: (size,) of the training rows.
    """

    def __init__(self, column: Category, shares: np.ndarray) -> None:
        self.column, self.shares = column, shares
        self.width, self.dtype = len(shares), column.dtype

    @classmethod
    def learnt(cls, raw: pl.Series) -> Kinds:
        """From the values of the training rows. Raises DataError for too many categories."""
        column = Category(raw.name)
        column.learn([raw])
        if len(column.labels) > MOST:
            raise DataError(
                f"column {raw.name!r} has {len(column.labels)} different values, and rows are drawn with at most "
                f"{MOST} of a column; leave it out"
            )
        seen = column.encode(raw)
        codes = np.where(seen.observed, seen.data.astype(np.int64), len(column.labels))
        counts = np.bincount(codes, minlength=len(column.labels) + 1)
        return cls(column, (counts if counts[-1] else counts[:-1]) / len(raw))

    def field(self, rows: int) -> Field:
        """A number for each category."""
        off, on = _unit(np.array([[False], [True]]), self.shares).tolist()
        return Field(None, tuple(off), tuple(on), rows)

    def never_seen(self, name: str, numbers: np.ndarray) -> list[str]:
        """A note of values that are missing where none was in training."""
        gaps = int((np.isnan(numbers) & (self.width == len(self.column.labels))).sum())
        told = f"{name}: {counted(gaps, 'value|values is|are')} missing, as none was in training"
        return [f"{told}; {NEW}"] if gaps else []

    def numbers(self, raw: pl.Series, notes: list[str]) -> np.ndarray:
        """(N,) the codes, not a number where missing, and above all others where never seen."""
        seen = self.column.encode(raw)
        notes += seen.notes
        return np.where(seen.observed, seen.data + 1.0 * (seen.data == len(self.column.labels)), np.nan)

    def encode(self, numbers: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """(N, width)."""
        codes = np.where(np.isnan(numbers), len(self.column.labels), numbers)
        return _unit(codes[:, None] == np.arange(self.width), self.shares)

    def decode(self, scores: np.ndarray) -> pl.Series:
        """(N, width) as the likeliest category, or null, in the raw type."""
        return self.values_of((scores * _deviation(self.shares) + self.shares).argmax(1))

    def values_of(self, codes: np.ndarray) -> pl.Series:
        """Codes (N,) as categories, or null, in the raw type."""
        values = self.column._values()
        return values.extend_constant(None, self.width - len(values)).gather(codes.astype(np.int64))

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return {"kind": "category", "column": self.column.state(), "shares": self.shares.tolist()}

    @classmethod
    def of(cls, state: Mapping[str, Any], name: str) -> Kinds:
        """Inverts `state`."""
        column = Category(name)
        column.load_state(state["column"])
        return cls(column, np.asarray(state["shares"], np.float64))


def _moved(name: str, dtype: str, given: np.ndarray, kept: np.ndarray) -> list[str]:
    """A note of numbers (N,) that the column keeps as others, rounded. Raises DataError for one too large for it."""
    for wide in given[np.abs(kept - given) > 1 + 1e-9 * np.abs(given)][:1]:
        raise DataError(f"given {name} = {wide:g} does not fit the column, which is {dtype}")
    moved = kept != given
    if not moved.any():
        return []
    told = f"{counted(int(moved.sum()), 'value|values')} not as fine as given, for the column is {dtype}"
    return [f"{name}: {told} (such as {given[moved][0]:g}, now {kept[moved][0]:g})"]


def _learnt(raw: pl.Series, kind: str) -> Ranks | Kinds:
    kind, reason = (kind, "as asked") if kind else recognise(raw, target=True)
    if kind not in KINDS:
        raise DataError(
            f"column {raw.name!r} is a {kind} ({reason}), and rows are drawn of numbers and categories; leave it out, "
            f"or say which it is: types={{{raw.name!r}: 'category'}}"
        )
    return Ranks.learnt(raw) if kind == "number" else Kinds.learnt(raw)


def _digits(values: np.ndarray) -> tuple[int, int]:
    """(digits, figures) that tell the values, (K,), apart, as `Ranks` has them."""
    digits = next((n for n in range(MOST_DIGITS + 1) if (np.round(values, n) == values).all()), None)
    if digits is not None:
        return digits, 0
    return MOST_DIGITS, next((n for n in range(1, EXACT) if all(float(f"{x:.{n - 1}e}") == x for x in values)), EXACT)


def _spread(numbers: list[np.ndarray], place: int) -> np.ndarray:
    """(N,) numbers between 0.01 and 0.99 that depend on nothing but the row's own values, another for each field.

    A hash of the values: SplitMix64 (Steele, Lea & Flood 2014), the next value mixed into what the last one gave.
    """
    mixed = np.full(len(numbers[0]), place + 1, np.uint64)
    for own in numbers:
        bits = np.ascontiguousarray(np.where(np.isnan(own), -0.5, own), np.float64).view(np.uint64)
        z = (mixed ^ bits) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = z ^ (z >> np.uint64(31))
    return 0.01 + 0.98 * (mixed >> np.uint64(11)) * 2.0**-53


def _deviation(share: Any) -> Any:
    return np.sqrt(np.maximum(share * (1 - share), 1e-2))


def _unit(yes: np.ndarray, share: Any) -> np.ndarray:
    """Yes and no as numbers of mean 0 and, unless one of them is rare, deviation 1."""
    return (yes - share) / _deviation(share)
