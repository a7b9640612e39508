"""The number column: what it reads, how it scales and ranks, and that decoding inverts encoding."""

from __future__ import annotations

import json
import re

import numpy as np
import polars as pl
import pytest

from ranvier.columns._numbers import Reservoir, knots_of, parse, ranks_of
from ranvier.columns.number import Number
from ranvier.core.errors import DataError

RNG = np.random.default_rng(0)
SKEWED = np.exp(RNG.normal(8, 1.5, 400))


def learnt(values, **options) -> tuple[Number, pl.Series]:
    series = pl.Series("x", values, strict=False)
    column = Number("x", **options)
    column.learn([series])
    return column, series


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7.0),
        (" -3.5 ", -3.5),
        ("1e3", 1000.0),
        ("1,234", 1234.0),
        ("-1,234,567.5", -1234567.5),
        ("1.234,5", 1234.5),
        ("3,14", 3.14),
        ("12%", 0.12),
        ("$5", 5.0),
        ("€ 1,000.50", 1000.5),
        ("20 USD", 20.0),
        ("(42)", -42.0),
        ("+8", 8.0),
        ("1 000", 1000.0),
    ],
)
def test_numbers_in_text(text, number):
    assert parse(pl.Series([text]))[0][0] == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "NA", "n/a", "?", "-", "NaN", "null", "abc", "1,2,3", "12-3", "inf", "-Infinity", None]
)
def test_text_that_is_no_number_is_missing(text):
    encoded = learnt(["1", "2", text])[0].encode(pl.Series([text], dtype=pl.String))
    assert not encoded.observed[0]
    assert encoded.data.tolist() == [[0.0, 0.5]]


def test_notes_count_what_was_repaired_and_words_for_missing_are_no_news():
    column, series = learnt(["1", "2", "abc", "NA", "inf", "5%", None])
    notes = column.encode(series).notes
    assert notes == [
        "column 'x': 1 value is no number and counts as missing (such as 'abc' in row 2)",
        "column 'x': 1 infinite value counts as missing (the first in row 4)",
        "column 'x': 1 percentage is read as fractions (12% is 0.12)",
    ]
    assert column.encode(pl.Series(["1", None, "NA"])).notes == []


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, None],
        [0.5, None, float("nan"), float("inf"), -2.0],
        [True, False, None],
        ["1,000", "2", "x"],
        [7.0, 7.0],
        [0.0] * 99 + [1e6],
        SKEWED,
        -SKEWED,
        [1e-300, 2e-300, 3e-300],
        [-1e300, 1e300],
    ],
    ids=str,
)
@pytest.mark.parametrize("transform", ["auto", "none", "log"])
def test_decoding_inverts_encoding(values, transform):
    column, series = learnt(values, transform=transform)
    encoded = column.encode(series)
    raw = parse(series)[0]
    assert encoded.data.dtype == np.float32
    assert np.isfinite(encoded.data).all()
    assert (encoded.observed == np.isfinite(raw)).all()
    assert (encoded.data[~encoded.observed] == [0.0, 0.5]).all()
    assert ((encoded.data[:, 1] >= 0) & (encoded.data[:, 1] <= 1)).all()
    back = column.decode({"value": encoded.data[:, 0]})["x"].to_numpy()
    spread = column.log_unit or column.scale
    near = np.abs(back - raw)[encoded.observed] <= 1e-5 * np.abs(raw)[encoded.observed] + 1e-5 * spread
    assert near.all()


def test_scale_is_median_and_spread_without_the_tails():
    values = np.append(RNG.normal(50, 4, 2000), [1e6, -1e6])
    column, series = learnt(values, transform="none")
    scaled = column.encode(series).data[:-2, 0]
    assert column.centre == pytest.approx(np.median(values))
    assert scaled.std() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("values", "log"), [(SKEWED, True), (RNG.normal(5, 1, 400), False), (-SKEWED, False)])
def test_auto_takes_the_logarithm_of_what_is_skewed_to_the_right(values, log):
    assert (learnt(values)[0].log_unit > 0) is log
    assert learnt(values, transform="none")[0].log_unit == 0


