"""Each optimizer against its formula in float64, the laws of weight decay, and schedule-free weights in the engine."""

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
from ranvier.train.lion import Lion
from ranvier.train.muon import Muon
from ranvier.train.optimizers import DECAYS, RATES, Evaluates
from ranvier.train.plain import NetTask
from ranvier.train.schedule_free import ScheduleFree
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

RANDOM = np.random.default_rng(5)
START, TARGET, CURVE = RANDOM.normal(size=(3, 2, 3))
CURVE = 0.5 + CURVE**2  # of the quadratic sum of CURVE / 2 (p - TARGET)^2
STEPS, RATE = 7, 0.07


def slope(p):
    return CURVE * (p - TARGET)


def group(p, rate=RATE, decay=0.0):
    return [{"params": [p], "lr": rate, "scale": 1.0, "shrinks": True, "decay": decay, "weight_decay": 0.0}]


# ---- formulas, a step at a time, in numpy


def plain():
    p = START
    for _ in range(STEPS):
        p = p - RATE * slope(p)
    return p


def heavy_ball(look_ahead):
    p, v = START, 0.0
    for _ in range(STEPS):
        g = slope(p)
        v = 0.8 * v + g
        p = p - RATE * (g + 0.8 * v if look_ahead else v)
    return p


def adagrad():
    p, s = START, 0.0
    for _ in range(STEPS):
        g = slope(p)
        s = s + g**2
        p = p - RATE * g / (np.sqrt(s) + 1e-10)
    return p


def adadelta():
    p, s, u = START, 0.0, 0.0
    for _ in range(STEPS):
        g = slope(p)
        s = 0.95 * s + 0.05 * g**2
        d = g * np.sqrt(u + 1e-4) / np.sqrt(s + 1e-4)
        u = 0.95 * u + 0.05 * d**2
        p = p - RATE * d
    return p


def rmsprop():
    p, s, v = START, 0.0, 0.0
    for _ in range(STEPS):
        g = slope(p)
        s = 0.9 * s + 0.1 * g**2
        v = 0.5 * v + g / (np.sqrt(s) + 1e-3)
        p = p - RATE * v
    return p


def adam(decay=0.0):
    p, m, s = START, 0.0, 0.0
    for t in range(1, STEPS + 1):
        g = slope(p)
        m, s = 0.8 * m + 0.2 * g, 0.9 * s + 0.1 * g**2
        p = p * (1 - RATE * decay)
        p = p - RATE * (m / (1 - 0.8**t)) / (np.sqrt(s / (1 - 0.9**t)) + 1e-3)
    return p


def nadam(decay=0.0):
    p, m, s, product = START, 0.0, 0.0, 1.0
    weights = [0.8 * (1 - 0.5 * 0.96 ** (t * 0.1)) for t in range(STEPS + 2)]
    for t in range(1, STEPS + 1):
        g = slope(p)
        m, s = 0.8 * m + 0.2 * g, 0.9 * s + 0.1 * g**2
        product *= weights[t]
        ahead = weights[t + 1] * m / (1 - product * weights[t + 1]) + (1 - weights[t]) * g / (1 - product)
        p = p * (1 - RATE * decay) - RATE * ahead / (np.sqrt(s / (1 - 0.9**t)) + 1e-3)
    return p


def lion(decay=0.0):
    p, m = START, 0.0
    for _ in range(STEPS):
        g = slope(p)
        p = p * (1 - RATE * decay) - RATE * np.sign(0.8 * m + 0.2 * g)
        m = 0.95 * m + 0.05 * g
    return p


def schedule_free(decay=0.0, rates=(RATE,) * STEPS):
    """y, x and z at the end."""
    x, y, z, s = START, START, START, 0.0
    for t, rate in enumerate(rates, 1):
        g = slope(y)
        s = 0.9 * s + 0.1 * g**2
        z = z - rate * (g / (np.sqrt(s / (1 - 0.9**t)) + 1e-3) + decay * y)
        c = rate**2 / sum(r**2 for r in rates[:t])
        x = (1 - c) * x + c * z
        y = (1 - 0.8) * z + 0.8 * x
    return y, x, z


BETAS = {"betas": [0.8, 0.9], "eps": 1e-3}
FORMULAS = {
    "gd": ({}, plain),
    "sgd": ({}, plain),
    "momentum": ({"momentum": 0.8}, lambda: heavy_ball(False)),
    "nesterov": ({"momentum": 0.8}, lambda: heavy_ball(True)),
    "adagrad": ({}, adagrad),
    "adadelta": ({"rho": 0.95, "eps": 1e-4}, adadelta),
    "rmsprop": ({"alpha": 0.9, "momentum": 0.5, "eps": 1e-3}, rmsprop),
    "adam": (BETAS, adam),
    "adamw": (BETAS, adam),
    "nadam": ({**BETAS, "momentum_decay": 0.1}, nadam),
    "lion": ({"betas": [0.8, 0.95]}, lion),
    "schedule_free": (BETAS, lambda: schedule_free()[0]),
}
CLOSE = {"nadam": 1e-6}  # torch keeps the product of its weights in float32
OWN_DECAY = {"adam": adam, "adamw": adam, "nadam": nadam, "lion": lion, "schedule_free": lambda d: schedule_free(d)[0]}


