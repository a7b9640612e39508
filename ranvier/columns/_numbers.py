"""What the number column reads text with, samples with, and ranks with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.counts import agreed, counted
from ranvier.core.rows import row_number

LIMIT = 100_000  # values kept for quantiles: ranks are off by 0.2 % of the rows at most, as a rule
KNOTS = 512  # intervals between quantiles
CELLS = 1 << 14  # of even width, in each of which at most a knot or two are to be looked for
FINE = 1 << 18  # where too many of those hold more
BLOCK = 1 << 14  # values at a time, which stay in the processor's cache
UNEVEN = 0.2  # of the values in cells of several knots, above which halving alone is as quick
MANY = 20_000  # values from which on that is quicker than halving
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing", "unknown")
SAME = 0.9  # of the values that are no plain numbers must have one unit for it to be taken for one
CODES = "usd|eur|gbp|chf|jpy|cny|rmb|inr|rub|krw|cad|aud|nzd|hkd|sgd|twd|sek|nok|dkk|pln|czk|huf|brl|mxn|zar"
# any sign of a currency, some with a country before, as in US$ and CN¥ ("5 k€" has a unit, which is to stay)
CURRENCY = rf"\b(?:us|ca|au|nz|hk|sg|nt|[acr])\$|\b(?:cn|jp)[¥￥]|\p{{Sc}}|\b(?:{CODES})\b"
WIDE = {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}  # signs as wide as Chinese ones
POWER = r"(e[+-]?\d+)?$"
# spaces between digits, and such as group digits; where they do not, there are several numbers
SPACED, SPACED_GROUPS = r"\d\s+\d", r"^\D*\d{1,3}([\s'’_]\d{2,3})*[\s'’_]\d{3}([.,]\d*)?(\s*[^\d\s.,].*|\s*)$"
# a comma between thousands: 1,234 and 1,234,567.8 and 1,23,456; where none but that can be meant, the second
GROUPED = r"^-?[1-9]\d{0,2}(,\d{2,3})*,\d{3}(\.\d*)?" + POWER
SURELY_GROUPED = r"^-?[1-9]\d{0,2}((,\d{2,3})+,\d{3}|,\d{3}\.)"
# a comma before decimals: 1,5 and 1.234,5; where none but that can be meant, as in 0,123 and 1234,567, the third
COMMA, POINTS = r"^-?\d+,\d+" + POWER, r"^-?[1-9]\d{0,2}(\.\d{3})+(,\d*)?" + POWER
DOTTED = r"^-?[1-9]\d{0,2}(\.\d{3})+$"  # thousands where decimals come after a comma
SURELY_COMMA = r"^-?(\d{1,3}(\.\d{3})+,\d+|\d+,(\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+)([^\d.,].*)?$"
SURELY_POINT = r"^-?(\d*\.(\d{1,2}|\d{4,})|0\d*\.\d+|\d{4,}\.\d+)([^\d.,].*)?$"
# units that multiply, as in 3k, 2 mio and 5万: without one a number is another
MULTIPLE = (
    r"^((k|m|b|mn|mio|mln|mil|bn|mrd|mld|tsd|tys|тыс|млн|млрд|thousand|millions?|billions?|lakhs?|crores?)\.?$"
    r"|[十百千仟万萬亿億兆천만억])"
)
UNREAD = "value|values is|are no number|numbers and counts|count as missing"
INFINITE = "infinite value|values counts|count as missing"
WAYS = {True: "the decimal sign (1,234 is 1.234)", False: "setting thousands apart (1,234 is 1234)"}


@dataclass(frozen=True)
class Manner:
    """How numbers are written as text.

    comma: whether decimals come after a comma; None where the values do not tell, so that later ones have to.
    unit: what follows the numbers, "" for nothing. percent, multiple: whether all had a per cent sign, a unit that
    multiplies.
    """

    comma: bool | None = None
    unit: str = ""
    percent: bool = False
    multiple: bool = False

    @property
    def sign(self) -> str:
        """What all numbers had, and means another number where it is gone; "" for nothing."""
        return "%" if self.percent else self.unit if self.multiple else ""

    def or_of(self, other: Manner) -> Manner:
        """This one, with what the other knows in the place of what this one does not."""
        comma = other.comma if self.comma is None else self.comma
        multiple = self.multiple if self.unit else other.multiple
        return replace(self, comma=comma, unit=self.unit or other.unit, multiple=multiple)


PLAIN = Manner()


@dataclass
class Told:
    """What reading met. missing: words that stand for a missing value; unread: other text that is no number.

    infinite, percent, padded: infinities, percentages, digits with leading zeros. example: the first value seen.
    manner: how the values are written. commas: by whether the comma is the decimal sign, how many values have one that
    the manner given does not tell or tells otherwise, and the first. dotted: numbers whose points are taken for
    thousands. units: values with the unit. currencies: those met.
    """

    missing: int = 0
    unread: int = 0
    infinite: int = 0
    percent: int = 0
    padded: int = 0
    example: Any = None
    unread_examples: list[tuple[int, Any]] = field(default_factory=list)  # rows and values
    infinite_row: int = 0
    manner: Manner = field(default_factory=lambda: PLAIN)
    commas: dict[bool, tuple[int, str]] = field(default_factory=dict)
    dotted: int = 0
    units: int = 0
    currencies: list[str] = field(default_factory=list)

    def add_commas(self, other: Told) -> None:
        """Counts the doubtful commas of later values as well."""
        for way, (count, first) in other.commas.items():
            before, example = self.commas.get(way, (0, first))
            self.commas[way] = before + count, example

    def notes(self, column: str) -> list[str]:
        """Sentences for the user."""
        shown = ", ".join(f"{value!r} in row {row_number(row)}" for row, value in self.unread_examples)
        infinite = row_number(self.infinite_row) if self.infinite else 0
        percent = 0 if self.manner.percent else self.percent  # told when it was learnt
        lines = [
            (self.unread, f"{counted(self.unread, UNREAD)} (such as {shown})"),
            (self.infinite, f"{counted(self.infinite, INFINITE)} (the first in row {infinite})"),
            (percent, counted(percent, "percentage|percentages is|are read as fractions (12% is 0.12)")),
            (
                self.dotted,
                counted(
                    self.dotted, "value|values such as 1.234 is|are read as thousands, for others have a decimal comma"
                ),
            ),
            (
                self.units,
                f"{counted(self.units, 'value|values has|have')} the unit {self.manner.unit!r}, which is left out",
            ),
            (
                len(self.currencies) > 1,
                f"several currencies ({', '.join(self.currencies)}) are read as if they were one",
            ),
        ]
        for way, (count, first) in self.commas.items():
            told = (
                f"{counted(count, 'value|values')} with a comma, such as {first!r}, "
                f"{agreed(count, 'is|are')} read with it as {WAYS[way]}"
            )
            lines.append((count, f"{told}; write numbers without it, and with a point, to leave no doubt"))
        return [f"column {column!r}: {line}" for count, line in lines if count]


def parse(values: pl.Series, manner: Manner | None = None) -> tuple[np.ndarray, Told]:
    """Values as float64 (N,), NaN where missing or not a number, and what was met.

    manner: how they are written; None = found out from the values themselves, as is the decimal sign where it does not
    tell that.
    """
    told = Told(manner=manner or PLAIN)
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        out = values.cast(pl.Float64).to_numpy()  # a null becomes NaN
        if len(out) and not np.isfinite(out).any():
            told.example = values.drop_nulls().first()
    elif values.dtype in (pl.String, pl.Categorical, pl.Enum):
        told.example = values.drop_nulls().first()
        out = _read(values.cast(pl.String), told, find=manner is None)
    else:
        present = values.drop_nulls()
        told.example = present.first()
        told.unread = len(present)
        rows = values.is_not_null().arg_true()[:3]
        told.unread_examples = list(zip(rows.to_list(), values.gather(rows).to_list(), strict=True))
        return np.full(len(values), np.nan), told
    told.infinite = int(np.isinf(out).sum())
    if told.infinite:
        told.infinite_row = int(np.isinf(out).argmax())
        out = np.where(np.isinf(out), np.nan, out)
    return out, told


def _read(texts: pl.Series, told: Told, *, find: bool) -> np.ndarray:
    """Numbers written as text: thousands separators, a decimal comma, currencies, percent, units, (5) for -5."""
    plain = texts.str.strip_chars().str.to_lowercase()
    number = plain.cast(pl.Float64, strict=False)  # the fast way, for nearly all
    told.padded = int(plain.str.contains(r"^0\d").sum())
    hard, learnt = number.is_null() & plain.is_not_null(), told.manner.comma
    if learnt is None and hard.any():
        told.manner = told.manner.or_of(Manner(_comma_of(_bare(plain.filter(hard)), plain)))
    if told.manner.comma:
        hard |= plain.str.contains(DOTTED) & number.is_not_null()
    out = number.fill_null(float("nan")).to_numpy()
    if not hard.any():
        told.missing = int((number.is_nan() & plain.is_not_null()).sum())
        return out
    words = plain.filter(hard)
    missing = words.is_in(MISSING)
    told.missing = int(missing.sum())
    told.currencies = sorted(words.str.extract(f"({CURRENCY})").drop_nulls().unique())
    bare = _bare(words)
    percent = bare.str.ends_with("%").fill_null(False)
    bare = bare.str.strip_suffix("%")
    read = _number_of(bare, told.manner.comma)
    if find and (read.is_null() & ~missing).any():
        unit = _unit_of(bare.filter(read.is_null() & ~missing))
        told.manner = told.manner.or_of(Manner(unit=unit, multiple=_multiplies(unit, texts, told.currencies)))
    if told.manner.unit:
        ends = bare.str.ends_with(told.manner.unit).fill_null(False) & read.is_null()
        bare = bare.str.strip_suffix(told.manner.unit)
        with_unit = _number_of(bare.set(~ends, None), told.manner.comma)
        told.units = len(with_unit) - with_unit.null_count()
        read = read.fill_null(with_unit)
    told.commas = _commas(bare.set(read.is_null(), None), told.manner.comma, learnt)
    told.dotted = int((bare.str.contains(DOTTED) & read.is_not_null()).sum()) if told.manner.comma else 0
    told.percent = int((percent & read.is_not_null()).sum())
    unread = read.is_null() & ~missing
    told.unread = int(unread.sum())
    told.unread_examples = _firsts(texts, hard.arg_true().filter(unread))
    out = out.copy()
    numbers = read.fill_null(float("nan")).to_numpy()
    out[hard.to_numpy()] = np.where(percent.to_numpy(), numbers / 100, numbers)
    return out


def _firsts(texts: pl.Series, rows: pl.Series) -> list[tuple[int, Any]]:
    """Of these rows the first of each of three different texts, each with its text."""
    found = pl.DataFrame({"row": rows, "text": texts.gather(rows)})
    return found.unique("text", keep="first", maintain_order=True).head(3).rows()


def _bare(words: pl.Series) -> pl.Series:
    """Words in lower case without currency, spaces and signs that group digits; a minus stands before the number."""
    plain = words.str.replace_all(CURRENCY, "").str.replace_many(WIDE)
    several = plain.str.contains(SPACED) & ~plain.str.contains(SPACED_GROUPS)
    bare = plain.str.replace_all(r"[\s'’_\u00a0]", "").str.replace_all("−", "-", literal=True).set(several, " ")
    return bare.str.replace(r"^\((.+)\)$", "-$1").str.replace(r"^\+", "").str.replace(r"^([\d.,]+)-$", "-$1")


def _comma_of(bare: pl.Series, plain: pl.Series) -> bool | None:
    """Whether a comma is that before decimals: in some value it can be no other, and in none that between thousands.

    A point before decimals, in these or in the values that are plain numbers, tells as well; None if nothing does.
    """
    commas = bare.filter(bare.str.contains(",", literal=True))
    if not len(commas):
        return None
    if commas.str.contains(SURELY_GROUPED).any() or bare.str.contains(SURELY_POINT).any():
        return False
    if plain.str.contains(SURELY_POINT).any():
        return False
    return True if commas.str.contains(SURELY_COMMA).any() else None


def _thousands(words: pl.Expr, comma: bool | None) -> pl.Expr:
    """Which words have commas that set thousands apart."""
    return words.str.contains(GROUPED) & (words.str.contains(SURELY_GROUPED) | pl.lit(not comma))


def _number_of(bare: pl.Series, comma: bool | None) -> pl.Series:
    """The numbers, null where there is none. comma: decimals come after a comma."""
    w = pl.col("w")
    european = w.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    points = w.str.contains(POINTS) & (w.str.contains(",", literal=True) | pl.lit(bool(comma)))
    ungrouped = w.str.replace_all(",", "", literal=True)
    known = w.str.contains(COMMA) | points
    written = pl.when(_thousands(w, comma)).then(ungrouped).when(known).then(european).otherwise(w)
    return bare.alias("w").to_frame().select(written.cast(pl.Float64, strict=False)).to_series().fill_nan(None)


def _commas(bare: pl.Series, comma: bool | None, learnt: bool | None) -> dict[bool, tuple[int, str]]:
    """Of numbers with a comma those that are read otherwise than was learnt: all, if nothing was. See `Told`."""
    words = bare.filter(bare.str.contains(",", literal=True)).alias("w")
    apart = words.to_frame().select(_thousands(pl.col("w"), comma)).to_series()
    ways = {True: words.filter(~apart), False: words.filter(apart)}
    return {way: (len(some), some[0]) for way, some in ways.items() if len(some) and way != learnt}


def _unit_of(bare: pl.Series) -> str:
    """The unit that nine tenths of the values with one have, or ""."""
    units = bare.str.extract(r"^-?[\d.,]*\d([\p{L}°²³/‰]+\.?)$")
    counts = units.drop_nulls().value_counts(sort=True)
    return str(counts.item(0, 0)) if len(counts) and counts["count"][0] >= SAME * len(bare) else ""


def _multiplies(unit: str, texts: pl.Series, currencies: list[str]) -> bool:
    """Whether numbers with this unit are others without it; with m, only where it is M, or money: else it is metres."""
    millions = unit not in ("m", "m.") or bool(currencies) or bool(texts.str.contains(r"\dM|\d\s+M").any())
    return millions and bool(re.match(MULTIPLE, unit))


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
        values = np.asarray(values, np.float64)
        if self._held or len(values) <= self.limit:
            keys = self._rng.random(len(values))
        else:  # as of other columns of as many rows
            places, keys = _first_kept(len(values), self.limit)
            self._rng.bit_generator.advance(len(values))  # type: ignore[attr-defined]
            values = values[places]
        self._values.append(values)
        self._keys.append(keys)
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
        keep = _lowest(keys, self.limit)
        self._values, self._keys, self._held = [values[keep]], [keys[keep]], len(keep)


@lru_cache(maxsize=2)
def _first_kept(count: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Where those stand that a reservoir keeps of its first `count` values, more than it holds, and their keys."""
    keys = np.random.default_rng(0).random(count)
    places = _lowest(keys, limit)
    return places, keys[places]


