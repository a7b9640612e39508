"""The column type of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from ranvier.columns._numbers import PLAIN, SURELY_POINT, Manner, Reservoir, Told, knots_of, parse, ranks_of
from ranvier.core.column import Column
from ranvier.core.counts import agreed, counted
from ranvier.core.errors import DataError
from ranvier.core.spec import Encoded, Spec

Transform = Literal["auto", "none", "log"]

FEW = 20  # distinct whole numbers that may be codes
EDGE = 1e6  # scaled values beyond it could overflow in a network
NOISE = 1e-9  # differences below it may be rounding alone
SECONDS = (946_684_800, 2_051_222_400)  # since 1970, of the years from 2000 to 2034
SKEWED = 2.0  # bulk skewness above which "auto" takes the logarithm
MISSING_RANK = 0.5


class Number(Column):
    """Numbers: scaled values with their ranks among the training rows.

    Encoded as float32 (N, 2), [scaled value, rank in [0, 1]]; a missing value is [0, 0.5], with observed False. The
    scaled value is (t(x) - centre) / scale, where t is the transform, centre the median and scale the standard
    deviation after the outer 1 % on each side is pulled in; the rank is interpolated between quantiles of the
    training rows (the middle of a tie's ranks).

    transform: "log" is sign(x) log(1 + |x| / unit), which every finite number has and which inverts exactly; "auto"
    takes it when the values are strongly skewed even without their tails. Text is read as numbers where it can be
    ("1,234", "12%", "$5", "3 kg"), with the decimal sign and the unit of the training rows; what cannot be read, and
    infinities, count as missing and are told in `notes`.
    """

    def __init__(self, name: str, /, *, transform: Transform = "auto") -> None:
        super().__init__(name)
        self.transform = transform
        self.log_unit = 0.0  # 0 = no logarithm
        self.centre = 0.0
        self.scale = 1.0
        self.knots = np.zeros(1)
        self.ranks = np.full(1, MISSING_RANK)
        self.manner = PLAIN  # how numbers are written where they come as text

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for measurements, low for few whole numbers that look like codes, 0 for what is no number."""
        if sample.dtype == pl.Boolean:
            return 0.1, "true or false"
        values, told = parse(sample)
        known = values[np.isfinite(values)]
        present = int(sample.len() - sample.null_count()) - told.missing
        if present == 0 or len(known) == 0:
            return (0.05, "no values") if sample.dtype.is_numeric() else (0.0, "no numbers")
        share = len(known) / present
        if not sample.dtype.is_numeric():
            if share < 0.9:
                return 0.0, f"{share:.0%} of the values can be read as numbers"
            if told.padded > 0.5 * present:
                return 0.15, "digits with leading zeros, which are codes rather than numbers"
        return _judge(known, text=not sample.dtype.is_numeric())

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Learns scale and quantiles; exact up to 100,000 rows, from a random sample of as many beyond.

        Raises DataError if not one training row holds a finite number.
        """
        sample, self.manner = Reservoir(), PLAIN
        example: Any = None
        count = percent = units = 0
        doubtful = Told()
        for chunk in chunks:
            values, told = parse(chunk)
            finite = np.isfinite(values)
            sample.add(values if finite.all() else values[finite])
            example = told.example if example is None else example
            self.manner = self.manner.or_of(told.manner)
            count, percent, units = count + int(finite.sum()), percent + told.percent, units + told.units
            doubtful.add_commas(told)
        known = np.sort(sample.values())
        if len(known) == 0:
            hint = f"; the first value is {example!r}" if example is not None else "; all are missing"
            raise DataError(
                f"column {self.name!r}: expected numbers, but no training row holds one{hint}; "
                "give the column another type, or the role 'ignore'"
            )
        every = units == count
        self.manner = replace(self.manner, percent=percent == count, multiple=self.manner.multiple and every)
        note = f"column {self.name!r}: all values are percentages, read as fractions (12% is 0.12)"
        self.notes = [note] if self.manner.percent else []
        if self.manner.comma is None and doubtful.commas:  # settled here, so that later rows are read alike
            self.manner = replace(self.manner, comma=False)
            self.notes += doubtful.notes(self.name)
        self.knots, self.ranks = knots_of(known)
        near = known[_near(known)]
        self.log_unit = _log_unit(near, self.transform)
        moved = self._move(near)
        self.centre, self.scale = float(np.median(moved)), _spread(moved) or 1.0
        self.spec = Spec("scalar", (2,))
        return self.spec

    def know_comma(self) -> None:
        """That the training rows, read as numbers already, had decimal commas as text: so have later ones then."""
        self.manner = self.manner.or_of(Manner(True))

    def settled(self, values: pl.Series) -> tuple[pl.Series, list[str]]:
        """Texts as numbers, where training has not told what a comma is, or where these have decimals after points."""
        if values.dtype != pl.String:
            return values, []
        commas = bool(values.str.contains(",", literal=True).any())
        doubtful = commas and self.manner.comma is None
        if self.manner.sign:  # which `encode` has to see
            return self._without_commas(values) if doubtful else (values, [])
        by_points = bool(self.manner.comma) and not commas and values.str.contains(SURELY_POINT).any()
        if not (by_points or doubtful):
            return values, []
        numbers, told = parse(values, Manner(False, self.manner.unit) if by_points else self.manner)
        notes = told.notes(self.name)
        if by_points:
            notes.append(f"column {self.name!r}: decimals come after a point here, and came after a comma in training")
        return pl.Series(values.name, numbers, nan_to_null=True), notes

    def _without_commas(self, values: pl.Series) -> tuple[pl.Series, list[str]]:
        """Texts whose decimals come after a point, by what all of them tell of commas."""
        _, told = parse(values, self.manner)
        plain = values.str.replace_all(".", "", literal=True) if told.manner.comma else values
        plain = plain.str.replace_all(",", "." if told.manner.comma else "", literal=True)
        return plain, Told(commas=told.commas).notes(self.name)

    def encode(self, values: pl.Series) -> Encoded:
        """float32 (N, 2): scaled value and rank."""
        raw, told = parse(values, self.manner)
        observed = np.isfinite(raw)
        whole = bool(observed.all())
        known = raw if whole else np.where(observed, raw, 0.0)
        with np.errstate(over="ignore"):  # an infinite one is beyond the edge, too
            scaled = (self._move(known) - self.centre) / self.scale
        if not whole:
            scaled[~observed] = 0.0
        notes = told.notes(self.name)
        notes += self._bare(int(observed.sum()) - (told.percent if self.manner.percent else told.units))
        if len(scaled) and max(scaled.max(), -scaled.min()) > EDGE:
            far = np.abs(scaled) > EDGE
            notes.append(
                f"column {self.name!r}: {counted(int(far.sum()), 'value|values')}, such as "
                f"{raw[far][0]:g}, {agreed(int(far.sum()), 'lies|lie')} more than {EDGE:,.0f} times "
                "the usual spread away and moved to there; if they stand for missing ones, blank them"
            )
            scaled = scaled.clip(-EDGE, EDGE)
        data = np.empty((len(raw), 2), np.float32)
        data[:, 0] = scaled
        data[:, 1] = ranks_of(known, self.knots, self.ranks)
        if not whole:
            data[~observed, 1] = MISSING_RANK
        return Encoded(data, observed, notes=notes)

    def _bare(self, count: int) -> list[str]:
        """What is told of so many numbers without the sign that all had in training, if that changes them."""
        sign = self.manner.sign
        if not sign or not count:
            return []
        lost, means = ("per cent sign", "0.12 is taken for 12%") if sign == "%" else (f"unit {sign!r}", f"7 is 7{sign}")
        return [
            f"column {self.name!r}: {counted(count, 'value|values has|have')} no {lost}, as all had in training: "
            f"{means}; write it, or convert the numbers, if that is not meant"
        ]

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """`value` (N,), scaled, as the column itself, and any other (N,) array as NAME_<key>, all in raw units."""
        return pl.DataFrame(
            {
                self.name if key == "value" else f"{self.name}_{key}": self.unscale(scaled)
                for key, scaled in prediction.items()
            }
        )

    def values(self, raw: pl.Series) -> np.ndarray:
        """The numbers themselves, float64 (N,), NaN where missing; what `encode` moves to the edge stays here."""
        return parse(raw, self.manner)[0]

    def unscale(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled values in raw units, float64; inverts the first column of `encode`."""
        moved = np.asarray(scaled, np.float64) * self.scale + self.centre
        if self.log_unit == 0.0:
            return moved
        return np.sign(moved) * np.expm1(np.minimum(np.abs(moved), 700.0)) * self.log_unit

    def state(self) -> dict[str, Any]:
        """Everything learnt."""
        return {
            "version": 1,
            "transform": self.transform,
            "log_unit": self.log_unit,
            "centre": self.centre,
            "scale": self.scale,
            "knots": self.knots,
            "ranks": self.ranks,
            "comma": self.manner.comma,
            "unit": self.manner.unit,
            "percent": self.manner.percent,
            "multiple": self.manner.multiple,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.transform = state["transform"]
        self.log_unit = float(state["log_unit"])
        self.centre = float(state["centre"])
        self.scale = float(state["scale"])
        self.knots = np.asarray(state["knots"], np.float64)
        self.ranks = np.asarray(state["ranks"], np.float64)
        signs = (bool(state.get(sign, False)) for sign in ("percent", "multiple"))
        self.manner = Manner(state.get("comma"), str(state.get("unit", "")), *signs)  # which older files lack
        self.spec = Spec("scalar", (2,))

    def _move(self, values: np.ndarray) -> np.ndarray:
        """The transform, without scaling."""
        if self.log_unit == 0.0:
            return values
        return np.sign(values) * np.log1p(np.abs(values) / self.log_unit)


def _judge(known: np.ndarray, text: bool) -> tuple[float, str]:
    """The score of finite numbers."""
    distinct = np.unique(known)
    if not (distinct == np.round(distinct)).all():
        return 0.95, "numbers with decimals"
    few = len(distinct) <= FEW and len(distinct) <= 0.5 * len(known)
    if not few:
        times = SECONDS[0] <= distinct[0] and distinct[-1] <= SECONDS[1]
        return 0.9, "whole numbers of many values" + (" (if seconds since 1970, set the type to date)" if times else "")
    if len(distinct) <= 2:
        return 0.4, f"whole numbers of only {len(distinct)} values"
    if text:
        return 0.3, f"text of only {len(distinct)} whole numbers, which may be codes"
    consecutive = distinct[-1] - distinct[0] == len(distinct) - 1 and distinct[0] in (0, 1)
    if consecutive and len(distinct) <= 10:
        return 0.5, f"whole numbers {distinct[0]:.0f} to {distinct[-1]:.0f}, which may be codes"
    return 0.7, f"whole numbers of {len(distinct)} values"


def _log_unit(known: np.ndarray, transform: Transform) -> float:
    """The logarithm's unit: the median size of the values other than 0; 0.0 if none is to be taken."""
    sizes = np.abs(known[known != 0])
    if transform == "none" or len(sizes) == 0:
        return 0.0
    if transform == "auto" and not _skewed(known):
        return 0.0
    return float(np.median(sizes))


def _skewed(known: np.ndarray) -> bool:
    """Whether positive values have a long tail to the right: moment skewness over the inner 98 %."""
    if known[0] < 0 or len(np.unique(known)) <= FEW:
        return False
    inner = np.clip(known / known[-1], *(np.quantile(known, [0.01, 0.99]) / known[-1]))
    spread = inner.std()
    if spread < 1e-6:
        return False
    return bool((((inner - inner.mean()) / spread) ** 3).mean() > SKEWED)


def _near(known: np.ndarray) -> np.ndarray:
    """(N,) which values scale and transform are learnt from: all but absurd ones, as far beyond half of them as EDGE.

    Of few rows one such value is more than the outer 1 %, and beside it all others would be the same. At most 2 % are
    left out, or one: more of them are no mistakes. Nor are they where half of all differ by rounding alone.
    """
    with np.errstate(over="ignore"):
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        near = np.abs(known - middle) <= EDGE * (high - low)
    few = np.count_nonzero(~near) <= max(1, 0.02 * len(known))
    return near if few and high - low > NOISE else np.full(len(known), True)


def _spread(moved: np.ndarray) -> float:
    """The standard deviation with the outer 1 % pulled in; that of all values, or 1, if it is 0 or rounding's."""
    bulk, whole = _deviation(np.clip(moved, *np.quantile(moved, [0.01, 0.99]))), _deviation(moved)
    rounding = bulk < NOISE and bulk <= 1e-12 * whole
    return whole if rounding else bulk


def _deviation(values: np.ndarray) -> float:
    """The standard deviation, or 0 where it is no more than the values' own rounding."""
    largest = float(np.abs(values).max())
    if largest < 1e-300:
        return 0.0
    spread = float((values / largest).std())  # so that squares neither overflow nor vanish
    return spread * largest if spread > 1e-12 else 0.0
