from __future__ import annotations

from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.columns.date import EDGE, Date, _phases
from ranvier.core.errors import DataError
from ranvier.core.spec import Spec

DAYS = pl.date_range(date(2020, 1, 1), date(2022, 12, 31), eager=True).alias("d")


def learnt(values: pl.Series, **options) -> Date:
    column = Date("d", **options)
    column.learn([values.alias("d")])
    return column


def test_days_over_years():
    column = learnt(DAYS)
    cycles = ["weekday", "monthday", "yearday"]
    assert column.features == ["time"] + [f"{part}_{cycle}" for cycle in cycles for part in ("sin", "cos")]
    assert column.spec == Spec("vector", (7,), unit="time")
    monday = column.encode(pl.Series([date(2021, 2, 1)])).data[0]
    angle = 2 * np.pi * 31 / 366
    seconds = DAYS.cast(pl.Datetime).dt.epoch("s").to_numpy()
    scale = (np.quantile(seconds, 0.75) - np.quantile(seconds, 0.25)) / 1.349
    linear = (datetime(2021, 2, 1) - datetime(1970, 1, 1)).total_seconds() - np.median(seconds)
    np.testing.assert_allclose(monday, [linear / scale, 0, 1, 0, 1, np.sin(angle), np.cos(angle)], atol=1e-6)


def test_only_cycles_that_the_rows_go_through():
    start = datetime(2021, 5, 1)
    hours = pl.Series([start + timedelta(minutes=30 * i) for i in range(240)])
    assert learnt(hours).cycles == ["hour"]
    months = pl.date_range(date(2010, 1, 1), date(2015, 1, 1), "1mo", eager=True)
    assert learnt(months).cycles == ["yearday"]
    assert learnt(pl.Series([date(2020, 1, 1)] * 3)).cycles == []
    assert learnt(pl.Series([time(1, 30), time(2, 30)])).cycles == ["hour"]


@pytest.mark.parametrize(
    ("strings", "found", "first"),
    [
        (["2024-01-31", "2024-02-01"], "%Y-%m-%d", datetime(2024, 1, 31)),
        (["2024-01-31 10:30:05", "2024-02-01 00:00:00.5"], "%Y-%m-%d %H:%M:%S%.f", datetime(2024, 1, 31, 10, 30, 5)),
        (["01/02/2024", "02/13/2024"], "%m/%d/%Y", datetime(2024, 1, 2)),
        (["01/02/2024", "13/02/2024"], "%d/%m/%Y", datetime(2024, 2, 1)),
        (["01/02/2024", "02/02/2024"], "%m/%d/%Y", datetime(2024, 1, 2)),
        (["1.2.2024", "31.1.2024"], "%d.%m.%Y", datetime(2024, 2, 1)),
        (["5 Jan 2024", "6 Feb 2024"], "%d %b %Y", datetime(2024, 1, 5)),
        (["January 5, 2024", "March 6, 2024"], "%B %d, %Y", datetime(2024, 1, 5)),
        (["12/31/2024 1:05 PM"], "%m/%d/%Y %I:%M %p", datetime(2024, 12, 31, 13, 5)),
        (["20240131"], "%Y%m%d", datetime(2024, 1, 31)),
        (["31/12/24", "01/02/24"], "%d/%m/%y", datetime(2024, 12, 31)),
        (["31.12.24"], "%d.%m.%y", datetime(2024, 12, 31)),
        (["2024-03", "2024-04"], "%Y-%m", datetime(2024, 3, 1)),
        (["Mar 2024"], "%b %Y", datetime(2024, 3, 1)),
        (["2024-Q2", "2023Q1"], "%Y-Q", datetime(2024, 4, 1)),
        (["2024-W03-3"], "%G-W%V-%u", datetime(2024, 1, 17)),
        (["2024-W03"], "%G-W%V", datetime(2024, 1, 15)),
        (["2024-060"], "%Y-%j", datetime(2024, 2, 29)),
        (["2024年3月5日"], "%Y年%m月%d日", datetime(2024, 3, 5)),
        (["Tuesday, 5 March 2024"], "%A, %d %B %Y", datetime(2024, 3, 5)),
        (["Tue Mar 05 06:07:08 2024"], "%a %b %d %H:%M:%S %Y", datetime(2024, 3, 5, 6, 7, 8)),
        (["20240305T060708"], "%Y%m%dT%H%M%S", datetime(2024, 3, 5, 6, 7, 8)),
        (["03/15/2024, 06:07:08 PM"], "%m/%d/%Y, %I:%M:%S %p", datetime(2024, 3, 15, 18, 7, 8)),
    ],
)
def test_the_format_is_found_from_all_rows(strings, found, first):
    column = learnt(pl.Series(strings))
    assert column.found == found
    assert found in column.notes[0]
    got = column.decode({"value": column.encode(pl.Series(strings)).data})["d"][0]
    if not isinstance(got, datetime):
        got = datetime(got.year, got.month, got.day)
    assert abs(got - first) < timedelta(seconds=1)