def test_ranks_of_few_values_are_the_middles_of_ties():
    column, series = learnt([0, 0, 0, 1, 5])
    assert column.encode(series).data[:, 1].tolist() == pytest.approx([0.25, 0.25, 0.25, 0.75, 1.0])
    assert column.encode(pl.Series([-9.0, 0.5, 3.0, 99.0])).data[:, 1].tolist() == pytest.approx(
        [0.25, 0.5, 0.875, 1.0]
    )


def test_ranks_of_many_values_are_quantiles():
    values = RNG.normal(size=5000)
    column, series = learnt(values)
    exact = np.argsort(np.argsort(values)) / 4999
    assert np.abs(column.encode(series).data[:, 1] - exact).max() < 1e-3
    sorted_ranks = column.encode(pl.Series(np.sort(values))).data[:, 1]
    assert (np.diff(sorted_ranks) >= 0).all()


def test_a_tie_among_many_values_has_the_middle_of_its_ranks():
    values = np.sort(np.append(np.zeros(4000), RNG.uniform(1, 2, 6000)))
    knots, ranks = knots_of(values)
    assert (np.diff(knots) > 0).all()
    assert (np.diff(ranks) > 0).all()
    assert np.interp(0.0, knots, ranks) == pytest.approx(0.2, abs=2e-3)


def test_learning_does_not_depend_on_the_chunks():
    series = pl.Series("x", SKEWED)
    whole, chunked = Number("x"), Number("x")
    whole.learn([series])
    chunked.learn(series[i : i + 33] for i in range(0, len(series), 33))
    assert (whole.encode(series).data == chunked.encode(series).data).all()


def test_reservoir_is_bounded_uniform_and_the_same_for_any_chunks():
    values = np.arange(50_000.0)
    one, many = Reservoir(limit=2000), Reservoir(limit=2000)
    one.add(values)
    for chunk in np.array_split(values, 77):
        many.add(chunk)
        assert many._held <= 4000
    halves = Reservoir(limit=2000)
    for half in (values[:30_000], values[30_000:]):
        halves.add(half)
    assert (one.values() == many.values()).all()
    assert (one.values() == halves.values()).all()
    assert len(np.unique(one.values())) == 2000
    assert one.values().mean() == pytest.approx(25_000, rel=0.05)
    small = Reservoir(limit=2000)
    small.add(values[:2000])
    assert (small.values() == values[:2000]).all()


def test_state_round_trip():
    column, series = learnt(SKEWED)
    state = column.state()
    json.dumps({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in state.items()})
    other = Number("x")
    other.load_state(state)
    assert (other.encode(series).data == column.encode(series).data).all()
    assert other.spec == column.spec


@pytest.mark.parametrize("values", [[None, None], ["a", "b"], [float("nan"), float("inf")]])
def test_nothing_to_learn_is_an_error_that_names_the_column(values):
    with pytest.raises(DataError, match=r"column 'x': expected numbers, but no training row holds one"):
        learnt(values)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([1.5, 2.25, 3.125] * 10, 0.9, 1.0),
        (list(range(100)), 0.9, 1.0),
        ([0.0, 1.0] * 20, 0.3, 0.5),
        ([0, 1, 2] * 20, 0.31, 0.6),
        (["1", "2"] * 20, 0.0, 0.45),
        (["1.5", "2.5", "NA", "7"] * 10, 0.9, 1.0),
        (["$1,200", "$3,400", "$250"] * 10, 0.2, 0.9),
        (["00123", "04567", "00999"] * 10, 0.0, 0.2),
        (["red", "blue"] * 20, 0.0, 0.0),
        ([True, False] * 20, 0.0, 0.2),
    ],
)
def test_recognise(values, low, high):
    score, reason = Number.recognise(pl.Series(values))
    assert low <= score <= high
    assert reason


def test_decode_names_other_figures_by_their_keys():
    column, _ = learnt([10.0, 20.0, 30.0], transform="none")
    frame = column.decode({"value": np.zeros(2), "low": np.full(2, -1.0)})
    assert frame.columns == ["x", "x_low"]
    assert frame["x"].to_list() == [20.0, 20.0]
    assert frame["x_low"][0] < 20.0


