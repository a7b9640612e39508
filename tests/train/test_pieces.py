"""Where an accelerator's memory runs out while training, batches are cut, or it is said what to change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.device import memory_told
from ranvier.core.errors import RunError
from ranvier.core.training import Callback
from ranvier.ops.contrastive import info_nce
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

SAID = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free. Of these much is said."


class Small(nn.Module):
    """A network on a device with memory for so many rows."""

    def __init__(self, most: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(dropout), nn.Linear(8, 1))
        self.most, self.seen = most, []

    def forward(self, x):
        if self.training:
            self.seen.append(len(x))
        out = self.net(x)
        if len(x) > self.most:
            raise torch.OutOfMemoryError(SAID)
        return out


class Hears(Callback):
    def __init__(self):
        self.notes = []

    def on_note(self, note):
        self.notes.append(note)


def engine(net, *, loss=lambda answer, y: (answer[:, 0] - y) ** 2, callbacks=(), folder=None, **settings):
    x = torch.randn(48, 3, generator=torch.Generator().manual_seed(1))
    source = TensorSource(x, x if loss is info_nce else x[:, 0], batch=16)
    made = Settings(**{"steps": 6, "log_every": 2, **settings})
    return Engine(NetTask(net, loss), source, made, callbacks=callbacks, folder=folder)


def weights(run):
    return [p.detach().clone() for p in run.task.parameters()]


def test_batches_are_halved_until_they_fit_and_that_is_told():
    hears, net = Hears(), Small(5, dropout=0.3)
    run = engine(net, callbacks=[hears])
    done = run.run()
    assert net.seen[:3] == [16, 8, 4]
    assert set(net.seen[3:]) == {4}  # it is not tried again at each step
    assert done.step == 6
    assert hears.notes == done.notes
    assert [note.partition(", which")[0] for note in done.notes] == [
        "step 1: the memory of the device ran out with 16 rows at once: from here on it is 8",
        "step 1: the memory of the device ran out with 8 rows at once: from here on it is 4",
    ]
    asked = engine(Small(5, dropout=0.3), micro=4)
    asked.run()
    assert all(torch.equal(a, b) for a, b in zip(weights(run), weights(asked), strict=True))  # as if asked for


def test_gradients_are_those_of_the_whole_batch():
    run, whole = engine(Small(5)), engine(Small(99))
    run.run(), whole.run()
    for a, b in zip(weights(run), weights(whole), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_run_that_goes_on_keeps_to_the_pieces(tmp_path):
    first = engine(Small(5), folder=tmp_path)
    first.settings = Settings(**{**first.settings.to_json(), "steps": 6})
    first.callbacks = (Stops(4),)
    first.run()
    first.progress.stopped = ""
    first.keeper.save(first)
    net = Small(5)
    second = engine(net)
    second.load(tmp_path / "checkpoint.safetensors")
    assert second.micro == 4
    second.run()
    assert set(net.seen) == {4}


class Stops(Callback):
    def __init__(self, step):
        self.step = step

    def on_log(self, step, record):
        return step >= self.step


def test_a_single_row_that_does_not_fit_is_told():
    with pytest.raises(
        RunError,
        match=r"step 1: the memory of the device ran out with a single row at once \(CUDA out of memory. Tried to "
        r"allocate 2.00 GiB. GPU 0 has 1.00 GiB free\): try train.precision = 'bf16', shorter texts .*or size = 's'$",
    ):
        engine(Small(0)).run()


def test_rows_that_see_one_another_are_not_cut():
    net = Small(5)
    net.net[2] = nn.Linear(8, 3)
    with pytest.raises(
        RunError, match=r"with 16 rows, which see one another in phase 'main'.*: try train.batch = 8, train.precision"
    ):
        engine(net, loss=info_nce).run()


def test_memory_that_runs_out_elsewhere_is_told(monkeypatch):
    run = engine(Small(99))
    optimizer = run.phases[0][1]

    def full():
        raise torch.OutOfMemoryError(SAID)

    monkeypatch.setattr(optimizer, "step", full)
    with pytest.raises(RunError, match=r"ran out while training \(CUDA.*\): try a smaller train.micro or train.ba"):
        run.run()
    with pytest.raises(ValueError, match="another"), memory_told("now", "that"):
        raise ValueError("another")
