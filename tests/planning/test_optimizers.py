"""What follows in a plan from the optimizer and the schedule that were asked for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import PlanError
from ranvier.core.registry import names
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle
from ranvier.train.optimizers import DECAYS, RATES

random = np.random.default_rng(0)
TABLE = pl.DataFrame({"x": random.normal(size=60), "y": ["no", "yes"] * 30})
WORDS = pl.DataFrame({"x": ["good day", "bad night", "fine day"] * 20, "y": ["no", "yes"] * 30})


def made(**how):
    return make_plan(TABLE, "y", **how)


@pytest.mark.parametrize("name", [n for n in names("optimizer") if n != "adamw"])
def test_each_has_its_own_rate_and_decay(name):
    plan = made(optimizer=name)
    assert (plan.train.rate, plan.train.decay) == (RATES[name], DECAYS[name])
    assert name in plan.why["train.rate"].why
    assert settle(plan).to_toml() == plan.to_toml()


def test_a_step_decays_about_as_much_whatever_the_optimizer():
    shares = {name: RATES[name] * DECAYS[name] for name in RATES if name != "muon"}
    assert all(0.8e-5 < share < 6e-5 for share in shares.values()), shares


def test_gradient_descent_takes_every_row():
    plan = made(optimizer="gd")
    assert plan.train.refit
    assert plan.train.batch == 60  # validation rows too, for the second training
    assert "all 60 rows" in plan.why["train.batch"].why
    assert plan.train.epochs == 500
    assert made(optimizer="gd", refit=False).train.batch == 48
    assert made(optimizer="gd", batch=1000).train.batch == 1000
    with pytest.raises(PlanError, match=r"train\.batch = 32 but gradient descent takes all 60 rows into every step"):
        made(optimizer="gd", batch=32)
    plan.train.optimizer = "sgd"
    assert settle(plan).train.batch < 60
    plan = made()
    plan.train.optimizer = "gd"
    assert settle(plan).train.batch == 60


def test_gradient_descent_is_a_step_an_epoch():
    import ranvier as rv

    for refit in (True, False):
        model = rv.fit(TABLE, "y", optimizer="gd", epochs=7, refit=refit, threads=1, progress=False)
        assert model.history[-1]["step"] == 7


def test_schedule_free_needs_no_schedule_and_no_average():
    for table in (TABLE, WORDS):
        plan = make_plan(table, "y", optimizer="schedule_free")
        assert plan.train.schedule == {"name": "constant", "warmup": 0.05}
        assert plan.train.average == 0
        assert plan.train.keep != "average"
        assert settle(plan).to_toml() == plan.to_toml()
    assert made(optimizer="schedule_free", schedule="cosine").train.schedule["name"] == "cosine"
    for wrong in ({"average": 0.9}, {"average": "swa"}, {"keep": "average"}):
        with pytest.raises(PlanError, match="what the optimizer 'schedule_free' has averaged already"):
            made(optimizer="schedule_free", **wrong)
    for key in ("l1", "max_norm"):
        with pytest.raises(PlanError, match=rf"train\.{key} = 0\.1 acts on the weights"):
            made(optimizer="schedule_free", **{key: 0.1})


def test_plateau_needs_validation_rows_to_the_end():
    plan = made(schedule="plateau")
    assert plan.train.refit is False
    assert "plateau" in plan.why["train.refit"].why
    assert made(schedule="plateau", val=TABLE).train.schedule["patience"] == 3
    with pytest.raises(PlanError, match=r"train\.schedule = 'plateau' needs validation rows"):
        made(schedule="plateau", split="none")
    with pytest.raises(PlanError, match=r"train\.refit = True leaves the second training without"):
        made(schedule="plateau", refit=True)


def test_options_that_make_no_sense_are_refused_at_once():
    for wrong, match in (
        ({"schedule": {"name": "linear", "warmup": 5.0}}, r"train\.schedule\.warmup = 5\.0"),
        ({"schedule": {"name": "wsd", "warmup": 0.5, "decay": 0.6}}, "overlap"),
        ({"schedule": {"name": "step", "at": [0.5, 2.0]}}, r"train\.schedule\.at"),
        ({"optimizer": {"name": "adam", "betas": [0.9]}}, r"train\.optimizer\.betas"),
        ({"optimizer": {"name": "lion", "momentum": 0.9}}, "unknown option 'momentum'"),
        ({"optimizer": "lyon"}, "did you mean 'lion'"),
    ):
        with pytest.raises(PlanError, match=match):
            made(**wrong)


@pytest.mark.parametrize("name", names("schedule"))
def test_every_schedule_by_name(name):
    plan = made(schedule=name)
    assert plan.train.schedule["name"] == name
    assert settle(plan).to_toml() == plan.to_toml()