@pytest.mark.slow
@pytest.mark.parametrize("table", ["autos", "cancer", "nhefs", "scorecard", "diabetes"])
def test_real_columns_round_trip(table, real_data):
    frame = pl.read_parquet(real_data / f"{table}.parquet")
    for series in frame.iter_columns():
        if series.dtype.is_numeric():
            column = Number(series.name)
            column.learn([series])
            encoded = column.encode(series)
            back = column.decode({"value": encoded.data[:, 0]})[series.name].to_numpy()
            raw = series.cast(pl.Float64).fill_null(0.0).to_numpy()
            wrong = np.abs(back - raw)[encoded.observed]
            assert wrong.max() <= 1e-5 * (np.abs(raw).max() + column.scale), series.name
            assert np.abs(encoded.data[:, 0]).max() < 60, series.name
            assert np.diff(column.ranks).min(initial=1.0) > 0, series.name


def read_as(texts: list[str]) -> tuple[list[float], list[str]]:
    column = Number("x")
    values = pl.Series("x", texts)
    column.learn([values])
    again = Number("x")
    again.load_state(column.state())
    assert np.array_equal(again.encode(values).data, column.encode(values).data)
    return column.values(values).round(6).tolist(), column.encode(values).notes


@pytest.mark.parametrize(
    ("texts", "numbers", "told"),
    [
        (["1.234,56 €", "1.234", "7,5"], [1234.56, 1234, 7.5], "1 value such as 1.234 is read as thousands"),
        (["1.234 €", "1.234 kg", "-7,5"], [1234, 1234, -7.5], "2 values such as 1.234 are read as thousands"),
        (["1,234.56", "1,234", "7.5"], [1234.56, 1234, 7.5], ""),
        (["12 %", "3%"], [0.12, 0.03], ""),
        (["12 %", "3"], [0.12, 3], "1 percentage"),
        (["$1,200", "(1,200)", "3.5-", "−2"], [1200, -1200, -3.5, -2], ""),
        (["$1", "€2"], [1, 2], "several currencies ($, €)"),
        (["5 kg", "3.5kg", "4 KG"], [5, 3.5, 4], "3 values have the unit 'kg'"),
        (["1,23,456", "2'345", "1 000"], [123456, 2345, 1000], ""),
        (["1,5E+03", "2,25"], [1500, 2.25], ""),
        (["1.234,50 ₽", "7,5₽"], [1234.5, 7.5], ""),
        (["CN¥1,200.50", "US$ 3", "PLN 4", "₩5"], [1200.5, 3, 4, 5], "several currencies (cn¥, pln, us$, ₩)"),
        (["￥１，２００．５", "－３", "７％"], [1200.5, -3, 0.07], "1 percentage"),
        (["3元", "4.5 元", "1,000.5元"], [3, 4.5, 1000.5], "3 values have the unit '元'"),
        (["5 k€", "3.5 k€"], [5, 3.5], "2 values have the unit 'k'"),
        (["5‰", "3.5 ‰"], [5, 3.5], "2 values have the unit '‰'"),
    ],
)
def test_numbers_as_people_write_them(texts, numbers, told):
    got, notes = read_as(texts)
    assert got == numbers
    assert told in "\n".join(notes)
    assert bool(told) == bool(notes)


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (["12%", "3 %", None], ""),
        (["12,5%", "3%"], ""),
        ([0.12, None], "1 value has no per cent sign, as all had in training: 0.12 is taken for 12%"),
        (["12%", "12", "13"], "2 values have no per cent sign, as all had in training: 0.12 is taken for 12%"),
    ],
)
def test_per_cent_signs_that_are_gone_are_told(later, told):
    column, again = Number("x"), Number("x")
    column.learn([pl.Series("x", ["12%", "15.5%", "3 %", None])])
    again.load_state(column.state())
    values, notes = again.settled(pl.Series("x", later))
    notes += again.encode(values).notes
    assert told in "\n".join(notes)
    assert any("no per cent sign" in note for note in notes) == bool(told)


def test_percentages_throughout_are_told_when_learnt_and_never_again():
    column, values = learnt(["12%", "15.5%", "3 %", None])
    assert column.notes == ["column 'x': all values are percentages, read as fractions (12% is 0.12)"]
    assert column.encode(values).notes == []


