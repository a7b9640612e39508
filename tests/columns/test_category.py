from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.columns.category import Category, in_natural_order, index_dtype
from ranvier.core.errors import DataError
from ranvier.core.spec import Spec


def learnt(values: pl.Series, **options) -> Category:
    column = Category("c", **options)
    column.learn([values.alias("c")])
    return column


def test_codes_follow_natural_order_and_unseen_is_size():
    column = learnt(pl.Series(["item10", "item2", None, "item2", "a"]))
    assert column.labels == ["a", "item2", "item10"]
    assert column.spec == Spec("index", (), 3)
    encoded = column.encode(pl.Series("c", ["item10", "new", None, "a", " ", "new"]))
    assert encoded.data.tolist() == [2, 3, 0, 0, 0, 3]
    assert encoded.data.dtype == np.uint8
    assert encoded.observed.tolist() == [True, True, False, True, False, True]
    assert encoded.notes == [
        "c: 2 values not seen in training: 'new' (row 1)",
        "c: 1 blank value is taken as missing",
    ]


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (pl.Series([True, False, None, True]), ["false", "true"]),
        (pl.Series([10, 9, -1, 9], dtype=pl.Int16), ["-1", "9", "10"]),
        (pl.Series([2.0, 10.0, float("nan"), 0.5]), ["0.5", "2", "10"]),
        (pl.Series([2**64 - 1, 5], dtype=pl.UInt64), ["5", str(2**64 - 1)]),
        (pl.Series(["10", "9", "1.5"]), ["1.5", "9", "10"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["a", "b"]),
    ],
)
def test_values_come_back_in_their_own_type(raw, labels):
    column = learnt(raw)
    assert column.labels == labels
    encoded = column.encode(raw.alias("c"))
    frame = column.decode({"probs": np.eye(len(labels), dtype=np.float32)[encoded.data]})
    back = frame["c"].to_list()
    known = [value for value, seen in zip(raw.to_list(), encoded.observed, strict=True) if seen]
    assert [value for value, seen in zip(back, encoded.observed, strict=True) if seen] == known
    assert frame.columns == ["c", "c_confidence", *[f"c_p_{label}" for label in labels]]
    assert frame["c"].dtype == (pl.String if raw.dtype == pl.Categorical else raw.dtype)
    assert frame["c_confidence"].to_list() == [1.0] * len(raw)


def test_the_same_value_in_another_type_is_matched():
    assert learnt(pl.Series([0, 1, 2])).encode(pl.Series(["2", "1.0", "x", None])).data.tolist() == [2, 1, 3, 0]
    assert learnt(pl.Series([0, 1, 2])).encode(pl.Series([2.0, 1.5, None])).data.tolist() == [2, 3, 0]
    assert learnt(pl.Series([7, 2**53])).encode(pl.Series([2**53 + 1, 2**53])).data.tolist() == [2, 1]
    assert learnt(pl.Series([7, 8])).encode(pl.Series(["007", "8e0"])).data.tolist() == [0, 1]
    assert learnt(pl.Series([0.5, 1.0])).encode(pl.Series([1, 2])).data.tolist() == [1, 2]
    assert learnt(pl.Series([True, False])).encode(pl.Series(["TRUE", "false", "1", "?"])).data.tolist() == [1, 0, 1, 2]
    assert learnt(pl.Series([True, False])).encode(pl.Series([0, 1])).data.tolist() == [0, 1]
    assert learnt(pl.Series(["True", "False"])).encode(pl.Series([True, False])).data.tolist() == [1, 0]
    assert learnt(pl.Series(["0", "1"])).encode(pl.Series([1, 0])).data.tolist() == [1, 0]


def test_probabilities_name_the_most_probable():
    column = learnt(pl.Series(["no", "yes"]))
    frame = column.decode({"probs": np.array([[0.25, 0.75], [0.5, 0.5]])})
    assert frame.rows() == [("yes", 0.75, 0.25, 0.75), ("no", 0.5, 0.5, 0.5)]
    assert column.decode({"probs": np.zeros((0, 2))}).shape == (0, 4)


def test_options_ordered_rare_most_and_categories():
    values = pl.Series(["low", "high", "low", "mid", "high", "odd"])
    column = learnt(values, ordered=True, categories=["low", "mid", "high"])
    assert column.spec == Spec("index", (), 3, unit="order")
    assert column.encode(values.alias("c")).data.tolist() == [0, 2, 0, 1, 2, 3]
    assert column.notes == ["c: 1 category (1 training row) is treated as not seen: 'odd'"]
    assert learnt(values, rare=2).labels == ["high", "low"]
    assert learnt(values, most=1).labels == ["high"]  # equal counts: the first label
    with pytest.raises(DataError, match="names a category twice"):
        learnt(values, categories=["low", "low"])
    with pytest.raises(DataError, match="none of the option"):
        learnt(values, categories=["x"])
    with pytest.raises(DataError, match="lower `rare`"):
        learnt(values, rare=9)


