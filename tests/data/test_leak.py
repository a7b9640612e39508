"""The leak test finds what gives a target away, and is calm about what merely helps."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from ranvier.data.leak import leaks
from ranvier.data.read import read
from ranvier.data.roles import assign_roles
from ranvier.samples import path

RNG = np.random.default_rng(0)
N = 400


def found(columns, targets, types):
    frame = pl.DataFrame(columns)
    inputs = [name for name in frame.columns if name not in targets]
    return {(leak.input, leak.target) for leak in leaks(frame, inputs, targets, types)}


def test_numbers_words_and_blanks_give_a_class_away():
    y = RNG.integers(0, 2, N)
    score = np.where(y == 1, 1, -1) * RNG.uniform(0.1, 4, N)
    columns = {
        "score": score,
        "good": score + RNG.normal(size=N) * 1.5,
        "code": np.where(y == 1, RNG.choice(["p", "q"], N), RNG.choice(["r", "s"], N)),
        "died": [None if flag else 3.0 for flag in y],
        "noise": RNG.normal(size=N),
        "name": [f"n{i}" for i in range(N)],
        "when": pl.Series(np.where(y == 1, 10_000, 20_000) + RNG.integers(0, 5000, N)).cast(pl.Int32).cast(pl.Date),
        "y": y.astype(str),
    }
    types = dict.fromkeys(columns, "number") | {"code": "category", "name": "text", "when": "date", "y": "category"}
    assert {name for name, _ in found(columns, ["y"], types)} == {"score", "code", "died", "when"}


def test_functions_of_one_input_give_a_number_away():
    x = RNG.normal(size=N)
    columns = {
        "x": x,
        "cents": 100 * np.exp(x),
        "near": x + RNG.normal(size=N) * 0.3,
        "kind": np.where(x > 0, "a", "b"),
        "y": np.exp(3 * x),
        "other": RNG.normal(size=N),
    }
    types = dict.fromkeys(columns, "number") | {"kind": "category"}
    pairs = found(columns, ["y", "other"], types)
    assert pairs == {("x", "y"), ("cents", "y")}


def test_a_rare_class_needs_more_than_its_base_rate():
    y = np.array(["no"] * 390 + ["yes"] * 10)
    columns = {"noise": RNG.normal(size=N), "flag": (y == "yes") * 1.0, "y": y}
    types = {"noise": "number", "flag": "number", "y": "category"}
    assert found(columns, ["y"], types) == {("flag", "y")}


def test_copies_few_rows_and_all_distinct_classes():
    text = [f"a long sentence, number {i}" for i in range(N)]
    types = {"a": "text", "b": "text", "c": "category", "d": "category"}
    assert found({"a": text, "b": text}, ["b"], types) == {("a", "b")}
    assert found({"a": [1.0, 2.0] * 5, "c": ["u", "v"] * 5}, ["c"], types | {"a": "number"}) == set()
    assert found({"d": text, "c": list(range(N))}, ["c"], types) == set()


def test_the_sentence_names_both_and_strongest_comes_first():
    y = RNG.integers(0, 2, N)
    slip = np.where(np.arange(N) < 3, 1 - y, y)
    frame = pl.DataFrame({"slip": slip, "same": y, "y": y.astype(str)})
    types = {"slip": "number", "same": "number", "y": "category"}
    made = leaks(frame, ["slip", "same"], ["y"], types)
    assert [leak.input for leak in made] == ["same", "slip"]
    assert made[0].strength == 1.0
    assert "'slip' alone predicts 'y' in 99" in made[1].sentence
    assert leaks(frame, ["y"], ["y"], types) == []


def kinds(frame, target, task):
    types = {name: "category" if dtype == pl.String else "number" for name, dtype in frame.schema.items()}
    return types | ({target: "category"} if task == "classification" else {})


def test_on_the_samples():
    frame = read(path("snippets_train")).frame
    types = {"text": "text", "score": "number", "sentiment": "category"}
    assert [leak.input for leak in leaks(frame, ["text", "score"], ["sentiment"], types)] == ["score"]
    frame = read(path("penguins")).frame
    assert leaks(frame, frame.columns[1:], ["species"], kinds(frame, "species", "classification")) == []


@pytest.mark.slow
def test_no_false_alarm_on_real_tables(real_data):
    tables = json.loads((real_data / "tabular.json").read_text())
    for name, about in tables.items():
        frame, target = read(real_data / name).frame, about["target"]
        types = kinds(frame, target, about["task"])
        inputs = [n for n, role in assign_roles(frame, types, target).items() if role.role == "input"]
        assert leaks(frame, inputs, [target], types) == [], name
        assert "id" not in {role.role for role in assign_roles(frame, types, target).values()}, name


def test_an_infinity_is_no_value():
    x = RNG.normal(size=N)
    columns = {"copy": 3 * x, "noise": RNG.normal(size=N), "y": x}
    columns["y"][3], columns["copy"][5], columns["noise"][7] = np.inf, -np.inf, np.inf
    assert found(columns, ["y"], dict.fromkeys(columns, "number")) == {("copy", "y")}
