"""Dates, datetimes and times of day, also as strings whose format the training rows tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.dateformats import (
    CLOCK_ONLY,
    FORMATS,
    LONGEST,
    NUMBERS,
    TIMELY,
    ambiguous_with,
    count_parsed,
    exchanged,
    find_format,
    guess_format,
    likely,
    other_format,
    to_times,
)
from ranvier.columns.stream import blocks, join, present
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

DAY = 86_400.0  # seconds
DAY_MICRO = 86_400_000_000
BLOCK = 65_536  # rows looked at together
TASK = 16_384  # rows encoded together, which stay in the processor's cache
KEPT = 20_000  # training rows that robust figures are taken from
EDGE = 10.0  # scaled time is cut off here, so that a mistyped year cannot upset a network
# name -> period in seconds that the training rows must span before the cycle can mean anything
CYCLES = {"hour": DAY, "weekday": 7 * DAY, "monthday": 28 * DAY, "yearday": 360 * DAY}


class Date(Column):
    """A point in time: scaled linear time, and sine and cosine of each cycle that the training rows go through.

    Cycles: hour of the day, day of the week, day of the month, day of the year; each is kept if the rows differ in
    it and span it once. With a time zone, cycles follow the local clock and linear time follows UTC. What cannot
    be read as a time is missing, and noted.

    format: of strings, as in strptime; "auto" = found from the training rows; "unix" or "unix_ms" for seconds or
    milliseconds since 1970 (numbers are taken for these only when the column's type is set to date).
    """

    def __init__(self, name: str, /, *, format: str = "auto") -> None:
        super().__init__(name)
        self.format = format
        self.found = ""  # the format in use; "" for values that are stored as times
        self.kind = "datetime"  # or date, time
        self.zone = ""
        self.center = 0.0  # seconds since 1970
        self.scale = 1.0  # seconds
        self.cycles: list[str] = []
        self.notes: list[str] = []  # how strings are read, and what could not be

    @property
    def features(self) -> list[str]:
        """(F,) names of the encoded features."""
        return ["time"] + [f"{part}_{cycle}" for cycle in self.cycles for part in ("sin", "cos")]

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for stored dates and times, and for strings that nearly all read in one format; 0 for numbers."""
        if sample.dtype in (pl.Date, pl.Datetime, pl.Time):
            return 1.0, f"stored as {str(sample.dtype.base_type()).lower()}"
        known = sample.drop_nulls()
        if sample.dtype != pl.String or not len(known):
            return 0.0, ""
        short = known.str.contains(TIMELY) & known.str.contains("[0-9]") & (known.str.len_chars() <= LONGEST)
        if float(short.mean()) < 0.8:  # type: ignore[arg-type]
            return 0.0, ""
        counts = count_parsed(known, likely(known, FORMATS))
        found = find_format(counts)
        if not found:
            return 0.0, ""
        share = counts[found] / len(known)
        told = f"{share:.0%} of values read as {found}"
        other = ambiguous_with(found, counts)
        return (0.96 * share if share >= 0.8 else 0.0), told + (f" (or as {other}: set `format`)" if other else "")

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Finds the format over 20,000 rows, or as many as tell day from month; the rest over 20,000 spread over all.

        Raises DataError when no value can be read as a time.
        """
        counts: dict[str, int] = {}
        sample, row, looked = _Sample(), 0, 0
        for block in blocks(chunks, BLOCK):
            self.kind, self.zone = _kind_of(block, self.kind, self.zone)
            if (block.dtype == pl.String or block.dtype.is_numeric()) and (row < KEPT or not _settled(counts)):
                known = block.drop_nulls()
                looked += len(known)
                for name, parsed in count_parsed(known, self._live(known, counts)).items():
                    counts[name] = counts.get(name, 0) + parsed
            sample.add(block, row)
            row += len(block)
        self._settle_format(counts, looked)
        times = to_times(sample.values(self.name), self.found, self.zone).drop_nulls()
        if not len(times):
            some = sample.values(self.name).drop_nulls().head(3).to_list()
            raise DataError(
                f"column {self.name!r}: no value can be read as a date or time, such as {some}; "
                f"set `format` (as in strptime), or another type"
            )
        self._measure(times)
        return self._ready()

    def _live(self, known: pl.Series, counts: dict[str, int]) -> list[str]:
        """The formats still worth counting: those that read a few of the values at first, then those that have read."""
        if self.format != "auto":
            return [self.format]
        live = [name for name, parsed in counts.items() if parsed]
        return live or likely(known, NUMBERS if known.dtype.is_numeric() else FORMATS)

    def _settle_format(self, counts: dict[str, int], looked: int) -> None:
        self.found = find_format(counts)
        if not self.found:
            self.found = "" if self.format == "auto" else self.format
            return
        other = ambiguous_with(self.found, counts)
        if self.format == "auto":
            told = f"{self.name}: times are read as {self.found}"
            self.notes = [told + (f"; every value reads as {other} too, set `format` to change" if other else "")]
        if left := looked - counts[self.found]:
            self.notes.append(
                f"{self.name}: {counted(left, 'training value|values is|are not written')} as {self.found}"
            )
        if self.found in CLOCK_ONLY:
            self.kind = "time"
        elif not any(part in self.found for part in ("%H", "%I", "unix")):
            self.kind = "date"
        if "%z" in self.found:
            self.zone = "UTC"

    def _measure(self, times: pl.Series) -> None:
        """Robust centre and scale, and the cycles, from datetimes (no nulls)."""
        seconds = _seconds(times)
        low, self.center, high = (float(q) for q in np.quantile(seconds, [0.25, 0.5, 0.75]))
        # 1.349 standard deviations lie between the quartiles of a normal distribution
        self.scale = (high - low) / 1.349 or float(seconds.std()) or 1.0
        span = float(seconds.max() - seconds.min())
        phases = _phases(times)
        varied = {name for name, phase in phases.items() if np.ptp(phase) > 0}
        if "monthday" not in varied:  # a monthly or yearly series: on which weekday its day falls is chance
            varied.discard("weekday")
        if self.kind == "time":
            self.cycles = ["hour"]
        else:
            self.cycles = [name for name, period in CYCLES.items() if name in varied and span >= 0.9 * period]

    def _ready(self) -> Spec:
        self.spec = Spec("vector", (len(self.features),), unit="time")
        return self.spec

    def settled(self, values: pl.Series) -> tuple[pl.Series, list[str]]:
        """Texts as times, where the format of training does not read them all."""
        if values.dtype != pl.String or self.format != "auto":
            return values, []
        found, times, other = self._times(values)
        if self.found and times.null_count() == values.null_count() and not other:
            return values, []
        return times, self._repairs(values, present(times), np.zeros(0, bool), found, other)

    def _times(self, values: pl.Series) -> tuple[str, pl.Series, str]:
        """The format, the times (N), null where they cannot be read, and another format that some are in, or ""."""
        found = self.found or guess_format(values)
        times = to_times(values, found, self.zone)
        other = other_format(values, times, found) if self.format == "auto" else ""
        if other:
            times = times.fill_null(to_times(values, other, self.zone))
        return found, times, other

    def encode(self, values: pl.Series) -> Encoded:
        """(N, F) float32 in the order of `features`; unreadable values are missing, and noted."""
        found, times, other = self._times(values)
        observed = present(times)
        known = times.drop_nulls() if times.null_count() else times
        linear = (_seconds(known) - self.center) / self.scale
        data = self._features_of(known, linear)
        if len(known) < len(values):
            some, data = data, np.zeros((len(values), len(self.features)), np.float32)
            data[observed] = some
        return Encoded(data, observed, notes=self._repairs(values, observed, np.abs(linear) > EDGE, found, other))

    def _features_of(self, times: pl.Series, linear: np.ndarray) -> np.ndarray:
        """(N, F) of datetimes without nulls; cycles of days are computed once for each day."""
        data = np.empty((len(times), len(self.features)), np.float32)
        np.clip(linear, -EDGE, EDGE, out=data[:, 0], casting="unsafe")
        if not self.cycles or not len(times):
            return data
        local = times.dt.replace_time_zone(None) if times.dtype.time_zone else times  # type: ignore[attr-defined]
        micro = local.cast(pl.Int64).to_numpy()
        first, last = int(micro.min() // DAY_MICRO), int(micro.max() // DAY_MICRO)
        dense = last - first < len(micro)
        table = _waves(np.arange(first, last + 1), self.cycles) if dense else None
        for start in range(0, len(micro), TASK):
            block, rows = micro[start : start + TASK], data[start : start + TASK, 1:]
            days = block // DAY_MICRO
            if "hour" in self.cycles:
                angle = (block - days * DAY_MICRO) * (2 * np.pi / DAY_MICRO)
                rows[:, 0], rows[:, 1] = np.sin(angle), np.cos(angle)
                rows = rows[:, 2:]
            rows[:] = _waves(days, self.cycles) if table is None else table[days - first]
        return data

    def _repairs(self, values: pl.Series, observed: np.ndarray, far: np.ndarray, found: str, other: str) -> list[str]:
        notes = []
        if other:
            notes.append(f"{self.name}: times that are not written as in training ({found}) are read as {other}")
        if found != self.found:  # training had stored times
            swapped, them = exchanged(found), values.drop_nulls()
            either = swapped != found and count_parsed(them, [swapped])[swapped] == len(them)
            told = f"; every value reads as {swapped} too: give stored dates, or the year first, to leave no doubt"
            notes.append(f"{self.name}: times are read as {found}{told if either else ''}")
        unread = present(values) & ~observed
        if unread.any():
            rows = np.flatnonzero(unread)[:3].tolist()
            some = ", ".join(f"{values[row]!r} (row {row_number(row)})" for row in rows)
            told = (
                f"{counted(int(unread.sum()), 'value|values')} cannot be read as "
                f"{found or 'a date or time'}, taken as missing: {some}"
            )
            swapped, them = exchanged(found), values.filter(pl.Series(unread))
            if "%d" in found and "%m" in found and count_parsed(them, [swapped])[swapped] == len(them):
                told += f"; they read as {swapped}, so that day and month may be exchanged in all the others"
            notes.append(f"{self.name}: {told}")
        if far.any():
            notes.append(
                f"{self.name}: {counted(int(far.sum()), 'time|times lies|lie')} far outside those of "
                "training, taken at the edge"
            )
        return notes

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"value": (N, F)} as `name`, the linear time (to float32's precision: about 1e-7 of the span)."""
        linear = np.asarray(prediction["value"], np.float64)[:, 0]
        micro = np.rint((linear * self.scale + self.center) * 1e6).astype(np.int64)
        times = pl.Series(self.name, micro).cast(pl.Datetime("us"))
        if self.zone:
            times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
        if self.kind == "date":
            times = times.dt.offset_by("12h").dt.date()  # the nearest midnight
        elif self.kind == "time":
            times = times.dt.time()
        return times.to_frame()

    def state(self) -> dict[str, Any]:
        """Format, kind, zone, centre, scale and the names of the features."""
        return {
            "version": 1,
            "found": self.found,
            "kind": self.kind,
            "zone": self.zone,
            "center": self.center,
            "scale": self.scale,
            "features": self.features,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.found, self.kind, self.zone = str(state["found"]), str(state["kind"]), str(state["zone"])
        self.center, self.scale = float(state["center"]), float(state["scale"])
        self.cycles = [name.removeprefix("sin_") for name in state["features"] if name.startswith("sin_")]
        self._ready()


class _Sample:
    """At most KEPT rows of a stream, chosen by a hash of the row's number: the same however it is chunked."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.uint64)
        self._values: pl.Series | None = None

    def add(self, block: pl.Series, first_row: int) -> None:
        """Adds a block whose first row has this number."""
        rows = np.arange(first_row, first_row + len(block), dtype=np.uint64)
        new = rows * np.uint64(0x9E3779B97F4A7C15)  # wraps: a multiplicative hash
        if len(self._keys) == KEPT:
            low = np.flatnonzero(new < self._keys.max())
            new, block = new[low], block.gather(low)
        keys = np.concatenate([self._keys, new])
        values = block if self._values is None else join([self._values, block])
        best = np.sort(np.argsort(keys, kind="stable")[:KEPT])
        self._keys, self._values = keys[best], values.gather(best)

    def values(self, name: str) -> pl.Series:
        """The rows kept, in order."""
        return pl.Series(name, [], dtype=pl.String) if self._values is None else self._values


def _kind_of(block: pl.Series, kind: str, zone: str) -> tuple[str, str]:
    if block.dtype == pl.Date:
        return "date", zone
    if block.dtype == pl.Time:
        return "time", zone
    if isinstance(block.dtype, pl.Datetime):
        return "datetime", block.dtype.time_zone or ""
    return kind, zone


def _settled(counts: Mapping[str, int]) -> bool:
    """Whether one format reads more values than any other, so that no day can be a month."""
    best = sorted(counts.values(), reverse=True)
    return len(best) == 1 or (len(best) > 1 and best[0] > best[1])


def _seconds(times: pl.Series) -> np.ndarray:
    """(N,) float64 seconds since 1970 in UTC, of datetimes without nulls."""
    return times.cast(pl.Int64).to_numpy() / 1e6


def _phases(times: pl.Series) -> dict[str, np.ndarray]:
    """(N,) in [0, 1) for each cycle, by the local clock of datetimes without nulls."""
    local = times.dt.replace_time_zone(None) if times.dtype.time_zone else times  # type: ignore[attr-defined]
    stamps = local.cast(pl.Int64).to_numpy().view("M8[us]")
    days, months, years = (stamps.astype(f"M8[{unit}]") for unit in "DMY")
    return {
        "hour": (stamps - days).astype(np.int64) / (DAY * 1e6),
        "weekday": (days.astype(np.int64) + 3) % 7 / 7,  # 1970-01-01 was a Thursday, Monday is 0
        "monthday": (days - months).astype(np.int64) / 31,
        "yearday": (days - years).astype(np.int64) / 366,
    }


def _waves(days: np.ndarray, cycles: list[str]) -> np.ndarray:
    """(N, 2 x cycles) float32: sine and cosine of each cycle but the hour's, of days since 1970."""
    phases = _phases(pl.Series(days * DAY_MICRO).cast(pl.Datetime("us")))
    angles = [2 * np.pi * phases[cycle] for cycle in cycles if cycle != "hour"]
    waves = [wave for angle in angles for wave in (np.sin(angle), np.cos(angle))]
    return np.stack(waves, 1).astype(np.float32) if waves else np.empty((len(days), 0), np.float32)