@pytest.mark.parametrize("values", [pl.Series([None, None]), pl.Series([], dtype=pl.String), pl.Series([" ", ""])])
def test_nothing_observed_is_an_error_with_advice(values):
    with pytest.raises(DataError, match=r"'c' has no observed value.*roles"):
        learnt(values)


def test_nested_values_are_refused():
    with pytest.raises(DataError, match="cannot be categories"):
        learnt(pl.Series([[1, 2]]))


def test_many_categories_need_wider_codes():
    assert [np.dtype(index_dtype(n)).name for n in (255, 256, 32767, 32768)] == ["uint8", "int16", "int16", "int32"]
    column = learnt(pl.Series(range(300)))
    encoded = column.encode(pl.Series([299, 300, None]))
    assert encoded.data.tolist() == [299, 300, 0]
    assert encoded.data.dtype == np.int16
    full = learnt(pl.Series(range(255)))
    assert full.encode(pl.Series([254, 255])).data.tolist() == [254, 255]
    assert learnt(pl.Series(range(256))).encode(pl.Series([0, 255, 256])).data.tolist() == [0, 255, 256]


@pytest.mark.parametrize("raw", [pl.String, pl.Categorical])
def test_spaces_around_values_are_no_part_of_them_and_that_is_told(raw):
    values = pl.Series("c", ["red", " red", "blue ", "red\t", None, " "]).cast(raw)
    column = learnt(values)
    assert column.labels == ["blue", "red"]
    encoded = column.encode(values)
    assert encoded.data.tolist()[:4] == [1, 1, 0, 1]
    assert encoded.observed.tolist() == [True] * 4 + [False] * 2
    told = "c: 3 values have spaces around them, which do not count (such as ' red')"
    assert (told in encoded.notes) == (raw == pl.String)
    assert learnt(pl.Series(["a ", "b"]), categories=[" a", "b"]).labels == ["a", "b"]


def test_models_of_before_know_labels_with_spaces():
    column = Category("c")
    column.load_state({"version": 1, "labels": [" red", "blue"], "dtype": "String"})
    encoded = column.encode(pl.Series("c", [" red", "blue", " blue"]))
    assert encoded.data.tolist() == [0, 1, 1]
    assert encoded.notes == ["c: 1 value has spaces around it, which do not count (such as ' blue')"]


def test_natural_order():
    assert in_natural_order(["b2", "b10", "a"]) == ["a", "b2", "b10"]
    assert in_natural_order(["10", "-2", "3.5"]) == ["-2", "3.5", "10"]
    assert in_natural_order(["nan", "1"]) == ["1", "nan"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text("aZ10 .\u00e9\u6f22", max_size=4)), min_size=1))
def test_any_strings_round_trip(strings):
    values = pl.Series("c", strings, dtype=pl.String)
    column = Category("c")
    try:
        column.learn([values])
    except DataError:
        assert all(not s or not s.strip() for s in strings)
        return
    encoded = column.encode(values)
    frame = column.decode({"probs": np.eye(len(column.labels))[encoded.data]})
    for raw, back, seen in zip(strings, frame["c"].to_list(), encoded.observed, strict=True):
        assert back == raw.strip() if seen else (raw is None or not raw.strip())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_infinity=False), min_size=1))
def test_any_floats_round_trip(numbers):
    values = pl.Series("c", numbers, dtype=pl.Float64)
    column = Category("c")
    if np.isnan(numbers).all():
        with pytest.raises(DataError):
            column.learn([values])
        return
    column.learn([values])
    encoded = column.encode(values)
    back = column.decode({"probs": np.eye(len(column.labels))[encoded.data]})["c"].to_numpy()
    np.testing.assert_array_equal(back[encoded.observed], np.asarray(numbers)[encoded.observed])
    np.testing.assert_array_equal(encoded.observed, ~np.isnan(numbers))


def test_recognise():
    def score(*values, dtype=None):
        return Category.recognise(pl.Series(list(values), dtype=dtype))[0]

    assert score(True, False) == 1.0
    assert score(*["a", "b"] * 20) > 0.9
    assert score(*[f"a whole sentence, number {i}, of several words" for i in range(50)]) <= 0.2
    assert score(1, 2, 3) < 0.1
    assert score([1], [2]) == 0.0
