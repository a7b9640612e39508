"""The laws of the engine: micro-batches, weights, schedules, resume, interruption, bad losses."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from torch import nn

from ranvier.core.errors import FileError, RunError
from ranvier.core.protocols import Batch, Value
from ranvier.core.rng import seed_of
from ranvier.core.training import Callback, Phase, Task
from ranvier.train import checkpoint
from ranvier.train.clip import clip_norm
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import Order, TensorSource


def squared(answer, y):
    return (answer[:, 0] - y) ** 2


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))


def data(rows: int = 50):
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    return x, x[:, 0] - x[:, 1] ** 2


def engine(steps: int = 40, module: nn.Module | None = None, **settings) -> Engine:
    x, y = data()
    source = TensorSource(x, y, batch=16, seed=3)
    validation = TensorSource(x, y, batch=50, shuffle=False)
    made = Settings(steps=steps, rate=0.01, log_every=10, validate_every=10, **settings)
    return Engine(NetTask(module or net(), squared), source, made, validation=validation)


class Tokens(Task):
    """Rows with unequal counts, as text has them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 2)
        self.phases = [Phase("main", tuple(self.net.parameters()), self._loss, self._count)]

    def _count(self, batch):
        return {"a": batch.inputs["x"].mask.sum(1).float(), "b": torch.ones(batch.size)}

    def _loss(self, batch):
        out = self.net(batch.inputs["x"].data)
        mask = batch.inputs["x"].mask
        return {"a": (out[..., 0] ** 2 * mask).sum(1), "b": (out[..., 1] * mask).sum(1).tanh()}

    def validate(self, source):
        return {}


def test_micro_batches_equal_the_whole_batch():
    mask = torch.arange(7)[None] < torch.tensor([[7], [1], [3], [2], [5], [7], [1], [4], [6], [2]])
    batch = Batch(10, {"x": Value(torch.randn(10, 7, 4), mask)}, weight=torch.rand(10))
    grads = []
    for micro in (0, 1, 3, 4, 10):
        torch.manual_seed(2)
        task = Tokens().double()
        run = Engine(task, TensorSource(torch.zeros(1, 1)), Settings(steps=1, micro=micro))
        run.backward(task.phases[0], batch.map(lambda t: t.double() if t.is_floating_point() else t))
        grads.append(torch.cat([p.grad.flatten() for p in task.parameters()]))
    for grad in grads[1:]:
        torch.testing.assert_close(grad, grads[0], rtol=1e-12, atol=1e-14)


def test_weight_zero_is_as_if_the_row_were_absent():
    x, y = data(10)
    grads = []
    for rows, weight in ((slice(0, 6), None), (slice(0, 10), torch.tensor([1.0] * 6 + [0.0] * 4))):
        task = NetTask(net().eval(), squared)
        batch = TensorSource(x[rows], y[rows], batch=99, shuffle=False, weight=weight).batch(0)
        Engine(task, TensorSource(x), Settings(steps=1)).backward(task.phases[0], batch)
        grads.append(torch.cat([p.grad.flatten() for p in task.parameters()]))
    torch.testing.assert_close(grads[0], grads[1])


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    whole = engine(average=0.9, keep="best", clip=1.0)
    whole.run()
    half = engine(average=0.9, keep="best", clip=1.0)
    for step in range(23):
        half.train_step(half.source.batch(step))
        half._look()
    checkpoint.save(half, tmp_path / "c.safetensors")
    again = engine(average=0.9, keep="best", clip=1.0)
    torch.manual_seed(99)  # what a new process would have
    again.load(tmp_path / "c.safetensors")
    again.run()
    assert again.progress.step == 40
    for a, b in zip(whole.task.parameters(), again.task.parameters(), strict=True):
        assert torch.equal(a, b)


def test_resume_refuses_other_facts(tmp_path):
    checkpoint.save(engine(), tmp_path / "c.safetensors")
    other = engine()
    other.settings = Settings(**{**other.settings.to_json(), "rate": 0.5})
    with pytest.raises(RunError, match="rate"):
        other.load(tmp_path / "c.safetensors")
    other.load(tmp_path / "c.safetensors", inexact=True)
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(FileError):
        engine().load(tmp_path / "no.safetensors")