@pytest.mark.parametrize(
    ("learns", "later", "told"),
    [
        (["3万", "5.5 万", None], ["7"], "1 value has no unit '万', as all had in training: 7 is 7万"),
        (["3万元", "12万元"], [7, 8], "2 values have no unit '万元'"),
        (["3k", "€5K"], [7.5, None], "1 value has no unit 'k'"),
        (["2 Mio.", "3 Mio."], ["2", "4 mio."], "1 value has no unit 'mio.'"),
        (["3k", "5k"], ["7k", None], ""),
        (["3k", "5"], ["7"], ""),
        (["3 kg", "5 kg"], ["7"], ""),
        (["3 mm", "5 mm"], [7], ""),
        (["3m", "5 m"], ["7"], ""),  # metres
        (["3M", "5 M"], ["7"], "1 value has no unit 'm', as all had in training: 7 is 7m"),
        (["$3m", "$5m"], ["$7"], "1 value has no unit 'm'"),
    ],
)
def test_a_unit_that_multiplies_and_is_gone_is_told(learns, later, told):
    column, _ = learnt(learns)
    again = Number("x")
    again.load_state(column.state())
    for one in (column, again):
        notes = [note for note in one.encode(pl.Series("x", later)).notes if "left out" not in note]
        assert len(notes) == bool(told)
        assert told in "\n".join(notes)


@pytest.mark.parametrize(
    ("learns", "later", "expected"),
    [
        (["12k", "3k"], ["1,234k", "1,5k", "2.000k"], [1.234, 1.5, 2000]),
        (["12k", "3k"], ["1,234k", "1,234,567k", "2.5k"], [1234, 1234567, 2.5]),
        (["12%", "3%"], ["1,234%", "1,5%"], [0.01234, 0.015]),
    ],
)
def test_commas_beside_signs_are_settled_by_all_values(learns, later, expected):
    column, _ = learnt(learns)
    values, notes = column.settled(pl.Series("x", later))
    assert len(notes) == 1
    assert "1,234" in notes[0]
    for value, number in zip(values, expected, strict=True):  # whatever piece it comes in
        encoded = column.encode(pl.Series("x", [value]))
        assert column.decode({"value": encoded.data[:, 0]})["x"][0] == pytest.approx(number, rel=1e-4)
        assert not any("comma" in note for note in encoded.notes)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0 0.0 0", None),
        ("1 2", None),
        ("06 12 34 56 78", None),
        ("1 234 5", None),
        ("1 234", 1234),
        ("1 234 567,5 kg", 1234567.5),
        ("$ 1 234.50", 1234.5),
        ("12 34 567 €", 1234567),
        ("- 5", -5),
        ("(1\u202f234)", -1234),
    ],
)
def test_spaces_between_digits_group_them_or_part_numbers(text, number):
    values, told = parse(pl.Series([text, "7"]))
    assert values[0] == number if number is not None else np.isnan(values[0])
    assert told.unread == (number is None)


def test_where_only_some_have_per_cent_signs_none_are_missed():
    column = Number("x")
    column.learn([pl.Series("x", ["12%", "0.15"])])
    assert column.encode(pl.Series("x", [0.12])).notes == []


@pytest.mark.parametrize("absurd", [1e12, 1e300])
def test_one_absurd_value_of_few_does_not_flatten_the_others(absurd):
    column, values = Number("x"), np.append(RNG.normal(50, 4, 95), absurd)
    column.learn([pl.Series("x", values)])
    encoded = column.encode(pl.Series("x", values))
    assert 0.5 < encoded.data[:-1, 0].std() < 2
    assert f"1 value, such as {absurd:g}, lies more than 1,000,000 times the usual spread away" in encoded.notes[0]


def test_values_far_away_that_are_not_few_count_for_the_spread():
    column, values = Number("x"), np.append(RNG.normal(0, 1e-9, 95), RNG.normal(50, 4, 5))
    column.learn([pl.Series("x", values)])
    assert column.encode(pl.Series("x", values)).notes == []


def test_later_rows_are_read_in_the_manner_of_the_training_rows():
    column = Number("x")
    column.learn([pl.Series("x", ["1,5 kg", "2,25 kg", "1.000 kg"])])
    encoded = column.encode(pl.Series("x", ["1.500", "2 g", "3 kg"]))
    assert column.values(pl.Series("x", ["1.500", "3 kg"])).tolist() == [1500.0, 3.0]
    assert encoded.observed.tolist() == [True, False, True]
    assert "'2 g'" in "\n".join(encoded.notes)


