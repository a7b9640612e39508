"""Schedules against hand values and torch's own, their sense, and the one that looks at validation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.registry import lookup, names
from ranvier.core.schema import check_options
from ranvier.train import checkpoint
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.schedules import Plateau, constant, cosine, exponential, linear, one_cycle, step, wsd
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

HALF = math.sqrt(0.5)
RUN = np.linspace(0.001, 1, 1000)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (constant(), {0.01: 1.0, 1.0: 1.0}),
        (constant(warmup=0.5), {0.1: 0.2, 0.5: 1.0, 1.0: 1.0}),
        (step(), {0.01: 1.0, 0.5: 1.0, 0.501: 0.1, 0.75: 0.1, 0.751: 0.01, 1.0: 0.01}),
        (step(factor=0.5, at=[0.9, 0.3], warmup=0.2), {0.1: 0.5, 0.3: 1.0, 0.31: 0.5, 1.0: 0.25}),
        (exponential(), {0.5: 0.1, 0.25: 10**-0.5, 1.0: 0.01}),
        (exponential(final=0.25, warmup=0.5), {0.25: 0.5, 0.5: 1.0, 0.75: 0.5, 1.0: 0.25}),
        (linear(warmup=0.2), {0.1: 0.5, 0.2: 1.0, 0.6: 0.5, 1.0: 0.0}),
        (linear(warmup=0.0, final=0.5), {0.5: 0.75, 1.0: 0.5}),
        (cosine(warmup=0.0), {0.25: 0.5 + 0.5 * HALF, 0.5: 0.5, 0.75: 0.5 - 0.5 * HALF, 1.0: 0.0}),
        (cosine(warmup=0.2, final=0.1), {0.1: 0.5, 0.6: 0.55, 1.0: 0.1}),
        (one_cycle(rise=0.4, div=5.0), {1e-9: 0.2, 0.1: 0.6 - 0.4 * HALF, 0.2: 0.6, 0.4: 1.0, 0.7: 0.5, 1.0: 0.0}),
        (one_cycle(rise=0.5, final=0.1), {0.25: 0.52, 0.75: 0.55, 1.0: 0.1}),
        (wsd(warmup=0.1, decay=0.4), {0.05: 0.5, 0.1: 1.0, 0.6: 1.0, 0.7: 0.5, 0.96: 1 - math.sqrt(0.9), 1.0: 0.0}),
        (wsd(warmup=0.0, decay=1.0, final=0.2), {0.25: 0.6, 1.0: 0.2}),
    ],
)
def test_hand_values(schedule, values):
    for t, value in values.items():
        assert schedule(t) == pytest.approx(value, abs=1e-7), t


@pytest.mark.parametrize(
    ("schedule", "top"),
    [
        (constant(warmup=0.1), 0.1),
        (step(warmup=0.1), 0.1),
        (exponential(warmup=0.1), 0.1),
        (linear(), 0.05),
        (cosine(), 0.05),
        (one_cycle(), 0.3),
        (wsd(), 0.05),
    ],
)
def test_up_to_1_then_never_up_again(schedule, top):
    factors = np.array([schedule(t) for t in RUN])
    assert ((factors >= 0) & (factors <= 1)).all()
    assert factors.max() == pytest.approx(1.0)
    before, after = factors[top >= RUN], factors[top <= RUN]
    assert (np.diff(before) > 0).all()
    assert (np.diff(after) <= 0).all()


def test_one_cycle_is_torchs():
    steps = 2_000
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=steps, pct_start=0.25, div_factor=10.0, final_div_factor=2.0, cycle_momentum=False
    )
    mine = one_cycle(rise=0.25, div=10.0, final=0.05)
    for number in range(steps):
        assert mine((number + 1) / steps) == pytest.approx(optimizer.param_groups[0]["lr"], abs=4 / steps)
        optimizer.step()
        torchs.step()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("constant", {"warmup": 5.0}),
        ("linear", {"warmup": -0.1}),
        ("linear", {"final": 1.5}),
        ("cosine", {"warmup": float("nan")}),
        ("cosine", {"warmup": "0.1"}),
        ("step", {"factor": 1.0}),
        ("step", {"factor": 10.0}),
        ("step", {"at": [0.5, 1.0]}),
        ("exponential", {"final": 0.0}),
        ("one_cycle", {"div": 0.5}),
        ("one_cycle", {"rise": 0.0}),
        ("wsd", {"decay": 0.0}),
        ("plateau", {"patience": 0}),
        ("plateau", {"factor": 0.0}),
        ("plateau", {"threshold": -1.0}),
    ],
)
def test_options_that_make_no_sense_are_refused(name, wrong):
    (option,) = wrong
    with pytest.raises(PlanError, match=rf"schedule\.{option}"):
        check_options(lookup("schedule", name), wrong, "schedule")


def test_overlap_is_refused():
    with pytest.raises(PlanError, match=r"a warm-up over 0\.6 and a decay over 0\.5 of the run overlap"):
        wsd(warmup=0.6, decay=0.5)
    assert wsd(warmup=0.9, decay=0.1)(0.9) == pytest.approx(1.0)


# ---- plateau


def seen(plateau: Plateau, values: list[float]) -> list[float]:
    """The factor after each validation."""
    factors = []
    for value in values:
        plateau.saw(value)
        factors.append(plateau(0.5))
    return factors


def test_plateau_by_hand():
    figures = [5.0, 4.0, 4.0, 3.95, 3.0, 3.1, 3.1, 3.1, 3.1, math.nan, 3.1, 2.0]
    expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]
    assert seen(Plateau(factor=0.5, patience=2, threshold=0.1, final=0.2), figures) == expected
    assert Plateau(warmup=0.5)(0.25) == 0.5


def test_plateau_is_torchs():
    figures = np.random.default_rng(0).normal(size=300).cumsum() * 0.1 - np.arange(300) * 0.01
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.7, patience=3, threshold=1e-2, threshold_mode="abs", min_lr=1e-3, eps=0.0
    )
    expected = []
    for figure in figures:
        torchs.step(figure)
        expected.append(optimizer.param_groups[0]["lr"])
    assert len({*expected}) > 10  # many reductions, down to the floor
    assert expected[-1] == 1e-3
    # torch reduces when more than `patience` were no better, Ranvier when `patience` were
    mine = seen(Plateau(factor=0.7, patience=4, threshold=1e-2, final=1e-3), figures.tolist())
    assert mine == pytest.approx(expected)


def test_plateau_goes_on_from_its_state():
    figures = [3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    expected = seen(Plateau(factor=0.5, patience=2), figures)
    for cut in range(len(figures)):
        half, again = Plateau(factor=0.5, patience=2), Plateau(factor=0.5, patience=2)
        seen(half, figures[:cut])
        again.load_state(half.state())
        assert seen(again, figures[cut:]) == expected[cut:]


def run(steps: int = 40, **options) -> Engine:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    y = x[:, 0] - x[:, 1] ** 2
    schedule = {"name": "plateau", "patience": 1, "threshold": 0.05, "factor": 0.5, **options}
    return Engine(
        NetTask(net, lambda out, y: (out[:, 0] - y).square()),
        TensorSource(x, y, batch=8, seed=3),
        Settings(steps=steps, rate=0.05, validate_every=4, schedule=schedule),
        validation=TensorSource(x, y, batch=40, shuffle=False),
    )


def test_plateau_in_the_engine_and_resumed(tmp_path):
    whole = run()
    whole.run()
    figures = [r["val_loss"] for r in whole.progress.history if "val_loss" in r]
    factors = seen(Plateau(patience=1, threshold=0.05, factor=0.5), figures)
    assert 0 < factors[-1] < 1
    lr = whole.phases[0][1].param_groups[0]["lr"]
    assert lr == pytest.approx(0.05 * factors[-2])  # what the last step was done at
    half = run()
    half.task.train()
    for number in range(22):
        half.train_step(half.source.batch(number))
        half._look()
    assert half.schedule.factor < 1
    checkpoint.save(half, tmp_path / "c.safetensors")
    again = run()
    again.load(tmp_path / "c.safetensors")
    again.run()
    for a, b in zip(whole.task.parameters(), again.task.parameters(), strict=True):
        assert torch.equal(a, b)


def test_plateau_needs_validation():
    engine = run()
    with pytest.raises(PlanError, match="needs validation rows"):
        Engine(engine.task, engine.source, engine.settings)


def test_every_schedule_is_tested_here():
    assert {*names("schedule")} == {
        "constant",
        "step",
        "exponential",
        "linear",
        "cosine",
        "one_cycle",
        "wsd",
        "plateau",
    }
