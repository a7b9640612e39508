from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.columns.recognise import UNKNOWN, recognise, spread
from ranvier.core.errors import DataError
from ranvier.core.registry import lookup

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RNG.normal(size=100).tolist(), "number"),
        (RNG.integers(0, 17, 500).tolist(), "number"),
        ([2007, 2008, 2009] * 100, "number"),
        ([0, 1] * 50, "number"),
        ([True, False, None], "category"),
        (["yes", "no", None] * 20, "category"),
        (["marital_2", "marital_10", "marital_3"] * 20, "category"),
        ([None, None], "category"),
        ([date(2020, 1, 1), None], "date"),
        (["2020-01-01", "2020-05-03"] * 5, "date"),
        ([f"Sentence number {i} says something of its own, in many words." for i in range(80)], "text"),
        ([["a"], ["a", "b"], []] * 20, "set"),
        (["a|b", "c|a", "b", "c", "a|b|c", "b|c", "c|b|a"] * 10, "set"),
        ([[0.1, 0.2], [0.3, 0.4]], "vector"),
        ([{"x": 1}], "unknown"),
        ([[{"x": 1}]], "unknown"),
        ([["the", "cat", "saw", "the", "dog"]] * 9, "words"),
    ],
)
def test_types_of_inputs(values, expected):
    name, reason = recognise(pl.Series("c", values))
    assert name == expected, reason
    assert reason


EMOJI = ["😀", "😂", "👍🏽", "❤️", "🇩🇪", "👨‍👩‍👧", "🎉", "🐶"]


@pytest.mark.parametrize(
    ("most", "between", "expected"),
    [(1, "", "category"), (5, "", "text"), (5, " ", "text"), (5, "!", "text")],
)
def test_emoji_are_words(most, between, expected):
    values = [between.join(RNG.choice(EMOJI, RNG.integers(1, most + 1))) for _ in range(300)]
    name, reason = recognise(pl.Series("c", values))
    assert name == expected, reason


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 50, 79])
@pytest.mark.parametrize("target", [False, True])
def test_short_questions_of_their_own_are_text_in_a_table_of_any_size(rows, target):
    values = pl.Series("c", [f"Who saw {RNG.choice(['cats', 'dogs', 'ships'])} in {1900 + i}?" for i in range(rows)])
    assert recognise(values, target)[0] == "text"


@pytest.mark.parametrize("values", [["yes"], ["yes", "no"], ["New York"] * 2, ["it is red", "it is blue"] * 9])
def test_few_strings_that_are_no_sentences_or_repeat_are_categories(values):
    assert recognise(pl.Series("c", values), True)[0] == "category"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2] * 20, "category"),
        ([0.0, 1.0, float("nan")] * 20, "category"),
        ([1, 2, 3, 4, 5] * 20, "category"),
        ([-1, 7] * 20, "category"),
        (RNG.integers(0, 300, 400).tolist(), "number"),
        ([100, 1000, 10000] * 20, "number"),
        ([0.5, 1.5] * 20, "number"),
        (["3", "5", "7"] * 20, "category"),
    ],
)
def test_whole_numbers_as_targets(values, expected):
    name, reason = recognise(pl.Series("c", values), target=True)
    assert name == expected, reason


def test_bytes_that_are_no_pictures_are_told_as_such():
    name, reason = recognise(pl.Series("c", [b"damaged", b"spoilt"]))
    assert name == UNKNOWN
    assert reason.startswith("no column type reads values of type Binary (they are no pictures that can be read);")


CELLS = [
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.text(max_size=12),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.binary(max_size=8),
    st.lists(st.text("ab|, ", max_size=3), max_size=3),
    st.lists(st.floats(), min_size=2, max_size=2),
    st.sampled_from(["2024-01-31", "31/01/2024", "1,234", "a;b", "007", "[1, 2]", ""]),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CELLS).flatmap(lambda cell: st.lists(st.one_of(st.none(), cell), max_size=12)), st.booleans())
def test_any_column_is_taken_for_something_that_then_reads_it_or_says_why(values, target):
    series = pl.Series("c", values, strict=False)
    name, reason = recognise(series, target)
    assert reason
    if name == UNKNOWN:
        return
    column = lookup("column", name)("c")
    try:
        column.learn([series])
    except DataError:  # nothing in it but blanks
        return
    assert len(column.encode(series)) == len(series)


def test_reasons():
    assert recognise(pl.Series("c", [None])) == ("category", "all values are missing")
    assert "no column type reads values of type List(Struct" in recognise(pl.Series("c", [[{"x": 1}]]))[1]
    boxes = pl.Series("c", [[{"x": 1, "y": 2, "w": 3, "h": 4}]])
    assert recognise(boxes) == recognise(boxes, target=True) == ("boxes", "lists of boxes (x, y, w, h)")
    assert recognise(pl.Series("c", [["a", "a", "b"]] * 9)) == ("words", "lists of 3.0 words, 2 distinct")
    assert recognise(pl.Series("c", [0, 1, 2] * 9), target=True)[1].startswith("a target of 3 different whole numbers")


def test_the_sample_is_spread_over_the_observed_values():
    values = pl.Series("c", range(10_000))
    sample = spread(values)
    assert (len(sample), sample[0], sample[-1]) == (2000, 0, 9999)
    gaps = values.set(values % 2 == 0, None)
    assert spread(gaps, 3).to_list() == [1, 4999, 9999]
    assert spread(gaps.head(4)).to_list() == [1, 3]


TABLES = {
    "penguins": {"species": "category", "bill_length_mm": "number", "sex": "category", "year": "number"},
    "nhefs": {"marital": "category", "death": "category", "age": "number", "birthplace": "category"},
    "autos": {"make": "category", "symboling": "category", "price": "number", "num_of_doors": "category"},
    "digits": {"pixel_0_2": "number", "pixel_1_0": "number", "label": "category"},
    "newsgroups_train": {"text": "text", "label": "category"},
    "snippets_train": {"text": "text", "score": "number", "sentiment": "category"},
    "fashion_train": {"image": "image", "label": "category"},
    "brown_train": {"tokens": "words", "tags": "words", "genre": "category"},
    "objects_train": {"image": "image", "boxes": "boxes"},
    "airline_train": {"time": "date", "value": "number"},
    "vowels_train": {"series": "unknown", "label": "category"},
    "scorecard": {"state_abbr": "category", "earnings_med": "number", "year": "number"},
    "summaries_train": {"document": "text", "summary": "text"},
    "tunes_train": {"abc": "text", "title": "text", "rhythm": "category", "book": "category"},
}


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_real_columns(real_data, table):
    frame = pl.read_parquet(real_data / f"{table}.parquet", columns=list(TABLES[table]), n_rows=20_000)
    assert {name: recognise(frame[name])[0] for name in TABLES[table]} == TABLES[table]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["今天天气不错。", "我们一起去公园吧！"], "text"),
        (["服务很差。", "很好！"], "text"),
        (["我们等了一个小时才终于上了菜", "店里的人都非常热情而且价格便宜"], "text"),
        (["とても良い本でした。", "もう読みたくない。"], "text"),
        (["北京", "上海"], "category"),
        (["不推荐", "推荐购买"], "category"),
        (["中华人民共和国", "美利坚合众国"], "category"),
        (["很好。", "很差。"] * 20, "category"),
        (["The food was bad.", "It was good!"], "text"),
        (["good", "bad"], "category"),
    ],
)
def test_two_sentences_are_texts_in_any_script_and_names_are_categories(values, kind):
    assert recognise(pl.Series("x", values))[0] == kind