def noted(column: Number, texts: list[str]) -> tuple[list[float], str]:
    values = pl.Series("x", texts)
    return column.values(values).tolist(), "\n".join(column.encode(values).notes)


def test_a_comma_is_read_as_it_was_learnt_and_told_where_that_cannot_be():
    before_decimals, between_thousands = Number("x"), Number("x")
    before_decimals.learn([pl.Series("x", ["1,5", "2,25", "1,234"])])
    between_thousands.learn([pl.Series("x", ["1,234.5", "1,234"])])
    assert noted(before_decimals, ["1,234", "5,678"]) == ([1.234, 5.678], "")
    assert noted(between_thousands, ["1,234", "5,678"]) == ([1234.0, 5678.0], "")
    got, told = noted(before_decimals, ["1,234,567", "1,234"])
    assert got == [1234567.0, 1.234]
    assert "1 value with a comma, such as '1,234,567', is read with it as setting thousands apart" in told
    got, told = noted(between_thousands, ["1,234", "0,123", "1,5"])
    assert got == [1234.0, 0.123, 1.5]
    assert "2 values with a comma, such as '0,123', are read with it as the decimal sign" in told


def test_commas_that_training_leaves_in_doubt_are_told_once_and_read_alike_ever_after():
    column, _ = learnt(["1,234", "5,678", "9"])
    assert len(column.notes) == 1
    assert "2 values with a comma, such as '1,234', are read with it as setting thousands apart" in column.notes[0]
    again = Number("x")
    again.load_state(column.state())
    assert noted(column, ["1,234"]) == noted(again, ["1,234"]) == ([1234.0], "")
    got, told = noted(again, ["1,234", "1,5"])
    assert got == [1234.0, 1.5]
    assert "1 value with a comma, such as '1,5', is read with it as the decimal sign" in told


@pytest.mark.parametrize("stored", [pl.Series("x", [1.5, 2.0, 3.0]), pl.Series("x", ["1.5", "2", "3"])])
@pytest.mark.parametrize(
    ("texts", "numbers", "told"),
    [
        (["1,234", "5,678"], [1234, 5678], "2 values with a comma, such as '1,234', .* as setting thousands apart"),
        (["1,234", "1,5"], [1.234, 1.5], "2 values with a comma, such as '1,234', .* as the decimal sign"),
        (["1,234", "1.5"], [1234, 1.5], "1 value with a comma, such as '1,234', .* as setting thousands apart"),
    ],
)
def test_where_training_had_no_comma_the_other_values_tell_what_one_means(stored, texts, numbers, told):
    column = Number("x")
    column.learn([stored])
    for state in (column.state(), {k: v for k, v in column.state().items() if k not in ("comma", "unit")}):
        again = Number("x")
        again.load_state(state)
        got, notes = noted(again, texts)
        assert got == numbers
        assert re.search(told, notes)


def test_ranks_of_many_values_are_those_of_interpolation():
    rng = np.random.default_rng(0)
    uneven = np.exp(rng.normal(size=400_000)), np.exp(3 * rng.normal(size=400_000))  # finer cells tell, or do not
    for values in (rng.normal(size=40_000), *uneven, rng.integers(0, 9, 40_000) * 1.0):
        knots, ranks = knots_of(np.sort(values[:5_000]))
        wide = np.append(values, [-1e300, 1e300, knots[0], knots[-1]])
        np.testing.assert_array_equal(ranks_of(wide, knots, ranks), np.interp(wide, knots, ranks))


def test_all_rows_of_a_call_are_read_in_one_manner():
    column, _ = learnt([1.0, 2.0, 3.0])
    values = pl.Series("x", ["1,234", "5", "1,5"])
    whole, told = column.settled(values)
    assert whole.to_list() == [1.234, 5.0, 1.5]
    assert len(told) == 1
    plain = pl.Series("x", ["1", "2"])
    assert column.settled(plain)[0] is plain


def test_lists_among_numbers_are_shown_as_such():
    column = Number("x")
    column.learn([pl.Series("x", [1.0, 2.0])])
    notes = column.encode(pl.Series("x", [[1.0, 2.0], None])).notes
    assert notes == ["column 'x': 1 value is no number and counts as missing (such as [1.0, 2.0] in row 0)"]
