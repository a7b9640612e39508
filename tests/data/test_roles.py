"""Roles: what is said, what is seen, what is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import DataError, PlanError
from ranvier.data.roles import assign_roles, check_weight, id_reason, missing_targets

N = 40
RNG = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "row": np.arange(N),
        "x": RNG.normal(size=N),
        "w": RNG.uniform(size=N),
        "same": ["s"] * N,
        "gone": pl.Series([None] * N, dtype=pl.String),
        "y": RNG.choice(["a", "b"], N),
    }
)
TYPES = {"row": "number", "x": "number", "w": "number", "same": "category", "gone": "category", "y": "category"}


def roles_of(*args, **kwargs):
    return {name: role.role for name, role in assign_roles(FRAME, TYPES, *args, **kwargs).items()}


def test_defaults_have_reasons():
    made = assign_roles(FRAME, TYPES, "y")
    assert [r.role for r in made.values()] == ["id", "input", "input", "ignore", "ignore", "target"]
    assert made["row"].reason == "counts the rows"
    assert "every value is 's'" in made["same"].reason
    assert "missing" in made["gone"].reason


def test_what_is_said_wins():
    assert roles_of("y", roles={"w": "weight", "row": "input"})["row"] == "input"
    assert roles_of("y", roles={"w": "weight"})["w"] == "weight"
    named = roles_of("y", ["row", "same"], {"w": "weight"})
    assert named == {"row": "input", "x": "ignore", "w": "weight", "same": "input", "gone": "ignore", "y": "target"}
    assert "input" not in roles_of("y", []).values()
    assert roles_of((), roles={"y": "target"})["y"] == "target"
    assert roles_of(["x", "y"])["x"] == "target"


def test_target_as_input_only_by_name():
    made = assign_roles(FRAME, TYPES, "x", ["x"])
    assert made["x"].role == "target"
    assert made["x"].also_input
    assert not assign_roles(FRAME, TYPES, "x")["x"].also_input


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("z",), "target: no column 'z'"),
        (("y", ["xx"]), "input: no column 'xx'"),
        (("y", None, {"ww": "weight"}), "did you mean 'w'"),
        (("y", None, {"w": "weigth"}), "did you mean 'weight'"),
        ((["y", "y"],), "'y' is named twice"),
        (("y", ["x", "x"]), "'x' is named twice"),
        (("y", None, {"w": "weight", "x": "weight"}), "only one column"),
        (("y", None, {"y": "weight"}), "named as target"),
        (("y", ["w"], {"w": "weight"}), "named as input"),
        (("y", ["w"], {"x": "input"}), "leaves it out"),
        (("y", None, {"x": "target"}), "name it there"),
        (("y", None, {"x": "ignore", "w": "weight"}), "no column is left as input"),
    ],
)
def test_refuses(args, told):
    with pytest.raises(PlanError) as error:
        assign_roles(FRAME, TYPES, *args)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1.0, -0.5], "row 1: -0.5"),
        ([None, 1.0], "row 0: None"),
        ([1.0, float("inf")], "row 1: inf"),
        ([float("nan"), 1.0], "row 0: nan"),
        (["a", "b"], "not numbers"),
        ([0, 0], "0 in every row"),
    ],
)
def test_weights(values, told):
    with pytest.raises(DataError) as error:
        check_weight(pl.Series("w", values))
    assert told in str(error.value)
    check_weight(pl.Series("w", [0, 1, 2]))
    check_weight(pl.Series("w", [True, False]))


def test_weight_role_is_checked():
    frame = FRAME.with_columns(w=-pl.col("w"))
    with pytest.raises(DataError, match="weight column 'w', row 0"):
        assign_roles(frame, TYPES, "y", roles={"w": "weight"})


def series(name, values):
    return pl.Series(name, values)


@pytest.mark.parametrize(
    ("column", "is_id"),
    [
        (series("n", list(range(100, 140))), True),
        (series("n", list(range(40, 0, -1))), True),
        (series("n", RNG.permutation(40)), False),  # distinct by chance or design, and no name says id
        (series("customer_id", RNG.permutation(4000)[:40]), True),
        (series("id", [3, 1, 2]), True),
        (series("paid", RNG.permutation(4000)[:40]), False),
        (series("n", np.arange(40) * 0.5), False),
        (series("n", np.arange(40) * 2), False),
        (series("n", [1, 1, *range(2, 40)]), False),
        (series("n", list(range(5))), False),
        (series("u", [f"123e4567-e89b-12d3-a456-42661417{i:04x}" for i in range(5)]), True),
        (series("u", [f"{i * 7919:010x}" for i in range(1, 41)]), True),
        (series("u", [f"A-{i:04}" for i in range(40)]), True),
        (series("u", [f"user_{i}" for i in range(40)]), True),
        (series("u", [f"{i:03}" for i in range(40)]), True),
        (series("t", [f"this is sentence {i}" for i in range(40)]), False),
        (series("t", [f"pictures/{i}.png" for i in range(40)]), False),
        (series("t", [f"{i}.png" for i in range(40)]), False),
        (series("t", [f"2020-01-{i + 1:02}" for i in range(31)]), False),
        (series("name", ["Anna", "Bert", "Cleo", "Dora", "Emil"] * 1), False),
        (series("name", [chr(97 + i) * 5 for i in range(26)]), False),
        (series("country_id", [chr(97 + i) * 5 for i in range(26)]), True),
    ],
)
def test_ids(column, is_id):
    assert bool(id_reason(column)) == is_id


def test_missing_targets_are_counted():
    frame = pl.DataFrame({"y": [1, None, 2], "z": [None, None, None], "x": [1, 2, 3]})
    assert missing_targets(frame, ["x"]) == []
    assert "missing in 1 of 3 rows" in missing_targets(frame, ["y"])[0]
    with pytest.raises(DataError, match="no value"):
        missing_targets(frame, ["z"])
