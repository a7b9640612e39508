"""Reading strings and numbers as times: the known formats, and which of them fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from ranvier.core.errors import DataError
from ranvier.core.rows import row_number

UNIX = {"unix": 1_000_000, "unix_ms": 1_000}  # microseconds in a unit
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d")
_NAMED = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d %Y")
_CLOCKS = (" %H:%M:%S%.f", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
# of months, weeks and quarters: what makes their first day of them, and the format of that
PARTIAL = {
    "%Y-%m": ("-01", "%Y-%m-%d"),
    "%m/%Y": ("/01", "%m/%Y/%d"),
    "%b %Y": (" 01", "%b %Y %d"),
    "%B %Y": (" 01", "%B %Y %d"),
    "%G-W%V": ("-1", "%G-W%V-%u"),
    "%Y-Q": ("-01", "%Y-%m-%d"),
}
QUARTERS = {f"Q{quarter}": f"{3 * quarter - 2:02d}" for quarter in (1, 2, 3, 4)}
# from the likeliest to the rarest: of formats that read equally many values the first is taken
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y-%m-%dT%H:%M",
    *_DAYS[1:],
    *_NAMED,
    *(day + clock for day in _DAYS for clock in _CLOCKS if (day, clock) != ("%Y-%m-%d", _CLOCKS[0])),
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%b-%d-%Y",
    "%A, %d %B %Y",
    "%A, %B %d, %Y",
    "%d %B %Y, %H:%M",
    "%m/%d/%Y, %I:%M:%S %p",
    "%d/%m/%Y, %H:%M:%S",
    "%d.%m.%Y, %H:%M:%S",
    "%Y-%m-%dT%H:%M%z",
    "%Y%m%dT%H%M%S",
    "%Y年%m月%d日",
    "%a %b %d %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%G-W%V-%u",
    *PARTIAL,
    "%Y-%j",
    "%a, %d %b %Y %H:%M:%S %z",
    "%H:%M:%S",
    "%H:%M",
    "%I:%M %p",
    "%I:%M:%S %p",
    "%Y%m%d",
    "%Y%m%d%H%M%S",
)
CLOCK_ONLY = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p")
NUMBERS = ("%Y%m%d", "unix", "unix_ms")
DAY_PART = len("%d/%m/%Y")
GLANCE = 50  # values that tell which formats are worth trying on all
# what a time has in one way or another: digits beside a sign, eight digits, or a month's name
TIMELY = (
    r"(?i)\d\s?[-/.:]\s?\d|^\s*\d{8}(T?\d{6})?\s*$|\d{4}-?[wq]\d|年|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
)
LONGEST = 40  # characters of a string worth reading as a time
# clocks wrap: what lies outside is a number of some other meaning
_YEARS = (1000, 9999)
_COMPACT_YEARS = (1800, 2200)


def count_parsed(values: pl.Series, formats: Iterable[str]) -> dict[str, int]:
    """How many of the values (strings or numbers, no nulls) each format reads."""
    distinct = values.rename("text").value_counts(name="count")
    texts, counts = distinct["text"], distinct["count"]
    return {name: int(counts.filter(parse(texts, name).is_not_null()).sum()) for name in formats}


def likely(values: pl.Series, formats: Iterable[str]) -> list[str]:
    """The formats that read at least one of a few values (no nulls) spread over all; one that reads them all will do.

    With that one goes the format with day and month exchanged, for other values to tell.
    """
    head = values.gather_every(max(1, len(values) // GLANCE)).unique(maintain_order=True)
    known, found = list(formats), []
    for name in known:
        unread = parse(head, name).null_count()
        if not unread and len(head):
            return [name, *(other for other in (exchanged(name),) if other in known and other != name)]
        if unread < len(head):
            found.append(name)
    return found


def find_format(counts: Mapping[str, int]) -> str:
    """The format that reads the most values, the first of equals; "" if none reads any."""
    best = max(counts, key=lambda name: counts[name], default="")
    return best if best and counts[best] else ""


def guess_format(values: pl.Series) -> str:
    """The format that reads most of the first values (N), "" if none does or they are stored times."""
    if values.dtype != pl.String and not values.dtype.is_numeric():
        return ""
    known = NUMBERS if values.dtype.is_numeric() else FORMATS
    return find_format(count_parsed(values.drop_nulls().head(1000), known))


def other_format(values: pl.Series, times: pl.Series, found: str) -> str:
    """The format of strings that `found` does not read, "" if there is none, or two that differ in day and month."""
    if values.dtype != pl.String or not found:
        return ""
    unread = values.filter(times.is_null() & values.is_not_null()).head(1000)
    if not len(unread):
        return ""
    swapped = exchanged(found)[:DAY_PART]
    alike = [f for f in FORMATS if (f in CLOCK_ONLY) == (found in CLOCK_ONLY) and not f.startswith(swapped)]
    counts = count_parsed(unread, likely(unread, alike))
    other = find_format(counts)
    return "" if other and ambiguous_with(other, counts) else other


def exchanged(name: str) -> str:
    """The format with day and month exchanged."""
    return name.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")


def ambiguous_with(found: str, counts: Mapping[str, int]) -> str:
    """The format with day and month exchanged, if it reads as many values as `found` does; else ""."""
    swapped = exchanged(found)
    return swapped if swapped != found and counts.get(swapped, 0) == counts[found] else ""


def parse(values: pl.Series, name: str) -> pl.Series:
    """Strings or numbers (N) as datetimes in microseconds, by one format; null where it does not read them."""
    if name in UNIX:
        return _parse_unix(values, name)
    texts = values.cast(pl.Int64, strict=False).cast(pl.String) if values.dtype.is_numeric() else values
    texts = texts.cast(pl.String)
    times = _parse_texts(texts, name)
    if times.null_count() == texts.null_count():
        return times
    return _parse_texts(texts.str.strip_chars(), name)


def _parse_texts(texts: pl.Series, name: str) -> pl.Series:
    if "%z" in name:
        texts = texts.str.replace(r"\s?(?:Z|UTC|GMT)$", "+00:00")
    elif name in PARTIAL:
        rest, whole = PARTIAL[name]
        if name == "%Y-Q":
            texts = texts.str.extract(r"^(\d{4}-?Q[1-4])$").str.replace(r"^(\d{4})-?", "$1-").str.replace_many(QUARTERS)
        return _in_years(pl.select(texts + rest).to_series().str.strptime(pl.Date, whole, strict=False), name)
    if name in CLOCK_ONLY or not any(part in name for part in ("%d", "%j", "%D", "%F", "%c", "%s", "%u")):
        return _on_first_day(texts.str.strptime(pl.Time, name, strict=False))
    if not any(part in name for part in ("%H", "%I", "%T", "%R", "%c", "%s")):
        return _in_years(texts.str.strptime(pl.Date, name, strict=False), name)
    return _in_years(_strptime(texts, name), name)


def _in_years(times: pl.Series, name: str) -> pl.Series:
    """Dates and datetimes as datetimes, null where their year is none that the format can mean."""
    times = times.cast(pl.Datetime("us", getattr(times.dtype, "time_zone", None)))
    low, high = _COMPACT_YEARS if name.startswith("%Y%m%d") else _YEARS
    years = times.dt.year()
    if len(years) and years.null_count() < len(years) and low <= years.min() and years.max() <= high:  # type: ignore[operator]
        return times
    return times.set(~years.is_between(low, high).fill_null(True), None)


def _strptime(texts: pl.Series, name: str) -> pl.Series:
    """Datetimes; without fractions of seconds first, which is several times as quick where there are none."""
    plain = name.replace("%.f", "")
    times = texts.str.strptime(pl.Datetime("us"), plain, strict=False, ambiguous="earliest")
    if plain == name or times.null_count() == texts.null_count():
        return times
    left = texts.set(times.is_not_null(), None)
    return times.fill_null(left.str.strptime(pl.Datetime("us"), name, strict=False, ambiguous="earliest"))


def _parse_unix(values: pl.Series, name: str) -> pl.Series:
    number = values.cast(pl.Float64, strict=False).fill_nan(None)
    # in seconds, 1e11 is the year 5138; in milliseconds, it is 1973
    fits = number.abs() < 1e11 if name == "unix" else (number.abs() >= 1e11) & (number.abs() < 1e14)
    micro = number.set(~fits.fill_null(False), None) * UNIX[name]
    return micro.round().cast(pl.Int64).cast(pl.Datetime("us"))


def _on_first_day(clock: pl.Series) -> pl.Series:
    """Times of day as datetimes on 1970-01-01."""
    return (clock.cast(pl.Int64) // 1000).cast(pl.Datetime("us"))


def to_times(values: pl.Series, found: str, zone: str) -> pl.Series:
    """Values (N) as datetimes in microseconds, in the zone if there is one; null where they cannot be read.

    Strings and numbers are read by the format `found`. Times without a zone are taken to be in the column's.
    Raises DataError for other types.
    """
    dtype = values.dtype
    if dtype == pl.Date or dtype == pl.Datetime:
        times = values.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
    elif dtype == pl.Time:
        times = _on_first_day(values)
    elif dtype == pl.Null:
        times = values.cast(pl.Datetime("us"))
    elif dtype == pl.String or dtype.is_numeric():
        times = parse(values, found) if found else pl.Series([None] * len(values), dtype=pl.Datetime("us"))
    else:
        row = int(values.is_not_null().arg_max() or 0)
        raise DataError(
            f"column {values.name!r}, row {row_number(row)}: expected dates, times or strings of them, got "
            f"{values[row]!r:.40} ({dtype}); write it as 2024-01-31"
        )
    return _in_zone(times, zone).alias(values.name)


def _in_zone(times: pl.Series, zone: str) -> pl.Series:
    aware = bool(times.dtype.time_zone)  # type: ignore[attr-defined]
    if aware:
        return times.dt.convert_time_zone(zone) if zone else times.dt.replace_time_zone(None)
    return times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null") if zone else times