def _lowest(keys: np.ndarray, count: int) -> np.ndarray:
    """(count,) where the smallest keys stand, in order of place."""
    return np.sort(np.argpartition(keys, count)[:count])


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


def ranks_of(values: np.ndarray, knots: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """(N,) the ranks of finite values, interpolated between knots as by `numpy.interp`, but quicker for many."""
    for cells, many in ((CELLS, MANY), (FINE, MANY * FINE // CELLS)):
        if len(values) < many or len(knots) < 3:
            break
        if (found := _by_cells(values, knots, ranks, cells)) is not None:
            return found
    return np.interp(values, knots, ranks)


def _by_cells(values: np.ndarray, knots: np.ndarray, ranks: np.ndarray, cells: int) -> np.ndarray | None:
    """(N,) ranks by cells of even width, so many in the range of the knots; None where the knots lie too unevenly.

    In a cell with one knot at most, a comparison tells on which side of it a value is; in the others halving goes on.
    """
    low, width = knots[0], (knots[-1] - knots[0]) / cells
    if not np.isfinite(width) or width < 1e-300:
        return None
    # rounding may put a value into the cell beside its own: what a cell may hold is taken a little wider
    edges = low + width * np.arange(cells + 2)
    first, last = (
        np.clip(np.searchsorted(knots, moved, "right") - 1, 0, len(knots) - 2)
        for moved in (edges[:-1] - 1e-6 * width, edges[1:] + 1e-6 * width)
    )
    crowded, slopes = last - first > 1, np.diff(ranks) / np.diff(knots)
    coming = np.where(first < len(knots) - 2, knots[first + 1], np.inf)  # the knot that a cell may hold
    out, each = np.empty(len(values)), 1 / width
    for start in range(0, len(values), BLOCK):
        inside = np.clip(values[start : start + BLOCK], low, knots[-1])
        place = ((inside - low) * each).astype(np.intp)
        hard = crowded.take(place)
        if start == 0 and hard.mean() > UNEVEN:
            return None
        left = first.take(place)
        left += inside >= coming.take(place)
        block = out[start : start + BLOCK]
        np.subtract(inside, knots.take(left), out=block)
        block *= slopes.take(left)
        block += ranks.take(left)
        if hard.any():
            block[hard] = np.interp(inside[hard], knots, ranks)
    return out
