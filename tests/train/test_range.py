"""The learning-rate range test: its curve by hand, no trace of it, where it ends, what it suggests, its picture."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from torch import nn

from ranvier.core.errors import DataError, PlanError, RunError
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.range_curve import RangeTest
from ranvier.train.range_test import exploded, range_test
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

RATES = np.geomspace(1e-7, 10, 100).tolist()


def squared(out, y):
    return (out[:, 0] - y).square()


def engine(optimizer="adamw", **settings) -> Engine:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    y = x[:, 0] - x[:, 1] ** 2
    held = TensorSource(x, y, batch=60, shuffle=False)
    made = Settings(steps=30, rate=0.01, optimizer={"name": optimizer}, validate_every=5, **settings)
    return Engine(NetTask(net, squared), TensorSource(x, y, batch=12, seed=3), made, validation=held)


def test_the_curve_of_a_parabola_is_the_one_by_hand():
    net = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(net.weight, 3.0)
    source = TensorSource(torch.ones(4, 1).double(), torch.ones(4).double(), batch=4)
    settings = Settings(steps=1, optimizer={"name": "gd"}, watch=False)
    found = range_test(Engine(NetTask(net, squared), source, settings), source)
    weight, losses = 3.0, []
    for rate in RATES[: len(found.rates)]:
        weight -= rate * 2 * (weight - 1)
        losses.append((weight - 1) ** 2)
    assert found.rates == pytest.approx(RATES[: len(losses)])
    assert found.start == 4.0
    assert found.losses == pytest.approx(losses, rel=1e-9)
    assert found.losses[-1] > 8.0 >= max(found.losses[:-1])  # it ends where the loss explodes
    assert 0.01 < found.rate < 0.5  # 0.5 leads to the bottom in one step, 1 is where steps diverge


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "schedule_free", "momentum"])
def test_it_leaves_no_trace(optimizer):
    average = 0.0 if optimizer == "schedule_free" else 0.9
    tested, other = (engine(optimizer, average=average, keep="best", schedule={"name": "plateau"}) for _ in range(2))
    for run in (tested, other):  # not at the start only
        run.task.train()
        for number in range(5):  # and what is not yet logged would be dropped
            run.train_step(run.source.batch(number))
            run._look()
    tested.task.eval()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    range_test(tested, tested.source)
    assert torch.equal(torch.get_rng_state(), before)
    assert not tested.task.training
    assert all(p.grad is None for p in tested.task.parameters())
    for run in (tested, other):
        run.run()
    for (name, a), b in zip(tested.task.state_dict().items(), other.task.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert [r["loss"] for r in tested.progress.history] == [r["loss"] for r in other.progress.history]


def test_it_leaves_no_trace_when_it_fails():
    run = engine()
    weights = [p.detach().clone() for p in run.task.parameters()]

    class Ends:
        def batch(self, number):
            if number == 5:
                raise OSError("gone")
            return run.source.batch(number)

    with pytest.raises(OSError, match="gone"):
        range_test(run, Ends())
    assert all(torch.equal(p, before) for p, before in zip(run.task.parameters(), weights, strict=True))
    assert run.progress.step == 0


def test_micro_batches_change_nothing_but_rounding():
    torch.manual_seed(0)
    net = nn.Linear(3, 1)
    source = TensorSource(torch.randn(50, 3), torch.randn(50), batch=10)
    whole, cut = (
        range_test(Engine(NetTask(net, squared), source, Settings(steps=1, micro=micro)), source) for micro in (0, 3)
    )
    assert whole.losses[:80] == pytest.approx(cut.losses[:80], rel=1e-4)


def test_neither_other_batches_nor_dropout_show_in_the_curve():
    found = range_test(engine(), engine().source)
    assert found.losses[:15] == pytest.approx([found.start] * 15, rel=1e-3)


def test_the_same_twice():
    assert range_test(engine(), engine().source) == range_test(engine(), engine().source)


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([2.0, 1.9], False),
        ([2.0, 3.9], False),
        ([2.0, 4.1], True),
        ([2.0, math.nan], True),
        ([2.0, math.inf], True),
        ([-1.0, -5.0, 2.9], False),  # a likelihood may be negative
        ([-1.0, -5.0, 3.1], True),
        ([0.0, 0.0], False),
    ],
)
def test_where_it_ends(losses, ends):
    assert exploded(losses) == ends


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.1}, {"steps": 5}])
def test_rates_in_no_order_are_refused(wrong):
    with pytest.raises(PlanError, match="a range test from rate"):
        range_test(engine(), engine().source, **wrong)


# ---- what is seen in it


def made(fall: float = 1.0, noise: float = 0.0) -> RangeTest:
    """A loss of 2 that falls by `fall` about rate 0.01, and explodes at 1."""
    steps = np.log10(RATES)
    losses = 2.0 - fall / (1.0 + np.exp(-4 * (steps + 2))) + np.exp(8 * (steps - 0.2))
    losses += noise * np.random.default_rng(0).normal(size=100)
    return RangeTest(RATES[:95], losses[:95].tolist(), 2.0)


def test_the_rate_is_where_the_loss_falls_fastest():
    assert made().rate == pytest.approx(0.01, rel=0.25)
    assert made(noise=0.05).rate == pytest.approx(0.01, rel=0.5)
    found = made()
    worse = RangeTest([*found.rates, 9.0, 9.5], [*found.losses, 1e30, math.nan], 2.0)
    assert worse.rate == found.rate
    assert len(worse.smooth) == len(found.losses) + 1


@pytest.mark.parametrize(("at", "height"), [(20, 3.9), (85, 1.9)])
def test_a_fall_from_a_peak_does_not_count(at, height):
    found = made(fall=0.9)
    losses = [*found.losses[:70], *[1.1] * 25]
    losses[at : at + 6] = [height] * 6
    assert RangeTest(RATES[:95], losses, 2.0).rate == found.rate


@pytest.mark.parametrize("losses", [[2.0] * 30, [2.0 + k for k in range(30)], [math.nan]])
def test_no_fall_no_rate(losses, tmp_path):
    found = RangeTest(RATES[: len(losses)], losses, 2.0)
    with pytest.raises(RunError, match="at no learning rate from 1e-07"):
        found.rate  # noqa: B018
    assert "no rate to suggest" in str(found)
    ET.parse(found.save(tmp_path / "lr.svg"))


def test_text():
    curve, axis, said = str(made()).splitlines()
    assert curve.startswith("loss  ▇▇▇")
    assert curve.split()[1][-1] == "█"
    assert "▁" in curve
    assert "2 at the start, 1.007 at its lowest" in curve
    assert axis.split() == ["rate", "1e-07", "3.9", "95", "steps"]
    assert said.startswith(f"suggested rate: {made().rate:g}")


def test_picture(tmp_path):
    path = made().save(tmp_path / "lr.svg")
    tree = ET.parse(path).getroot()
    drawn = [element.tag.rpartition("}")[2] for element in tree.iter()]
    assert drawn.count("polyline") == 1
    assert 85 <= drawn.count("circle") <= 95  # all but what is far above the frame
    texts = [element.text for element in tree.iter() if element.tag.endswith("text")]
    assert f"suggested: {made().rate:g}" in texts
    assert {"1e-07", "0.001", "1", "learning rate", "training loss"} <= {*texts}
    numbers = [float(n) for e in tree.iter() for n in (e.get("cx"), e.get("x1"), e.get("x2")) if n]
    assert all(0 <= n <= 640 for n in numbers)
    with pytest.raises(DataError, match=r"name it such as 'lr\.svg'"):
        made().save(tmp_path / "lr.png")
    with pytest.raises(DataError, match="cannot write"):
        made().save(tmp_path / "nowhere" / "lr.svg")
