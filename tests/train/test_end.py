"""How a run ends: what is left of it, and what it leaves alone."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ranvier.core.errors import FileError, RunError
from ranvier.core.training import Callback
from ranvier.train import checkpoint, keeper
from ranvier.train.calibrate import seconds_per_step
from ranvier.train.callbacks import LogFile
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource


class Boom(Exception):
    """What kills a run."""


class Looker(Callback):
    """Counts the ends it is told of; fails at a step."""

    def __init__(self, fails_at=0):
        self.fails_at, self.ends = fails_at, 0

    def on_log(self, step, record):
        if step == self.fails_at:
            raise Boom
        return False

    def on_end(self):
        self.ends += 1


def engine(*callbacks, folder=None, facts=None, steps=20, **settings) -> Engine:
    torch.manual_seed(0)
    x = torch.randn(40, 3)
    rows = TensorSource(x, x[:, 0], batch=8)
    task = NetTask(nn.Linear(3, 1), lambda answer, y: (answer[:, 0] - y) ** 2)
    made = Settings(**{"steps": steps, "rate": 0.01, "log_every": 5, "validate_every": 5, **settings})
    return Engine(task, rows, made, validation=rows, callbacks=callbacks, folder=folder, facts=facts)


def test_callbacks_hear_of_the_end_however_it_comes():
    good, bad = Looker(), Looker(fails_at=10)
    engine(good).run()
    assert good.ends == 1
    with pytest.raises(Boom):
        engine(good, bad).run()
    assert (good.ends, bad.ends) == (2, 1)


def test_the_callers_random_state_is_left_alone():
    run = engine()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run.run()
    seconds_per_step(engine_of(run), run.source, 0.0, 3)
    assert torch.equal(torch.rand(3), expected)


def engine_of(other: Engine) -> Engine:
    """Another engine on the same task, without touching the random state."""
    return Engine(other.task, other.source, other.settings, validation=other.validation)


@pytest.mark.parametrize("keep", ["last", "average"])
def test_patience_counts_whatever_is_kept(keep):
    done = engine(steps=400, rate=0.5, schedule={"name": "constant"}, optimizer={"name": "sgd"}, patience=2, keep=keep,
                  average=0.5 if keep == "average" else 0.0).run()  # fmt: skip
    assert done.stopped == "no better for 2 validations"
    assert done.best_step < done.step < 400


class Breaks(nn.Module):
    """Sound going forward, while its gradient is no number from a pass on."""

    def __init__(self, at):
        super().__init__()
        self.net, self.at = nn.Linear(3, 1), at

    def forward(self, x):
        y = self.net(x)
        if self.training and torch.initial_seed() == self.at:
            y.register_hook(lambda g: g * float("nan"))
        return y


def test_weights_broken_by_the_very_last_step_are_not_given():
    from ranvier.core.rng import seed_of

    x = torch.randn(16, 3)
    task = NetTask(Breaks(seed_of(0, "step", 9)), lambda answer, y: (answer[:, 0] - y) ** 2)
    with pytest.raises(RunError, match=r"weights of layer 'net\.net\.\w+' became.*step 10: the gradient of"):
        Engine(task, TensorSource(x, x[:, 0], batch=16), Settings(steps=10, log_every=5)).run()


def test_a_checkpoint_is_there_before_the_first_step_and_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "SHARE", math.inf)
    with pytest.raises(Boom):
        engine(Looker(fails_at=5), folder=tmp_path).run()
    again = engine()
    again.load(tmp_path / checkpoint.NAME)
    assert again.progress.step == 0
    with pytest.raises(Boom):
        engine(Looker(fails_at=10), folder=tmp_path, checkpoint_every=1e-9).run()
    again = engine(checkpoint_every=1e-9)
    again.load(tmp_path / checkpoint.NAME)
    assert again.progress.step == 9


def test_facts_are_compared(tmp_path, monkeypatch):
    engine(folder=tmp_path, facts={"rows": "abc"}).run()
    with pytest.raises(RunError, match="rows = 'abc', now it is 'abd'"):
        engine(facts={"rows": "abd"}).load(tmp_path / checkpoint.NAME)
    monkeypatch.setattr(checkpoint.np, "__version__", "0.1")
    with pytest.raises(RunError, match=r"numpy = .*, now it is '0\.1'"):
        engine(facts={"rows": "abc"}).load(tmp_path / checkpoint.NAME)
    assert checkpoint.facts(engine())["device"] == "cpu"


def test_a_network_of_another_shape_is_no_traceback(tmp_path):
    engine(folder=tmp_path).run()
    other = engine()
    other.task.net = nn.Linear(4, 1)
    with pytest.raises(RunError, match="does not fit"):
        other.load(tmp_path / checkpoint.NAME, inexact=True)


@pytest.mark.parametrize(
    "header", ["{", json.dumps({"format": checkpoint.FORMAT, "settings": {"speed": 1}, "facts": {}, "state": {}})]
)
def test_a_damaged_header_is_a_file_error(tmp_path, header):
    path = tmp_path / checkpoint.NAME
    engine(folder=tmp_path).run()
    checkpoint.older(path).unlink()
    assert checkpoint.settings_of(path) == engine().settings
    save_file(load_file(path), path, {"ranvier": header})
    with pytest.raises(FileError):
        checkpoint.settings_of(path)


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path):
    log = LogFile(tmp_path / "log.jsonl")
    assert log.state() == {"size": 0, "waiting": ""}
    log.on_log(1, {"step": 1.0})
    state = log.state()
    log.on_log(2, {"step": 2.0})
    log.load_state(state)
    log.on_log(3, {"step": 3.0})
    assert [json.loads(line)["step"] for line in log.path.read_text().splitlines()] == [1.0, 3.0]
