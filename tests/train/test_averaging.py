"""The moving average of the weights, in short runs above all."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.training import Callback
from ranvier.train.averaging import EMA, SWA
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource


def run(steps, decay):
    """The distances of the averaged weights from the first and from the last, when every step adds 1."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = EMA(module, decay, steps)
    for step in range(1, steps + 1):
        module.weight.data += 1.0
        average.update(step)
    average.swap(steps)
    mean = float(module.weight.detach())
    return mean, steps - mean


@pytest.mark.parametrize("steps", [1, 2, 5, 12, 15, 40, 100])
@pytest.mark.parametrize("decay", [0.9, 0.99, 0.999])
def test_a_short_run_forgets_the_initial_weights(steps, decay):
    from_first, from_last = run(steps, decay)
    assert from_first > 0.6 * steps
    assert from_last >= 0


def test_a_long_run_averages_the_window_that_the_decay_means():
    assert run(20_000, 0.999)[1] == pytest.approx(0.999 / (1 - 0.999), rel=0.02)


def test_the_last_step_counts_wherever_it_falls():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = EMA(module, 0.99, 100)
    assert average.stride == 9
    for step in range(1, 101):
        module.weight.data.fill_(float(step == 100))
        average.update(step)
    average.swap(100)
    assert float(module.weight.detach()) == pytest.approx(1 - min(0.99**9, 12 / 21) ** (1 / 9))


@pytest.mark.parametrize("steps", [1, 2, 7, 40, 99, 1000])
def test_swa_is_the_plain_mean_of_the_last_quarter(steps):
    module = nn.Linear(1, 1, bias=False)
    average = SWA(module, steps)
    taken = []
    for step in range(1, steps + 1):
        module.weight.data.fill_(float(step * step))
        average.update(step)
        if step > average.first and (step % average.stride == 0 or step == steps):
            taken.append(step * step)
        assert average.ready(step) == bool(taken)
    average.swap(steps)
    assert len(taken) >= min(steps, 3) // 3
    assert module.weight.item() == pytest.approx(sum(taken) / len(taken))


def test_swa_goes_through_the_engine_and_a_resume(tmp_path):
    def engine(**more):
        torch.manual_seed(0)
        rows = TensorSource(torch.randn(32, 2), torch.randn(32), batch=8)
        task = NetTask(nn.Linear(2, 1), lambda answer, y: (answer[:, 0] - y) ** 2)
        settings = Settings(steps=40, rate=0.05, average="swa", keep="average", validate_every=7)
        return Engine(task, rows, settings, validation=rows, **more)

    class Stop(Callback):
        def on_log(self, step, record):
            return step >= 35

    whole, cut, rest = engine(), engine(folder=tmp_path, callbacks=[Stop()]), engine()
    whole.run()
    cut.run()
    rest.load(tmp_path / "checkpoint.safetensors")
    rest.progress.stopped = ""
    rest.run()
    assert torch.equal(whole.task.net.weight, rest.task.net.weight)
    assert not torch.equal(whole.task.net.weight, cut.task.net.weight)


class Scripted(NetTask):
    """Validates as written down: a value for each validation in turn; remembers the weights that it has seen."""

    def __init__(self, values):
        super().__init__(nn.Linear(2, 1), lambda answer, y: (answer[:, 0] - y) ** 2)
        self.values, self.seen = iter(values), []

    def validate(self, source):
        self.seen.append(self.net.weight.detach().clone())
        return {"loss": next(self.values)}


def scripted(values, callbacks=(), **settings):
    rows = TensorSource(torch.randn(8, 2), torch.randn(8), batch=8)
    how = {"steps": 40, "rate": 0.05, "average": "swa", "keep": "best", "validate_every": 5, **settings}
    engine = Engine(Scripted(values), rows, Settings(**how), validation=rows, callbacks=callbacks)
    engine.run()
    return engine.task, engine.progress


def test_swa_keeps_the_best_of_the_averaged_weights_only():
    task, done = scripted([0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.9, 0.95])  # averaged from step 31 on
    assert (done.best, done.best_step) == (0.9, 35)
    assert torch.equal(task.net.weight, task.seen[6])
    task, done = scripted([0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.9, 0.8])
    assert (done.best, done.best_step) == (0.8, 40)
    assert torch.equal(task.net.weight, task.seen[7])


def test_patience_waits_for_the_average():
    _, done = scripted([0.1, *[0.2] * 5, 0.9, 0.95], patience=2)
    assert done.step == 40
    _, done = scripted([0.1, *[0.2] * 13, 0.3, 0.4, 0.5, 0.6], patience=2, steps=72, validate_every=4)
    assert (done.best_step, done.step, done.stopped) == (56, 64, "no better for 2 validations")


def test_swa_that_is_stopped_before_it_averages_keeps_the_best_so_far():
    class Stop(Callback):
        def on_log(self, step, record):
            return step >= 15

    task, done = scripted([0.2, 0.1, 0.3], callbacks=[Stop()])
    assert done.best_step == 10
    assert torch.equal(task.net.weight, task.seen[1])


def test_validation_before_the_first_stride_sees_the_live_weights():
    module = nn.Linear(2, 1)
    rows = TensorSource(torch.randn(8, 2), torch.randn(8), batch=8)
    task = NetTask(module, lambda answer, y: (answer[:, 0] - y) ** 2)
    before = task.validate(rows)["loss"]
    settings = Settings(steps=200, rate=0.01, average=0.999, keep="best", validate_every=2, log_every=2)
    history = Engine(task, rows, settings, validation=rows).run().history
    assert history[0]["val_loss"] != before


def test_a_run_that_is_stopped_early_keeps_an_average():
    class Stop(Callback):
        def on_log(self, step, record):
            return True

    module = nn.Linear(2, 1)
    rows = TensorSource(torch.randn(8, 2), torch.randn(8), batch=8)
    task = NetTask(module, lambda answer, y: (answer[:, 0] - y) ** 2)
    first = module.weight.detach().clone()
    settings = Settings(steps=500, rate=0.1, average=0.999, keep="average", log_every=3)
    assert Engine(task, rows, settings, callbacks=[Stop()]).run().step == 3
    assert not torch.equal(module.weight, first)
