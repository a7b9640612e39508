"""What the number column reads text with, samples with, and ranks with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

LIMIT = 1_000_000  # values kept for quantiles
KNOTS = 512  # intervals between quantiles
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing", "unknown")
GROUPED = r"^-?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"  # 1,234 and 1,234,567.8
CLEARLY_GROUPED = r"^-?[1-9]\d{0,2}(,\d{3}){2,}$|^-?[1-9]\d{0,2}(,\d{3})+\."
EUROPEAN = r"^-?\d{1,3}(\.\d{3})+,\d+$"  # 1.234,5
COMMA = r"^-?\d+,\d+$"
CURRENCY = r"[$€£¥₹]|\b(?:usd|eur|gbp|chf|jpy)\b"


@dataclass
class Told:
    """What reading met. missing: words that stand for a missing value; unread: other text that is no number.

    infinite, percent, padded: infinities, percentages, digits with leading zeros. commas: numbers with a comma,
    which is the decimal sign or sets thousands apart. example: the first value seen.
    """

    missing: int = 0
    unread: int = 0
    infinite: int = 0
    percent: int = 0
    padded: int = 0
    commas: int = 0
    decimal_comma: bool = False
    comma_example: str = ""
    example: Any = None
    unread_examples: list[tuple[int, Any]] = field(default_factory=list)  # rows and values
    infinite_row: int = 0

    def notes(self, column: str) -> list[str]:
        """Sentences for the user."""
        shown = ", ".join(f"{value!r} in row {row}" for row, value in self.unread_examples)
        lines = [
            (self.unread, f"{self.unread} values are no numbers and count as missing (such as {shown})"),
            (self.infinite, f"{self.infinite} infinite values count as missing (the first in row {self.infinite_row})"),
            (self.percent, f"{self.percent} percentages are read as fractions (12% is 0.12)"),
        ]
        if self.commas:
            how = (
                "the decimal sign (1,234 is 1.234)" if self.decimal_comma else "setting thousands apart (1,234 is 1234)"
            )
            told = f"{self.commas} values with a comma, such as {self.comma_example!r}, are read with it as {how}"
            lines.append((self.commas, f"{told}; write numbers without it, and with a point, to leave no doubt"))
        return [f"column {column!r}: {line}" for count, line in lines if count]


def parse(values: pl.Series) -> tuple[np.ndarray, Told]:
    """Values as float64 (N,), NaN where missing or not a number, and what was met."""
    told = Told()
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        out = values.cast(pl.Float64).to_numpy()  # a null becomes NaN
        if len(out) and not np.isfinite(out).any():
            told.example = values.drop_nulls().first()
    elif values.dtype in (pl.String, pl.Categorical, pl.Enum):
        told.example = values.drop_nulls().first()
        out = _read(values.cast(pl.String), told)
    else:
        present = values.drop_nulls()
        told.example = present.first()
        told.unread = len(present)
        told.unread_examples = [(row, values[row]) for row in values.is_not_null().arg_true()[:3].to_list()]
        return np.full(len(values), np.nan), told
    told.infinite = int(np.isinf(out).sum())
    if told.infinite:
        told.infinite_row = int(np.isinf(out).argmax())
        out = np.where(np.isinf(out), np.nan, out)
    return out, told


def _read(texts: pl.Series, told: Told) -> np.ndarray:
    """Numbers written as text: thousands separators, a decimal comma, currencies, percent, (5) for -5."""
    plain = texts.str.strip_chars().str.to_lowercase()
    number = plain.cast(pl.Float64, strict=False)  # the fast way, for nearly all
    told.padded = int(plain.str.contains(r"^0\d").sum())
    hard = number.is_null() & plain.is_not_null()
    if hard.any():
        words = plain.filter(hard)
        told.missing = int(words.is_in(MISSING).sum())
        bare, percent = _bare(words)
        read, percent = _read_hard(bare, percent, _decimal_commas(bare, told))
        told.percent = int(percent.sum())
        unread = read.is_null() & ~words.is_in(MISSING)
        told.unread = int(unread.sum())
        told.unread_examples = _firsts(texts, hard.arg_true().filter(unread))
        out = number.fill_null(float("nan")).to_numpy().copy()
        out[hard.to_numpy()] = read.fill_null(float("nan")).to_numpy()
        return out
    told.missing = int((number.is_nan() & plain.is_not_null()).sum())
    return number.fill_null(float("nan")).to_numpy()


def _firsts(texts: pl.Series, rows: pl.Series) -> list[tuple[int, Any]]:
    """Of these rows the first of each of three different texts, each with its text."""
    found = pl.DataFrame({"row": rows, "text": texts.gather(rows)})
    return found.unique("text", keep="first", maintain_order=True).head(3).rows()


def _bare(words: pl.Series) -> tuple[pl.Series, pl.Series]:
    """(what is left without currencies, spaces and %, whether it had a %) of words that are no plain numbers."""
    bare = words.str.replace_all(CURRENCY, "").str.replace_all(r"[\s'_\u00a0]", "")
    bare = bare.str.replace(r"^\((.+)\)$", "-$1").str.replace(r"^\+", "")
    percent = bare.str.ends_with("%") & words.is_not_null()
    return bare.str.strip_suffix("%").alias("w"), percent


def _decimal_commas(bare: pl.Series, told: Told) -> bool:
    """Whether a comma is the decimal sign: so in 1,5 and 0,123 and 1.234,5, and then in 1,234 beside them, too."""
    words = bare.drop_nulls()
    words = words.filter(words.str.contains(f"{GROUPED}|{EUROPEAN}|{COMMA}"))
    told.commas, told.comma_example = len(words), words[0] if len(words) else ""
    sure = words.filter(~words.str.contains(GROUPED))
    told.decimal_comma = len(sure) > 0 and not words.str.contains(CLEARLY_GROUPED).any()
    return told.decimal_comma


def _read_hard(bare: pl.Series, percent: pl.Series, decimal_comma: bool) -> tuple[pl.Series, pl.Series]:
    """(numbers, whether a percentage) for words that are no plain numbers."""
    w = pl.col("w")
    grouped = w.str.contains(CLEARLY_GROUPED if decimal_comma else GROUPED)
    read = (
        bare.to_frame()
        .select(
            pl.when(grouped)
            .then(w.str.replace_all(",", "", literal=True))
            .when(w.str.contains(EUROPEAN))
            .then(w.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
            .when(w.str.contains(COMMA))
            .then(w.str.replace(",", ".", literal=True))
            .otherwise(w)
            .cast(pl.Float64, strict=False)
        )
        .to_series()
    )
    read = read.fill_nan(None)
    number = pl.DataFrame({"n": read, "p": percent}).select(pl.when("p").then(pl.col("n") / 100).otherwise("n"))
    return number.to_series(), percent & read.is_not_null()


class Reservoir:
    """A uniform sample of at most `limit` values of a stream: all of them while they fit.

    Each value draws a key from a fixed seed, and those with the smallest keys stay; so the sample depends on the
    order of the values, and not on how they are cut into chunks.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._rng = np.random.default_rng(0)
        self._values: list[np.ndarray] = []
        self._keys: list[np.ndarray] = []
        self._held = 0

    def add(self, values: np.ndarray) -> None:
        """Takes in values (N,)."""
        self._values.append(np.asarray(values, np.float64))
        self._keys.append(self._rng.random(len(values)))
        self._held += len(values)
        if self._held > 2 * self.limit:
            self._prune()

    def values(self) -> np.ndarray:
        """The sample."""
        if self._held > self.limit:
            self._prune()
        return np.concatenate(self._values) if self._values else np.empty(0)

    def _prune(self) -> None:
        values, keys = np.concatenate(self._values), np.concatenate(self._keys)
        keep = np.sort(np.argpartition(keys, self.limit)[: self.limit])
        self._values, self._keys, self._held = [values[keep]], [keys[keep]], len(keep)


def knots_of(ordered: np.ndarray, knots: int = KNOTS) -> tuple[np.ndarray, np.ndarray]:
    """(values, ranks) between which ranks are interpolated, both increasing, from sorted values.

    The ranks of few distinct values are exact: the middle of each one's ties, as a share of the rows. Of many, every
    `1 / knots` quantile is a knot, equal ones being one knot at the middle of their ranks.
    """
    total = len(ordered)
    distinct, counts = np.unique(ordered, return_counts=True)
    if len(distinct) == 1:
        return distinct, np.full(1, 0.5)
    if len(distinct) <= knots:
        below = np.cumsum(counts) - counts
        ranks = (below + (counts - 1) / 2) / (total - 1)
        return distinct, ranks
    levels = np.linspace(0, 1, knots + 1)
    cuts = np.quantile(ordered, levels)
    values, inverse = np.unique(cuts, return_inverse=True)
    return values, np.bincount(inverse, levels) / np.bincount(inverse)