def test_best_weights_are_kept_and_patience_stops():
    run = engine(steps=400, keep="best", patience=3, schedule={"name": "constant"})
    run.settings = Settings(**{**run.settings.to_json(), "rate": 0.3})
    progress = run.run()
    assert "no better" in progress.stopped
    values = [r["val_loss"] for r in progress.history]
    assert progress.best == min(values)
    assert run.task.validate(run.validation)["loss"] == pytest.approx(progress.best)


def test_interrupt_ends_after_the_step_with_the_best_weights():
    class Press(Callback):
        def on_log(self, step, record):
            if step == 20:
                os.kill(os.getpid(), signal.SIGINT)
            return False

    run = engine(steps=1000, keep="best")
    run.callbacks = (Press(),)
    progress = run.run()
    assert progress.stopped == "interrupted"
    assert progress.step <= 21
    assert run.task.validate(run.validation)["loss"] == pytest.approx(progress.best)


def test_a_loss_that_is_no_number_is_traced_to_its_layer():
    class Bomb(nn.Module):
        """Sound until the 13th forward pass of training, whichever run it is in."""

        def forward(self, x):
            return x / 0.0 if torch.initial_seed() == seed_of(0, "step", 12) else x

    run = engine(module=nn.Sequential(nn.Linear(3, 8), Bomb(), nn.Linear(8, 1)))
    with pytest.raises(RunError, match=r"step 13: the output of layer 'net.1'.*train.rate"):
        run.run()


def test_a_target_that_is_no_number_is_named():
    run = engine()
    run.source.y = run.source.y.clone()
    run.source.y[7] = torch.nan
    with pytest.raises(RunError, match=r"target 'y', row 3 of the batch, is nan"):
        run.run()


@pytest.mark.parametrize("limit", [0.1, 1e6])
def test_clipping_is_torchs_to_the_bit(limit):
    ours, theirs = net(), net()
    for module in (ours, theirs):
        torch.manual_seed(3)
        module(torch.randn(9, 3)).square().sum().backward()
    clip_norm(ours.parameters(), limit)
    norm = nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    assert 0.1 < norm < 1e6
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_schedule_reaches_peak_and_end():
    from ranvier.train.schedules import cosine, linear

    for schedule in (linear(warmup=0.1), cosine(warmup=0.1)):
        assert schedule(0.05) == pytest.approx(0.5)
        assert schedule(0.1) == pytest.approx(1.0)
        assert schedule(1.0) == pytest.approx(0.0, abs=1e-12)
        assert schedule(0.5) > schedule(0.8)


@pytest.mark.parametrize(("rows", "batch"), [(10, 3), (7, 7), (5, 9), (1, 4), (100, 32)])
def test_order_shows_every_row_once_an_epoch(rows, batch):
    order = Order(rows, batch, seed=1)
    for epoch in range(3):
        seen = [order(epoch * order.steps + k) for k in range(order.steps)]
        assert sorted(torch.cat([torch.from_numpy(s) for s in seen]).tolist()) == list(range(rows))
        assert max(map(len, seen)) - min(map(len, seen)) <= 1
        assert max(map(len, seen)) <= batch


def test_order_is_a_pure_function_of_its_step():
    import numpy as np

    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    for more in ({}, {"lengths": lengths}, {"chances": lengths.astype(float)}):
        a, b = Order(1000, 16, 5, **more), Order(1000, 16, 5, **more)
        forward = [a(k) for k in range(130)]
        for k in (129, 3, 64, 128):
            assert (b(k) == forward[k]).all()
    bucketed = Order(1000, 16, 5, lengths=lengths)
    spread = np.mean([np.ptp(lengths[bucketed(k)]) for k in range(bucketed.steps)])
    assert spread < 20  # against ~90 without buckets


def test_plain_fit():
    from ranvier.train import fit

    x, y = data(200)
    module = net()
    history = fit(module, (x, y), loss=squared, optimizer="adam", rate=0.05, epochs=60).history
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
