"""What a run will take is known before it starts, and what to change where that is too much."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ranvier.core.errors import RunError
from ranvier.ops import contrastive
from ranvier.train import needs as module
from ranvier.train.engine import Engine
from ranvier.train.needs import Needs, check_needs, needs_of
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource


def engine(net=None, *, rows=64, batch=32, validation=False, **settings):
    torch.manual_seed(0)
    x = torch.randn(rows, 100)
    net = net or nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 1))
    source = TensorSource(x, x[:, 0], batch=batch)
    task = NetTask(net, lambda answer, y: (answer[:, 0] - y) ** 2)
    return Engine(task, source, Settings(**{"steps": 4, **settings}), validation=source if validation else None)


WEIGHTS = 4 * (100 * 200 + 200 + 200 + 1)


def test_each_part_by_hand():
    found = needs_of(engine())
    assert found.weights == found.gradients == WEIGHTS
    assert found.optimizer == 2 * WEIGHTS  # two moments
    assert found.copies == 3 * WEIGHTS  # weights and moments of the last sound state
    hidden, inputs, answers = 4 * 32 * 200, 4 * 32 * 100, 4 * 32
    kept = found.activations / module.BACKWARD
    assert inputs + hidden <= kept <= inputs + 2 * hidden + 4 * answers
    assert found.total == sum((found.weights, found.gradients, found.optimizer, found.copies, found.activations))


@pytest.mark.parametrize(
    ("optimizer", "share"), [("sgd", 0), ("momentum", 1), ("adam", 2), ("adadelta", 2), ("muon", 1), ("lion", 1)]
)
def test_what_optimizers_keep_is_what_they_then_do(optimizer, share):
    running = engine(optimizer={"name": optimizer}, clip=1.0)
    assert needs_of(running).optimizer == share * WEIGHTS
    running.run()
    kept = [v for _, o in running.phases for state in o.state.values() for v in state.values()]
    size = sum(v.numel() * 4 for v in kept if isinstance(v, torch.Tensor) and v.ndim)
    assert size == pytest.approx(share * WEIGHTS, rel=0.03)


def test_the_best_and_the_averaged_weights_are_kept_twice():
    plain = needs_of(engine())
    both = needs_of(engine(validation=True, keep="best", average=0.9, validate_every=2))
    assert both.copies - plain.copies == 4 * WEIGHTS


def test_micro_batches_and_batches_scale_activations():
    whole, half, small = (needs_of(engine(**how)) for how in ({}, {"batch": 16}, {"micro": 8}))
    assert whole.activations == pytest.approx(2 * half.activations, rel=0.01)
    assert whole.activations == pytest.approx(4 * small.activations, rel=0.01)
    assert small.rows == 8


def test_live_environments_are_not_moved():
    running = engine()
    running.source.exact, running.source.batch = False, None
    assert needs_of(running).activations == 0


def test_frozen_weights_need_no_gradient():
    net = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 1))
    net[0].requires_grad_(False)
    found = needs_of(engine(net))
    assert found.gradients == 4 * 201
    assert found.weights == WEIGHTS


def test_looking_leaves_nothing_behind():
    net = nn.Sequential(nn.Linear(100, 200), nn.Sigmoid(), nn.Linear(200, 1))  # which keeps what it gives
    looked = engine(net)
    needs_of(looked)
    left = [weakref.ref(p) for p in net.parameters()]
    del net, looked
    gc.collect()
    assert all(one() is None for one in left)


def test_looking_changes_no_bit():
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(100, 20), nn.BatchNorm1d(20), nn.Dropout(0.5), nn.Linear(20, 1))

    looked, plain = engine(net()), engine(net())
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    needs_of(looked)
    assert torch.equal(torch.random.get_rng_state(), state)
    looked.run()
    plain.run()
    mine, theirs = looked.task.state_dict(), plain.task.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


class Peak(TorchDispatchMode):
    """Bytes of all tensors that live at once inside, at most."""

    def __init__(self):
        super().__init__()
        self.live, self.now, self.most = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in pytree.tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage._cdata not in self.live:
                self.live[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.drop, storage._cdata)
        return out

    def drop(self, key):
        self.now -= self.live.pop(key, 0)


LOSSES = {
    "nt_xent": contrastive.nt_xent,
    "info_nce": contrastive.info_nce,
    "triplet": contrastive.triplet,
    "supervised_contrastive": contrastive.supervised_contrastive,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_pairs_of_rows_are_not_taken_for_less(loss):
    torch.manual_seed(0)
    rows, wide = 512, loss in ("nt_xent", "info_nce")
    y = torch.randn(rows, 8) if wide else torch.arange(rows) % 16
    source = TensorSource(torch.randn(rows, 8), y, batch=rows)
    running = Engine(NetTask(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), LOSSES[loss]), source, Settings(steps=1))
    said = needs_of(running).activations
    batch = running.source.batch(0)
    with Peak() as peak:
        running.backward(running.task.phases[0], batch)
    assert peak.most <= 1.05 * said <= 2.5 * peak.most


def test_what_grows_with_no_rows_is_not_multiplied():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Parameter(torch.randn(500, 500))

        def forward(self, x):
            return x[:, :1] * self.wide.exp().sum()  # of which exp keeps a million bytes, whatever the rows

    kept = needs_of(engine(Table(), rows=512, batch=512)).activations
    assert 1e6 < kept < 2e6


def test_batches_of_two_rows_are_looked_at_as_they_are():
    assert needs_of(engine(rows=2, batch=2)).rows == 2
    assert needs_of(engine(nn.Sequential(nn.Linear(100, 5), nn.BatchNorm1d(5), nn.Linear(5, 1)), rows=3)).rows == 3


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has 1 GiB free. See the manual.")


def test_memory_that_runs_out_as_it_is_measured_is_told():
    def full(answer, y):
        raise FULL

    source = TensorSource(torch.randn(64, 3), torch.randn(64), batch=64)
    running = Engine(NetTask(nn.Linear(3, 1), full), source, Settings(steps=1))
    with pytest.raises(
        RunError,
        match=r"the memory of the device ran out when the first rows were tried \(CUDA out of memory. Tried to "
        r"allocate 2 GiB. GPU 0 has 1 GiB free\): try a smaller train.micro or train.batch, train.precision = 'bf16', ",
    ):
        check_needs(running)


def test_a_run_that_does_not_fit_is_refused_with_what_to_change(monkeypatch):
    net = nn.Sequential(*[nn.Linear(100, 100) for _ in range(20)], nn.Linear(100, 1))
    running = engine(net, rows=4096, batch=4096)
    found = needs_of(running)
    monkeypatch.setattr(module, "free_memory", lambda: found.total / 2)
    with pytest.raises(
        RunError, match=r"would take about .* MB for training \(weights .*\), and .* are free: try "
    ) as caught:
        check_needs(running)
    said = str(caught.value)
    assert "train.micro = 1024 (the same weights, in pieces), train.precision = 'bf16'" in said
    assert said.endswith("train.optimizer = 'sgd', which keeps nothing, or size = 's'")
    monkeypatch.setattr(module, "free_memory", lambda: found.total * 1.1)
    assert check_needs(running) == found
    assert running.progress.notes[0].startswith("memory may not suffice: about ")
    easy = engine()
    monkeypatch.setattr(module, "free_memory", lambda: found.total * 10)
    check_needs(easy)
    assert easy.progress.notes == []


def test_batches_that_cannot_be_cut_are_to_be_smaller():
    found = Needs(100, 100, 200, 300, 64_000, rows=64)
    assert found.less(10_000, splits=False).startswith("train.batch = 8,")
    assert found.less(10_000, splits=True).startswith("train.micro = 8 ")
    assert found.less(500, splits=True).startswith("train.precision")  # no batch is small enough
    heavy = Needs(10**6, 10**6, 2 * 10**6, 3 * 10**6, 64, rows=64)
    assert heavy.less(10**6, splits=True) == "train.optimizer = 'sgd', which keeps nothing, or size = 's'"
