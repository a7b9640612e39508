"""The range test of a plan: any kind of network, repeatable, without a trace."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from model.made import TARGETS, mixed, table

import ranvier as rv
from ranvier.core.errors import PlanError
from ranvier.planning.settle import settle


def test_of_every_type_of_column():
    found = rv.find_lr(mixed(40), TARGETS, size="s", threads=1, steps=20, lowest=1e-5)
    assert 1e-5 < found.rate < 10
    assert min(found.losses) < 0.9 * found.start


@pytest.mark.parametrize("encoder", ["bag", "rnn", "lstm", "gru", "transformer"])
def test_of_texts(encoder):
    plan = rv.plan(mixed(40), "kind", inputs=["said"], size="s", threads=1)
    plan.inputs["said"].encoder = encoder
    found = rv.find_lr(plan, steps=20, lowest=1e-4)
    assert 1e-4 < found.rate < 10


def test_it_is_repeatable_and_touches_nothing():
    plan = rv.plan(table(), "y", inputs=["a", "b", "c"], threads=1)
    before, random = plan.to_toml(), torch.get_rng_state()
    one, other = rv.find_lr(plan, steps=30), rv.find_lr(plan, steps=30)
    assert one == other
    assert plan.to_toml() == before
    assert torch.equal(torch.get_rng_state(), random)
    plan.train.rate = one.rate
    assert settle(plan).train.rate == one.rate
    assert settle(plan).why["train.rate"].why == "as asked"


def test_settings_and_plan():
    found = rv.find_lr(table(), "y", optimizer="lion", threads=1, steps=30)
    assert found.rates[0] == 1e-7
    with pytest.raises(PlanError, match="takes no target or settings"):
        rv.find_lr(rv.plan(table(), "y"), "y")


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "plateau"},
        {"optimizer": "gd"},
        {"optimizer": "schedule_free"},
        {"average": 0.9, "keep": "average"},
        {"split": "none"},
        {"folds": 3},
        {"l1": 0.01},
    ],
)
def test_with_settings_that_wait_for_later_steps(settings):
    assert 1e-7 < rv.find_lr(table(), "y", inputs=["a", "b"], threads=1, steps=40, **settings).rate < 10


def test_a_loss_that_cannot_fall():
    frame = pl.DataFrame({"x": [1.0, 2.0] * 30, "y": ["p", "p", "q", "q"] * 15})
    found = rv.find_lr(frame, "y", threads=1, steps=30)
    assert "suggest" in str(found)  # a rate or none, but no error
