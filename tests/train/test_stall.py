"""What stands still, or breaks, is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier import nets
from ranvier.core.errors import RunError
from ranvier.core.protocols import Batch
from ranvier.core.training import Phase
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource
from ranvier.train.stall import learnt, stalled
from ranvier.train.troubles import Trouble, sentences, troubles


def engine(net, x=None, y=None, *, loss=None, **settings):
    made = torch.Generator().manual_seed(1)
    x = torch.randn(64, 6, generator=made) if x is None else x
    y = x[:, 0] if y is None else y
    task = NetTask(net, loss or (lambda answer, y: (answer[:, 0] - y) ** 2))
    how = {"steps": 320, "rate": 1e-2, "log_every": 4, "schedule": {"name": "constant"}, **settings}
    return Engine(task, TensorSource(x, y, batch=32), Settings(**how))


def history(losses, every=10):
    return [{"step": float(every * (i + 1)), "seconds": 1.0, "rows": 9.0, "y": v} for i, v in enumerate(losses)]


def test_a_loss_that_stays_is_named():
    (told,) = stalled(history([0.7 + 0.01 * (i % 3) for i in range(60)])).values()
    assert told.startswith("the loss 'y' does not get smaller (0.709 at the beginning, ")
    assert "at step 600; stalled): try another train.rate" in told
    assert list(stalled(history([0.7 + 0.01 * i for i in range(60)]))) == ["y"]  # and one that grows


def test_a_loss_that_falls_or_is_young_is_not():
    assert stalled(history([0.7 - 0.001 * i for i in range(60)])) == {}
    assert stalled(history([0.7] * 49)) == {}
    assert stalled(history([0.7] * 60, every=4)) == {}
    assert stalled(history([-0.7 - 0.001 * i for i in range(60)])) == {}  # a log likelihood
    two = [{**record, "z": 1.0 - 0.01 * i} for i, record in enumerate(history([0.7] * 60))]
    assert list(stalled(two)) == ["y"]


def test_what_is_learnt_has_come_near_0():
    assert learnt(history([2.0, 0.5, 0.02]))
    assert learnt(history([2.0, 0.02, 0.1]))  # a batch that stands out
    assert not learnt(history([2.0, 0.5, 0.03]))
    assert not learnt(history([2.0]))
    assert not learnt([])
    assert not learnt(history([-2.0, -9.0]))  # a log likelihood, which has no floor
    assert not learnt([{**record, "z": 1.0} for record in history([2.0, 0.01])])


def dead():
    net = nets.MLP(6, [16], 1)
    with torch.no_grad():
        net[0][0].bias.fill_(-100.0)
        net[-1].bias.fill_(0.0)
    return net


def test_dead_units_are_told_and_that_the_loss_stays():
    y = torch.cat([torch.ones(32), -torch.ones(32)])  # of which the bias alone can learn nothing
    done = engine(dead(), y=y).run()
    kinds = [kind for kind, _ in done.told]
    assert "dead" in kinds
    assert "stall" in kinds
    assert sum("(dead" in note for note in done.notes) == 1
    assert sum("the loss 'loss' does not get smaller" in note or "stalled" in note for note in done.notes) == 1


def test_a_rate_below_rounding_is_told():
    done = engine(nets.MLP(6, [16], 1), rate=1e-14, optimizer={"name": "sgd"}).run()
    assert any("the step is so small that no weight moves (frozen; so in" in note for note in done.notes)
    assert any("(stalled" in note or "stalled)" in note for note in done.notes)


def test_a_gradient_of_zero_everywhere_is_told():
    done = engine(nets.MLP(6, [16], 1), loss=lambda answer, y: (0.0 * answer[:, 0]) + 1.0).run()
    assert any("the gradient is exactly 0 in every layer" in note and "(nothing; so in" in note for note in done.notes)


def test_what_learns_is_not_told():
    assert engine(nets.MLP(6, [16], 1)).run().notes == []
    assert engine(dead(), watch=False).run().notes == []


def test_nothing_and_frozen_by_hand():
    still = [(0, {"gradient": 0.0}), (1, {"gradient": 0.0})]
    assert troubles(still) == [Trouble("nothing", 0, 1.0), Trouble("nothing", 1, 1.0)]
    assert troubles([(0, {"gradient": 0.0}), (1, {"gradient": 1.0, "update": 1e-9})]) == []
    still = {"gradient": 1.0, "update": 0.0, "still": 1.0}
    frozen = troubles([(0, still), (1, still)])
    assert [t.kind for t in frozen] == ["frozen", "frozen"]
    assert troubles([(0, still), (1, {"gradient": 1.0, "update": 1e-9})]) == []
    assert troubles([(0, {"gradient": 1.0, "update": 0.0})]) == []  # of a bias, say, while inputs are 0
    assert sentences(frozen, str)[0].endswith("(frozen; so in 1 more layer): try a larger rate, or precision = 'fp32'")


# ---- what is planted is found


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_bad_data_are_named_by_column_row_and_value(bad):
    x = torch.randn(64, 6)
    x[7, 3] = bad
    with pytest.raises(RunError, match=rf"step [12]: input 'x', row \d+ of the batch, element 3, is {bad}") as caught:
        engine(nets.MLP(6, [16], 1), x, torch.randn(64)).run()
    assert "Try" in str(caught.value)
    y = torch.randn(64)
    y[5] = bad
    with pytest.raises(RunError, match=rf"step [12]: target 'y', row \d+ of the batch, is {bad}"):
        engine(nets.MLP(6, [16], 1), torch.randn(64, 6), y).run()


class Two(NetTask):
    """Two losses, one of which becomes infinite at some step."""

    def __init__(self, at):
        super().__init__(nets.MLP(6, [8], 1), lambda answer, y: (answer[:, 0] - y) ** 2)
        self.at, self.calls = at, 0

        def loss(batch: Batch):
            from ranvier.core.rng import seed_of

            (first,) = self._loss(batch).values()
            bad = torch.initial_seed() == seed_of(0, "step", at)
            return {"good": first, "bad": first.detach() * 0 + (float("inf") if bad else 1.0)}

        def count(batch: Batch):
            (first,) = self._count(batch).values()
            return {"good": first, "bad": first}

        self.phases = [Phase("main", tuple(self.net.parameters()), loss, count)]


def test_the_head_whose_loss_becomes_infinite_is_named():
    x = torch.randn(64, 6)
    running = Engine(Two(17), TensorSource(x, x[:, 0], batch=32), Settings(steps=40, log_every=20))
    with pytest.raises(RunError, match=r"the loss 'bad' became inf; step 18: the loss 'bad' first became"):
        running.run()


def test_weights_that_are_no_numbers_are_named():
    class Poison(nn.Linear):
        def forward(self, x):
            from ranvier.core.rng import seed_of

            if torch.initial_seed() == seed_of(0, "step", 9):
                self.weight.data[0, 0] = float("nan")
            return super().forward(x)

    with pytest.raises(RunError, match=r"step 10: the output of layer 'net\.1' first became infinite or not a number"):
        engine(nn.Sequential(nn.Linear(6, 4), Poison(4, 1)), log_every=20).run()