def test_the_ambiguity_of_day_and_month_is_told():
    assert "reads as %d/%m/%Y too" in learnt(pl.Series(["01/02/2024", "02/03/2024"])).notes[0]
    assert "too" not in learnt(pl.Series(["01/02/2024", "13/03/2024"])).notes[0]
    score, reason = Date.recognise(pl.Series(["01/02/2024", "02/03/2024"]))
    assert score > 0.9
    assert reason == "100% of values read as %m/%d/%Y (or as %d/%m/%Y: set `format`)"


def test_what_cannot_be_read_is_missing_and_told():
    column = learnt(pl.Series(["2024-01-31", "soon", None, "2024-02-01"]))
    assert "1 training value is not written as %Y-%m-%d" in column.notes[1]
    encoded = column.encode(pl.Series("d", ["2024-01-31", "?", None, "05/06/2024"]))
    assert encoded.observed.tolist() == [True, False, False, False]  # of the last nobody knows which is the day
    assert (encoded.data[1:] == 0).all()
    assert encoded.notes == [
        "d: 2 values cannot be read as %Y-%m-%d, taken as missing: '?' (row 1), '05/06/2024' (row 3)"
    ]
    with pytest.raises(DataError, match="no value can be read as a date or time, such as"):
        learnt(pl.Series(["x", "y"]))
    with pytest.raises(DataError, match="no value can be read"):
        learnt(pl.Series([None, None]))
    with pytest.raises(DataError, match="expected dates"):
        learnt(pl.Series([[1]]))
    with pytest.raises(DataError, match="set `format`"):
        learnt(pl.Series(["2024-01-31"]), format="%d/%m/%Y")


def test_phases_match_those_of_polars():
    stamps = pl.Series(np.random.default_rng(0).integers(-(10**15), 4 * 10**15, 500)).cast(pl.Datetime("us"))
    phases = _phases(stamps)
    np.testing.assert_array_equal(np.rint(phases["weekday"] * 7) + 1, stamps.dt.weekday())
    np.testing.assert_array_equal(np.rint(phases["monthday"] * 31) + 1, stamps.dt.day())
    np.testing.assert_array_equal(np.rint(phases["yearday"] * 366) + 1, stamps.dt.ordinal_day())
    np.testing.assert_array_equal((phases["hour"] * 24).astype(int), stamps.dt.hour())


def test_far_times_are_cut_off_and_told():
    column = learnt(DAYS)
    encoded = column.encode(pl.Series([date(9999, 1, 1)]))
    assert encoded.data[0, 0] == EDGE
    assert "1 time lies far outside" in encoded.notes[0]


def test_zones_linear_time_in_utc_and_cycles_by_the_local_clock():
    stamps = pl.Series([datetime(2024, 1, 1) + timedelta(hours=i) for i in range(72)])
    berlin = stamps.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    column = learnt(berlin)
    assert column.zone == "Europe/Berlin"
    assert column.cycles == ["hour"]
    utc = column.encode(berlin.dt.convert_time_zone("UTC"))
    np.testing.assert_array_equal(utc.data, column.encode(berlin).data)  # the same moments
    local = column.encode(pl.Series([datetime(2024, 1, 2, 6)]))  # no zone: the column's
    np.testing.assert_allclose(local.data[0, 1:], [1, 0], atol=1e-6)
    offsets = learnt(pl.Series(["2024-01-01T12:00:00+02:00", "2024-01-01T10:00:00Z", "2024-01-03T10:00:00Z"]))
    same = offsets.encode(pl.Series(["2024-01-01T12:00:00+02:00", "2024-01-01T10:00:00Z"])).data
    np.testing.assert_array_equal(same[0], same[1])
    assert offsets.zone == "UTC"


def test_numbers_are_times_only_when_the_type_says_so():
    moments = pl.Series([datetime(2024, 1, 1) + timedelta(days=i) for i in range(10)])
    seconds, expected = moments.dt.epoch("s"), learnt(moments).encode(moments).data
    for raw, found in (
        (seconds, "unix"),
        (seconds * 1000, "unix_ms"),
        (moments.dt.strftime("%Y%m%d").cast(int), "%Y%m%d"),
    ):
        assert Date.recognise(raw)[0] == 0
        column = learnt(raw)
        assert column.found == found
        np.testing.assert_allclose(column.encode(raw).data, expected, atol=1e-5)


