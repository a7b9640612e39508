"""Laws of the splits: a partition, deterministic, and each kind's own promise."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.core.errors import DataError, PlanError
from ranvier.data.split import choose_split, folds, split

RNG = np.random.default_rng(0)
N = 200
FRAME = pl.DataFrame(
    {
        "label": RNG.choice(["a", "b", "c"], N, p=[0.8, 0.15, 0.05]),
        "amount": RNG.normal(size=N),
        "who": RNG.integers(0, 30, N),
        "day": pl.Series(RNG.integers(0, 60, N)).cast(pl.Int32).cast(pl.Date),
        "one": ["x"] * N,
    }
)
HOW = [
    {"how": "random"},
    {"how": "stratified", "target": "label"},
    {"how": "group", "group": "who"},
    {"how": "order", "order": "day"},
]


@pytest.mark.parametrize("options", HOW)
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_partition_of_about_the_right_size(options, fraction):
    train, val = split(FRAME, fraction=fraction, seed=1, **options)
    assert sorted([*train, *val]) == list(range(N))
    assert train.dtype == val.dtype == np.int64
    assert abs(len(val) - fraction * N) <= 8
    again = split(FRAME, fraction=fraction, seed=1, **options)
    assert all(np.array_equal(a, b) for a, b in zip((train, val), again, strict=True))
    other = split(FRAME, fraction=fraction, seed=2, **options)[1]
    assert np.array_equal(other, val) == (options["how"] == "order")


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=2, max_size=60), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_stratified_law(labels, fraction):
    frame = pl.DataFrame({"y": pl.Series(labels, dtype=pl.String)})
    if max(labels.count(label) for label in labels) < 2:
        with pytest.raises(DataError, match="unique"):
            split(frame, "stratified", fraction, target="y", types={"y": "category"})
        return
    train, val = split(frame, "stratified", fraction, target="y", types={"y": "category"})
    assert len(train)
    assert len(val)
    assert sorted([*train, *val]) == list(range(len(labels)))
    for label in set(labels):
        rows = [i for i, other in enumerate(labels) if other == label]
        inside = len(set(rows) & set(val.tolist()))
        assert (inside == 0) if len(rows) == 1 else (1 <= inside < len(rows))


def test_stratified_shares_are_near_exact():
    _, val = split(FRAME, "stratified", 0.2, target=["amount", "label"])
    whole, part = FRAME["label"].value_counts(), FRAME["label"][val].value_counts()
    for label, count in whole.rows():
        assert abs(dict(part.rows())[label] - 0.2 * count) < 1
    assert len(val) == round(0.2 * N)


def test_groups_stay_whole_and_missing_groups_stand_alone():
    train, val = split(FRAME, "group", 0.3, group="who")
    assert not set(FRAME["who"][train]) & set(FRAME["who"][val])
    alone = pl.DataFrame({"g": pl.Series([None] * 10, dtype=pl.String)})
    assert len(split(alone, "group", 0.3, group="g")[1]) == 3


def test_groups_that_are_the_target_are_held_out_by_two_with_several_rows():
    sizes = {"a": 50, "b": 40, "c": 30, "d": 20, "alone": 1}
    frame = pl.DataFrame({"who": [name for name, size in sizes.items() for _ in range(size)]})
    for seed in range(5):
        train, val = split(frame, "group", 0.1, seed, group="who", target="who")
        held = set(frame["who"][val])
        assert len(held) >= 2
        assert len(held - {"alone"}) >= 1
        assert not held & set(frame["who"][train])
        assert len(set(frame["who"][split(frame, "group", 0.01, seed, group="who")[1]])) == 1


@pytest.mark.parametrize("nothing", [None, " "])
def test_rows_without_the_target_that_is_the_group_train(nothing):
    frame = pl.DataFrame({"who": ["abcdefg"[i % 7] if i % 3 else nothing for i in range(300)]})
    for seed in range(5):
        held = set(frame["who"][split(frame, "group", 0.1, seed, group="who", target="who")[1]])
        assert len(held) >= 2
        assert nothing not in held


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_of_groups_that_are_the_target_two_are_left_to_train_on(fraction):
    frame = pl.DataFrame({"who": ["a", "b", "c", "d"] * 9 + ["d"] * 30})
    train, val = split(frame, "group", fraction, group="who", target="who")
    assert len(set(frame["who"][train])) >= 2
    assert len(set(frame["who"][val])) >= 2
    with pytest.raises(DataError, match="'who' has 3 different values, too few"):
        split(frame.filter(pl.col("who") != "d"), "group", fraction, group="who", target="who")


def test_of_groups_that_are_the_target_one_of_several_rows_is_on_each_side():
    for rows in (3, 60):  # of the two that have several: taken easily, and never at random
        names = ["a"] * rows + ["b"] * rows + [f"alone{k}" for k in range(100)]
        for seed in range(8):
            train, val = split(pl.DataFrame({"who": names}), "group", 0.2, seed, group="who", target="who")
            for side in (train, val):
                assert len({names[row] for row in side} & {"a", "b"}) == 1


def test_order_takes_the_latest_and_keeps_ties_together():
    train, val = split(FRAME, "order", 0.2, order="day")
    assert FRAME["day"][train].max() < FRAME["day"][val].min()
    words = pl.DataFrame({"d": ["03.01.2020", "01.02.2020", None, "02.01.2020"]})
    assert split(words, "order", 0.25, order="d")[1].tolist() == [1]
    iso = pl.DataFrame({"d": ["2020-03", "2021-01", "2020-12"]})
    assert split(iso, "order", 0.3, order="d")[1].tolist() == [1]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"target": "label"}, "stratified"),
        ({"target": "amount"}, "random"),
        ({"target": "who"}, "stratified"),
        ({"target": "who", "types": {"who": "number"}}, "random"),
        ({"target": "label", "group": "who"}, "group"),
        ({"target": "label", "order": "day"}, "order"),
        ({}, "random"),
    ],
)
def test_auto(options, kind):
    assert choose_split(FRAME, **options)[0] == kind
    split(FRAME, **options)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"fraction": 0.0}, PlanError, "between 0 and 1"),
        ({"fraction": 1.0}, PlanError, "between 0 and 1"),
        ({"how": "groups"}, PlanError, "did you mean 'group'"),
        ({"how": "group"}, PlanError, "role group"),
        ({"how": "order"}, PlanError, "role order"),
        ({"how": "group", "group": "whom"}, PlanError, "did you mean 'who'"),
        ({"how": "group", "group": "one"}, DataError, "one group"),
        ({"how": "order", "order": "label"}, DataError, "neither a number nor a date"),
        ({"how": "stratified", "target": "amount"}, PlanError, "a category"),
        ({"how": "stratified"}, PlanError, "no target"),
    ],
)
def test_impossible_requests(options, error, told):
    with pytest.raises(error) as raised:
        split(FRAME, **options)
    assert told in str(raised.value)
    if "fraction" not in options:
        with pytest.raises(error):
            folds(FRAME, **options)


def test_one_row_or_one_moment():
    with pytest.raises(DataError, match="at least 2"):
        split(FRAME.head(1))
    with pytest.raises(DataError, match="distinct"):
        split(pl.DataFrame({"d": [1, 1, None]}), "order", order="d")


@pytest.mark.parametrize("options", HOW)
def test_folds(options):
    made = folds(FRAME, k=4, seed=3, **options)
    assert len(made) == 4
    validated = np.concatenate([val for _, val in made])
    assert len(set(validated)) == len(validated)
    for train, val in made:
        assert not set(train) & set(val)
        if options["how"] == "order":
            assert FRAME["day"][train].max() < FRAME["day"][val].min()
        else:
            assert len(train) + len(val) == N
            assert abs(len(val) - N / 4) < 8
        if options["how"] == "group":
            assert not set(FRAME["who"][train]) & set(FRAME["who"][val])
        if options["how"] == "stratified":
            assert set(FRAME["label"][val]) == {"a", "b", "c"}
    if options["how"] != "order":
        assert len(validated) == N
    with pytest.raises(PlanError):
        folds(FRAME, k=1)
    with pytest.raises(DataError):
        folds(FRAME.head(3), k=4)
