from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

from ranvier.columns.set import Set, joint
from ranvier.core.errors import DataError
from ranvier.core.spec import Spec

LISTS = [["b", "a"], [], None, ["c"], ["a", "a", "b"]]


def test_lists_match_scikit_learn_and_empty_is_not_missing():
    column = Set("s")
    values = pl.Series("s", LISTS)
    assert column.learn([values]) == Spec("khot", (4,), 3)
    encoded = column.encode(values)
    expected = MultiLabelBinarizer(classes=["a", "b", "c"]).fit_transform([row or [] for row in LISTS])
    np.testing.assert_array_equal(encoded.data[:, :3], expected)
    assert not encoded.data[:, 3].any()  # no label is unseen
    assert encoded.data.dtype == np.uint8
    assert encoded.observed.tolist() == [True, True, False, True, True]
    assert encoded.notes == []


@pytest.mark.parametrize(
    ("strings", "separator"),
    [
        (["b|a", "", None, "c", "a|a|b"], "|"),
        (["b, a", "", None, "c", "a, a, b"], ","),
        (["b;a", "", None, "c ", "a; ;b"], ";"),
        (["['b', 'a']", "[]", None, '["c"]', "[a, b]"], "[,]"),
    ],
)
def test_separated_strings_are_sets(strings, separator):
    column = Set("s")
    column.learn([pl.Series("s", strings)])
    assert column.splits_at == separator
    assert column.labels == ["a", "b", "c"]
    encoded = column.encode(pl.Series("s", strings))
    assert encoded.data[:, :3].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 0]]
    assert encoded.observed.tolist() == [True, True, False, True, True]


def test_a_separator_can_be_named_or_none():
    for separator, labels in (("/", ["a", "b,c"]), ("", ["a/b,c"])):
        column = Set("s", separator=separator)
        column.learn([pl.Series("s", ["a/b,c"])])
        assert column.labels == labels


def test_unseen_and_missing_labels_are_told_with_their_rows():
    column = Set("s")
    column.learn([pl.Series("s", [["a"], ["b"]])])
    encoded = column.encode(pl.Series("s", [["a", "x"], [], ["y", "x", None]]))
    assert encoded.data.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 2]]
    assert encoded.notes == [
        "s: 3 labels not seen in training: 'x' (row 0), 'y' (row 2)",
        "s: 1 missing label inside lists is left out",
    ]


def test_unseen_labels_are_counted_once_a_row_and_carry_over_to_no_prediction():
    column = Set("s", threshold=0.4)
    assert column.learn([pl.Series("s", [["a"], ["b"]])]) == Spec("khot", (3,), 2, threshold=0.4)
    encoded = column.encode(pl.Series("s", [["x", "x", "a"], [f"n{i}" for i in range(300)], None]))
    assert encoded.data[:, 2].tolist() == [1, 255, 0]
    assert column.decode({"probs": encoded.data})["s"].to_list() == [["a"], [], []]


@pytest.mark.parametrize("labels", [["a", "b"], ["a|b", "c"], ["a|;", "c d"]])
def test_joined_labels_are_read_back(labels):
    column = Set("s", separator=joint(labels))
    column.learn([pl.Series("s", [joint(labels).join(labels)])])
    assert column.labels == labels


def test_some_labels_cannot_be_joined():
    assert joint(["a|b;c", "d,e"]) == ""


def test_predictions_are_lists_at_the_threshold():
    column = Set("s", threshold=0.4)
    column.learn([pl.Series("s", [[1, 20], [3]])])
    frame = column.decode({"probs": np.array([[0.4, 0.1, 0.9], [0, 0, 0]])})
    assert frame["s"].to_list() == [[1, 20], []]
    assert frame["s"].dtype == pl.List(pl.Int64)
    assert frame.columns == ["s", "s_p_1", "s_p_3", "s_p_20"]
    assert column.decode({"probs": np.zeros((0, 3))}).shape == (0, 4)


def test_rare_and_most_and_nothing():
    values = pl.Series("s", [["a", "b"], ["a", "a", "c"], ["b"], ["z", "z"]])
    rare = Set("s", rare=2)
    rare.learn([values])
    assert rare.labels == ["a", "b"]  # rows are counted, not repeats within one
    assert rare.notes == ["s: 2 categories (2 training rows) are treated as not seen: 'c', 'z'"]
    with pytest.raises(DataError, match="no observed value"):
        Set("s").learn([pl.Series("s", [[], None], dtype=pl.List(pl.String))])
    with pytest.raises(DataError, match="expected lists of labels"):
        Set("s").learn([pl.Series("s", [{"a": 1}])])


def test_spaces_around_labels_are_no_part_of_them_and_that_is_told():
    values = pl.Series("s", [["a", " b"], ["b ", "b"], []])
    column = Set("s")
    column.learn([values])
    assert column.labels == ["a", "b"]
    encoded = column.encode(values)
    assert encoded.data.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert encoded.notes == ["s: 2 values have spaces around them, which do not count (such as ' b')"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.sets(st.text("abcXYZ ", min_size=1, max_size=3).filter(str.strip)))))
def test_any_sets_round_trip(rows):
    values = pl.Series("s", [None if row is None else sorted(row) for row in rows], dtype=pl.List(pl.String))
    column = Set("s")
    if not any(rows):
        with pytest.raises(DataError):
            column.learn([values])
        return
    column.learn([values])
    encoded = column.encode(values)
    back = column.decode({"probs": encoded.data})["s"].to_list()
    for raw, got, seen in zip(rows, back, encoded.observed, strict=True):
        assert set(got) == {label.strip() for label in raw or set()}
        assert seen == (raw is not None)


def test_recognise():
    rng = np.random.default_rng(0)
    rows = [list(rng.choice(["red", "green", "blue", "black"], rng.integers(0, 4), replace=False)) for _ in range(200)]
    assert Set.recognise(pl.Series(rows))[0] >= 0.9
    words = [["the", "dog", "saw", "the", "cat"], ["a", "cat", "on", "a", "mat"]] * 50
    assert Set.recognise(pl.Series(words))[0] <= 0.1
    tags = [f"tag{i}" for i in range(12)]
    joined = ["|".join(rng.choice(tags, rng.integers(1, 5), replace=False)) for _ in range(300)]
    assert Set.recognise(pl.Series(joined))[0] > 0.95
    assert Set.recognise(pl.Series(["yes, surely", "no, never", "yes, maybe"] * 50))[0] <= 0.1
    assert Set.recognise(pl.Series(["a", "b"] * 20))[0] == 0
