"""Folds in a plan: what they follow from, what they exclude, and what they change."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import DataError, PlanError
from ranvier.core.plan import Plan
from ranvier.planning import about
from ranvier.planning.frames import fold_rows, load, training_rows
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle

random = np.random.default_rng(0)
TABLE = pl.DataFrame(
    {
        "x": random.normal(size=60),
        "y": ["no", "yes"] * 30,
        "z": random.normal(size=60),
        "g": [f"g{i % 12}" for i in range(60)],
        "t": np.arange(60),
    }
)


def planned(target="y", **how) -> Plan:
    return make_plan(TABLE, target, **{"inputs": ["x"], "folds": 5, **how})


def test_folds_stand_in_the_plan_with_their_reason():
    plan = planned()
    assert (plan.data.folds, plan.why["data.folds"].why) == (5, "as asked")
    assert (plan.data.split, plan.data.fraction) == ("stratified", 0.2)
    assert plan.why["data.fraction"].why == "each of the 5 folds is held out once"
    assert plan.train.refit is False
    assert "each row is trained on by all networks but one" in plan.why["train.refit"].why
    assert plan.train.calibrate is True
    assert settle(plan).to_toml() == plan.to_toml()
    assert Plan.from_toml(plan.to_toml()).to_toml() == plan.to_toml()
    assert planned("z").data.split == "random"
    assert planned("z").train.calibrate is False
    off = make_plan(TABLE, "y")
    assert (off.data.folds, off.why["data.folds"].why, off.train.calibrate) == (0, "one network", False)


@pytest.mark.parametrize("off", [0, 1])
def test_one_fold_or_none_changes_nothing(off):
    plan, usual = planned(folds=off), make_plan(TABLE, "y", inputs=["x"])
    assert not plan.data.folded
    assert {k: v for k, v in plan.leaves().items() if k != "data.folds"} == {
        k: v for k, v in usual.leaves().items() if k != "data.folds"
    }


def test_folds_put_into_a_plan_and_taken_out_again():
    plan = make_plan(TABLE, "y", inputs=["x"])
    before = plan.leaves()
    plan.data.folds = 5
    with_folds = settle(plan)
    assert with_folds.leaves() == planned().leaves()
    with_folds.data.folds = 0
    assert settle(with_folds).leaves() == before


def test_every_row_is_held_out_once():
    for how in ({}, {"roles": {"g": "group", "z": "ignore", "t": "ignore"}}, {"split": "random"}):
        plan = planned(**how)
        pairs = fold_rows(plan, load(plan))
        assert len(pairs) == 5
        assert sorted(np.concatenate([held for _, held in pairs])) == list(range(60))
        train, held = training_rows(plan, load(plan))
        np.testing.assert_array_equal(train, pairs[0][0])
        np.testing.assert_array_equal(held, pairs[0][1])


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"val": TABLE}, r"data\.folds = 5, but validation rows were given apart \(val=\); choose one"),
        ({"split": "none"}, r"data\.folds = 5: each network validates on its own fold"),
        ({"split": "order", "roles": {"t": "order"}}, r"rows in order \('t'\) make no folds.*use folds=0"),
        ({"roles": {"t": "order"}}, r"rows in order \('t'\) make no folds.*split='random'"),
        ({"fraction": 0.3}, r"data\.fraction = 0\.3: with data\.folds = 5 each fold holds out its share"),
        ({"refit": True}, r"train\.refit = True contradicts data\.folds = 5"),
        ({"folds": -1}, r"data\.folds = -1|folds = -1"),
        ({"folds": 2.5}, r"folds = 2\.5"),
    ],
)
def test_what_folds_exclude(how, match):
    with pytest.raises(PlanError, match=match):
        planned(**how)


def test_data_that_make_no_folds():
    with pytest.raises(DataError, match="60 rows cannot make 70 folds"):
        planned(folds=70)
    with pytest.raises(DataError, match="12 groups cannot make 20 folds"):
        planned(folds=20, roles={"g": "group"})
    lone = TABLE.with_columns(y=pl.when(pl.col("t") == 4).then(pl.lit("yes")).otherwise(pl.lit("no")))
    with pytest.raises(DataError, match=r"target 'y' has only one class in the 48 training rows"):
        make_plan(lone, "y", inputs=["x"], folds=5)


def test_rows_in_order_may_be_folded_at_random_if_that_is_asked():
    assert planned(split="random", roles={"t": "order"}).data.split == "random"


def test_calibration_needs_classes_and_rows_held_out():
    assert planned(folds=0, calibrate=True).train.calibrate is True
    assert planned(calibrate=False).train.calibrate is False
    assert make_plan(TABLE, "y", inputs=["x"], val=TABLE, calibrate=True).train.calibrate is True
    for target, how in (("z", {}), ("y", {"folds": 0, "split": "none"})):
        with pytest.raises(PlanError, match=r"train\.calibrate = True needs a target that is a category"):
            planned(target, calibrate=True, **how)


def test_calibration_is_chosen_where_it_was_measured_to_help():
    def chosen(target="y", head=None, **how):
        plan = make_plan(TABLE, target, inputs=["x"], **how)
        if head:
            plan.targets[target].head = {"name": "category", **head}
            plan = settle(plan)
        return plan.train.calibrate, plan.why["train.calibrate"].why

    assert chosen() == (False, "so few rows tell little of probabilities that are nearly right")
    assert chosen("g")[0]  # twelve classes, whose labels are smoothed
    assert chosen("g", {"smoothing": 0.0})[0] is False
    assert chosen(head={"smoothing": 0.1})[0]
    assert chosen(head={"loss": "focal"})[0]
    assert chosen("z") == (False, "no target is a category")
    assert chosen("g", split="none") == (False, "no rows are held out to tell")
    assert chosen(folds=5) == (True, "every row tells, by a network that never saw it")


def test_parts_choose_for_their_share_of_time_and_rows(monkeypatch):
    told = []
    usual = about.Facts
    monkeypatch.setattr(about, "Facts", lambda **how: told.append(how) or usual(**how))
    plan = planned(time=10.0)
    assert plan.train.time == 10.0
    assert (told[0]["seconds"], told[0]["rows"]) == (2.0, 48)
    planned(folds=0)
    assert told[1]["seconds"] is None