def walk(name, options, decay=0.0, rates=(RATE,) * STEPS):
    p = nn.Parameter(torch.from_numpy(START.copy()))
    optimizer = lookup("optimizer", name)(group(p, decay=decay), **options)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        p.grad = torch.from_numpy(slope(p.detach().numpy()))
        optimizer.step()
    return p.detach().numpy(), optimizer


def test_every_optimizer_has_a_formula_here_a_rate_and_a_decay():
    assert {*FORMULAS, "muon"} == {*names("optimizer")} == {*RATES} == {*DECAYS}  # muon: test_muon.py


@pytest.mark.parametrize("name", FORMULAS)
def test_steps_are_those_of_the_formula(name):
    options, formula = FORMULAS[name]
    np.testing.assert_allclose(walk(name, options)[0], formula(), rtol=CLOSE.get(name, 1e-12))


@pytest.mark.parametrize("name", OWN_DECAY)
def test_own_decay_is_apart_from_the_gradient(name):
    np.testing.assert_allclose(
        walk(name, FORMULAS[name][0], decay=0.3)[0], OWN_DECAY[name](0.3), rtol=CLOSE.get(name, 1e-12)
    )


def test_schedule_free_averages_by_the_square_of_the_rate():
    rates = (0.01, 0.02, 0.05, 0.05, 0.03, 0.0)
    y, optimizer = walk("schedule_free", BETAS, 0.2, rates)
    expected = schedule_free(0.2, rates)
    ((p, state),) = optimizer.state.items()
    for got, wanted in zip((y, state["x"], state["z"]), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
    assert state["total"] == pytest.approx(sum(r**2 for r in rates))
    trained, averaged = p.detach().clone(), state["x"].clone()
    optimizer.swap()
    assert torch.equal(p.detach(), averaged)
    optimizer.swap()
    assert torch.equal(p.detach(), trained)


def test_schedule_free_without_interpolation_is_the_mean_of_adamw():
    p, q = nn.Parameter(torch.from_numpy(START.copy())), nn.Parameter(torch.from_numpy(START.copy()))
    free = lookup("optimizer", "schedule_free")(group(p, decay=0.1), betas=[0.0, 0.9])
    reference = torch.optim.AdamW([q], lr=RATE, betas=(0.0, 0.9), weight_decay=0.1)
    passed = []
    for _ in range(STEPS):
        for parameter, optimizer in ((p, free), (q, reference)):
            parameter.grad = torch.from_numpy(slope(parameter.detach().numpy()))
            optimizer.step()
        passed.append(q.detach().clone())
        torch.testing.assert_close(p.detach(), passed[-1], rtol=1e-12, atol=1e-14)
    free.swap()
    torch.testing.assert_close(p.detach(), torch.stack(passed).mean(0), rtol=1e-12, atol=1e-14)


def test_a_first_step_of_rate_0_moves_nothing():
    assert np.array_equal(walk("schedule_free", {}, 0.1, (0.0, 0.0))[0], START)


def test_options_are_checked():
    for name, wrong in (
        ("adam", {"betas": [0.9]}),
        ("adam", {"betas": [0.9, 1.0]}),
        ("lion", {"betas": [0.9, 0.99, 0.999]}),
        ("nesterov", {"momentum": 0.0}),
        ("momentum", {"momentum": 1.0}),
        ("adadelta", {"rho": 1.5}),
        ("schedule_free", {"eps": 0.0}),
        ("muon", {"iterations": 0}),
        ("nadam", {"momentum_decay": -1.0}),
    ):
        with pytest.raises(PlanError, match=f"optimizer.{next(iter(wrong))} = "):
            check_options(lookup("optimizer", name), wrong, "optimizer")


@pytest.mark.parametrize("kind", [Lion, Muon, ScheduleFree])
def test_our_own_are_made_as_torchs_are(kind):
    net = nn.Linear(3, 1)
    optimizer = kind(net.parameters(), lr=0.01, betas=(0.9, 0.95))
    x, y = torch.randn(50, 3), torch.randn(50, 1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < losses[0]
    with pytest.raises(TypeError, match="has no option 'beta'; did you mean 'betas'"):
        kind(net.parameters(), beta=0.9)


# ---- in the engine


class Net(nn.Module):
    """A matrix and a bias, a norm, an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.norm, self.matrix = nn.Embedding(2, 4), nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.matrix(self.norm(self.embedding((x[:, 0] > 0).long()) + x))


def run(name="adamw", steps=1, *, task=None, validate=0, **settings) -> Engine:
    torch.manual_seed(1)
    net = Net()
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    source = TensorSource(x, x[:, :2] * 2, batch=8, seed=3)
    how = {"rate": RATES[name], "schedule": {"name": "constant"}, **settings}
    return Engine(
        NetTask(net, lambda out, y: (out - y).square().sum(1)),
        source,
        Settings(steps=steps, optimizer={"name": name}, validate_every=validate, **how),
        validation=TensorSource(x, x[:, :2] * 2, batch=40, shuffle=False) if validate else None,
    )


def weights(engine: Engine) -> dict[str, torch.Tensor]:
    return {n.removeprefix("net."): p.detach().clone() for n, p in engine.task.named_parameters()}


@pytest.mark.parametrize("name", names("optimizer"))
def test_decay_shrinks_matrices_by_rate_times_decay_and_nothing_else(name):
    rate, decay = 0.01, 0.1
    bare, decayed = run(name, rate=rate), run(name, rate=rate, decay=decay)
    before = weights(bare)
    for engine in (bare, decayed):
        engine.run()
    without, with_decay = weights(bare), weights(decayed)
    for parameter in before:
        if parameter == "matrix.weight":
            shrunk, moved = (
                without[parameter] - rate * decay * before[parameter],
                without[parameter] - before[parameter],
            )
            beside = 1.01 * rate * decay * moved.abs().max().item() + 1e-7  # if it shrinks what was moved
            torch.testing.assert_close(with_decay[parameter], shrunk, rtol=0.0, atol=beside)
            assert not torch.equal(with_decay[parameter], without[parameter])
        else:
            assert torch.equal(with_decay[parameter], without[parameter]), parameter


def test_adam_with_decay_is_adamw():
    one, other = run("adam", 25, decay=0.5, rate=0.01), run("adamw", 25, decay=0.5, rate=0.01)
    for engine in (one, other):
        engine.run()
    for a, b in zip(weights(one).values(), weights(other).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_l2_passes_through_the_gradient(name):
    engine = run(name, 10, l2=0.1, rate=0.01)
    net = Net()
    net.load_state_dict({n: p.clone() for n, p in weights(engine).items()})
    kinds = {"momentum": lambda g: torch.optim.SGD(g, 0.01, 0.9), "adam": lambda g: torch.optim.Adam(g, 0.01)}
    rest = [p for n, p in net.named_parameters() if n != "matrix.weight"]
    optimizer = kinds[name]([{"params": [net.matrix.weight], "weight_decay": 0.1}, {"params": rest}])
    for step in range(10):
        batch = engine.source.batch(step)
        optimizer.zero_grad()
        (net(batch.inputs["x"].data) - batch.targets["y"].data).square().sum(1).mean().backward()
        optimizer.step()
    engine.run()
    for parameter, p in net.named_parameters():
        torch.testing.assert_close(weights(engine)[parameter], p.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", names("optimizer"))
def test_a_killed_run_ends_with_the_same_bits(name, tmp_path):
    whole = run(name, 20, validate=4, decay=0.01, rate=0.01)
    whole.run()
    half = run(name, 20, validate=4, decay=0.01, rate=0.01)
    half.task.train()
    for step in range(9):
        half.train_step(half.source.batch(step))
        half._look()
    checkpoint.save(half, tmp_path / "c.safetensors")
    again = run(name, 20, validate=4, decay=0.01, rate=0.01)
    again.load(tmp_path / "c.safetensors")
    again.run()
    for a, b in zip(weights(whole).values(), weights(again).values(), strict=True):
        assert torch.equal(a, b)
    assert [r.get("val_loss") for r in whole.progress.history] == [r.get("val_loss") for r in again.progress.history]


def test_validation_in_the_middle_changes_no_bit():
    often, never = run("schedule_free", 20, validate=3), run("schedule_free", 20)
    for engine in (often, never):
        engine.run()
    for a, b in zip(weights(often).values(), weights(never).values(), strict=True):
        assert torch.equal(a, b)


def test_schedule_free_is_validated_and_kept_at_the_average():
    engine = run("schedule_free", 30, validate=10, keep="best", rate=0.05)
    assert isinstance(engine.phases[0][1], Evaluates)
    for step in range(10):
        engine.train_step(engine.source.batch(step))
    optimizer = engine.phases[0][1]
    trained = engine.task.validate(engine.validation)["loss"]
    optimizer.swap()
    averaged = engine.task.validate(engine.validation)["loss"]
    optimizer.swap()
    assert not math.isclose(trained, averaged, rel_tol=1e-3)
    assert engine._validate()["val_loss"] == pytest.approx(averaged)
    progress = engine.run()
    assert engine.task.validate(engine.validation)["loss"] == pytest.approx(progress.best)