def test_stored_times_are_read_from_strings_later_and_the_reverse():
    by_date, by_string = learnt(DAYS), learnt(DAYS.dt.strftime("%d.%m.%Y"))
    read = by_date.encode(DAYS.dt.strftime("%Y-%m-%d"))
    np.testing.assert_array_equal(read.data, by_date.encode(DAYS).data)
    assert read.notes == ["d: times are read as %Y-%m-%d"]
    np.testing.assert_array_equal(by_string.encode(DAYS).data, by_date.encode(DAYS).data)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.dates(date(1900, 1, 1), date(2100, 1, 1))), min_size=1))
def test_any_days_round_trip_within_float32(days):
    values = pl.Series("d", days, dtype=pl.Date)
    if values.null_count() == len(values):
        with pytest.raises(DataError):
            Date("d").learn([values])
        return
    column = learnt(values)
    encoded = column.encode(values)
    back = column.decode({"value": encoded.data})["d"]
    inside = encoded.observed & (np.abs(encoded.data[:, 0]) < EDGE)
    assert back.filter(pl.Series(inside)).to_list() == values.filter(pl.Series(inside)).to_list()
    np.testing.assert_array_equal(encoded.observed, values.is_not_null().to_numpy())


def test_recognise():
    assert Date.recognise(DAYS)[0] == 1.0
    assert Date.recognise(pl.Series(["10:30", "11:45"]))[0] > 0.9
    assert Date.recognise(pl.Series(["2024", "2023"]))[0] == 0
    assert Date.recognise(pl.Series(["v1.2", "v1.3"]))[0] == 0
    assert Date.recognise(pl.Series(["2024-01-01"] * 9 + ["unknown"]))[0] > 0.8


def test_another_format_than_in_training_is_read_and_told_unless_day_and_month_may_be_exchanged():
    column = learnt(pl.Series(["2024-01-31", "2024-03-14", "2024-06-01"]))
    wanted = column.encode(pl.Series("d", ["2024-05-13"])).data
    for text, form in (
        ("13.05.2024", "%d.%m.%Y"),
        ("2024-05-13 00:00:00", "%Y-%m-%d %H:%M:%S%.f"),
        ("05/13/2024", "%m/%d/%Y"),
    ):
        encoded = column.encode(pl.Series("d", [text]))
        assert (encoded.data == wanted).all()
        assert encoded.notes == [f"d: times that are not written as in training (%Y-%m-%d) are read as {form}"]
    days_first = learnt(pl.Series(["31/01/2024", "14/03/2024", "01/06/2024"]))
    encoded = days_first.encode(pl.Series("d", ["05/13/2024", "06/05/2024"]))
    assert encoded.observed.tolist() == [False, True]
    assert "they read as %m/%d/%Y, so that day and month may be exchanged in all the others" in encoded.notes[0]


def test_utc_by_name_and_one_encoding_however_many_rows():
    named = pl.Series(["2024-03-05 06:07:08 UTC", "2024-03-05T06:07:08Z", "2024-03-05 06:07:08 GMT"])
    column = learnt(named)
    assert column.zone == "UTC"
    days = pl.Series([date(2020, 1, 1) + timedelta(days=7 * i % 900) for i in range(40_000)])
    column = learnt(days)
    whole, some = column.encode(days).data, column.encode(days.head(5)).data
    np.testing.assert_array_equal(whole[:5], some)


def test_a_late_day_beyond_twelve_tells_day_from_month():
    late = ["01/02/2024", "03/04/2024"] * 40_000 + ["25/12/2024"]
    assert learnt(pl.Series(late)).found == "%d/%m/%Y"


def test_all_rows_of_a_call_are_read_in_one_format():
    column = learnt(pl.Series(["2024-01-31", "2024-03-14", "2024-06-01"]))
    values = pl.Series("d", ["03/04/2024", "25/06/2024", "2024-01-02"])
    whole, told = column.settled(values)
    assert [time.date() for time in whole] == [date(2024, 4, 3), date(2024, 6, 25), date(2024, 1, 2)]
    assert "are read as %d/%m/%Y" in told[0]
    assert column.encode(whole[:1]).observed.all()  # and in any piece of it
    same = pl.Series("d", ["2024-01-02"])
    assert column.settled(same)[0] is same
