"""Training settings that contradict one another: what was asked stands, what was chosen follows, else PlanError."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import PlanError
from ranvier.core.plan import Plan
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle

random = np.random.default_rng(0)
TABLE = pl.DataFrame({"x": random.normal(size=60), "y": ["no", "yes"] * 30})


def train(**how):
    plan = make_plan(TABLE, "y", **how)
    return plan.train, plan.why


def test_no_rows_split_off_no_refit():
    assert train()[0].refit  # a small table is trained on again
    for how in ({"split": "none"}, {"val": TABLE}):
        settings, why = train(**how)
        assert settings.refit is False
        assert "no rows are split off" in why["train.refit"].why
        with pytest.raises(PlanError, match=r"train\.refit = True needs rows split off"):
            train(refit=True, **how)
    plan = make_plan(TABLE, "y")
    plan.data.split = "none"
    plan = settle(plan)
    assert plan.train.refit is False
    plan.data.split = "random"
    assert settle(plan).train.refit
    edited = make_plan(TABLE, "y")
    edited.train.refit = False
    edited.data.split = "none"
    edited = settle(edited)
    edited.train.refit = True
    with pytest.raises(PlanError, match="needs rows split off"):
        settle(edited)


def test_inputs_that_travel_as_one_are_not_hidden():
    wide = TABLE.with_columns(v=pl.col("x") ** 2, c=pl.Series(["u", "w", "w"] * 20))
    for inputs in (["x"], ["x", "v"], ["c"]):
        told = rf"train\.without = 0\.2: the inputs \({', '.join(inputs)}\) travel as one"
        with pytest.raises(PlanError, match=told):
            make_plan(wide, "y", inputs=inputs, without=0.2)
    plan = make_plan(wide, "y", inputs=["x", "c"], without=0.2)
    assert plan.train.without == 0.2
    plan.inputs.pop("c")
    with pytest.raises(PlanError, match="travel as one"):
        settle(plan)
    stored = make_plan(wide, "y", inputs=["x", "v"])  # as an earlier version let one pass
    stored.train.without = 0.2
    stored.why["train.without"] = stored.why["train.refit"].model_copy(update={"value": 0.2})
    with pytest.raises(PlanError, match="travel as one"):
        settle(stored)


def test_nothing_waits_for_validation_that_never_comes():
    with pytest.raises(PlanError, match=r"train\.patience = 3 needs validation rows"):
        train(split="none", patience=3)
    assert train(val=TABLE, patience=3)[0].patience == 3


def test_best_that_was_asked_of_an_edited_plan_needs_rows_too():
    plan = make_plan(TABLE, "y", split="none")
    plan.train.keep = "best"
    with pytest.raises(PlanError, match=r"train\.keep = 'best' needs validation rows"):
        settle(plan)


def test_averaged_weights_are_kept_if_they_are_asked_for():
    settings, why = train(average=0.9, split="none")
    assert settings.keep == "average"
    assert why["train.keep"].why == "averaged weights were asked for"
    assert train(average=0.9, keep="best")[0].keep == "best"
    settings, why = train(keep="average")
    assert settings.average == 0.99
    assert "train.average" in why
    with pytest.raises(PlanError, match=r"train\.average = 0\.0 leaves nothing"):
        train(keep="average", average=0.0)
    with pytest.raises(PlanError, match=r"train\.keep = 'last' leaves train\.average = 0\.9 without effect"):
        train(keep="last", average=0.9)


def test_a_plan_that_gave_way_is_settled_and_survives_toml():
    for how in ({"average": 0.9, "split": "none"}, {"keep": "average"}, {"val": TABLE}):
        plan = make_plan(TABLE, "y", **how)
        assert settle(plan).to_toml() == plan.to_toml()
        assert Plan.from_toml(plan.to_toml()).to_toml() == plan.to_toml()


def test_early_stopping_keeps_the_best_weights():
    settings, _ = train(patience=3)
    assert settings.keep == "best"
    assert train(patience=3, keep="last")[0].keep == "last"
