"""Blended rows in the loss: each target in its share, missing ones on either side, members, micro-batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from descriptors import NUMBERS, SCALAR, SMALL, sample

from ranvier.core.protocols import Batch, Value
from ranvier.encoders.fuse import MLPFuse, TabMFuse
from ranvier.encoders.number import NumberEncoder
from ranvier.feed.mix import Mixup
from ranvier.heads.category import CategoryHead
from ranvier.heads.number import NumberHead
from ranvier.tasks.columns import ColumnsTask
from ranvier.train.engine import Engine
from ranvier.train.settings import Settings

ROWS = 12
FUSES = [(MLPFuse, {}), (TabMFuse, {"members": 3})]


def task(fuse=MLPFuse, **options) -> ColumnsTask:
    torch.manual_seed(0)
    encoder = NumberEncoder(NUMBERS, embedding="none")
    joined = fuse({"x": encoder.width}, dropout=0.0, **options)
    heads = {"kind": CategoryHead(SMALL, joined.width), "amount": NumberHead(SCALAR, joined.width)}
    return ColumnsTask({"x": encoder}, joined, heads, {"kind": 1.0, "amount": 2.0})


def targets() -> dict[str, Value]:
    kind = Value(torch.randint(SMALL.size, (ROWS,)), observed=torch.arange(ROWS) % 3 > 0)
    amount = sample(SCALAR, ROWS)
    amount.observed = torch.arange(ROWS) % 4 > 0
    amount.data[~amount.observed] = float("nan")
    return {"kind": kind, "amount": amount}


def blended(weight=None) -> tuple[Batch, Batch, torch.Tensor]:
    """A batch of blended rows, the same inputs with the partners' targets, and the rows' own shares."""
    share = torch.rand(ROWS)
    inputs, own, other = {"x": sample(NUMBERS, ROWS)}, targets(), targets()
    other["kind"].observed = torch.arange(ROWS) % 5 > 0
    return (
        Batch(ROWS, inputs, own, weight, {"share": share}, other),
        Batch(ROWS, inputs, other, weight),
        share,
    )


@pytest.mark.parametrize(("fuse", "options"), FUSES)
def test_loss_and_count_are_those_of_both_targets_in_their_shares(fuse, options):
    (phase,) = task(fuse, **options).phases
    batch, partner, share = blended()
    alone = Batch(ROWS, batch.inputs, batch.targets)
    for measure in (phase.loss, phase.count):
        found, own, other = measure(batch), measure(alone), measure(partner)
        for name in ("kind", "amount"):
            torch.testing.assert_close(found[name], share * own[name] + (1 - share) * other[name])
            assert found[name].isfinite().all()
    gone = ~batch.targets["kind"].observed & ~partner.targets["kind"].observed
    assert gone.any()
    assert (phase.loss(batch)["kind"][gone] == 0).all()
    assert (phase.count(batch)["kind"][gone] == 0).all()
    only_own = ~partner.targets["kind"].observed & ~gone
    torch.testing.assert_close(phase.count(batch)["kind"][only_own], share[only_own])


def test_blended_cross_entropy_is_the_cross_entropy_of_blended_labels():
    net = task().eval()
    batch, _, share = blended()
    for value in (batch.targets["kind"], batch.mixed["kind"]):
        value.observed = None
    probs = net.predict(batch)["kind"]["probs"]
    labels = share[:, None] * torch.eye(SMALL.size)[batch.targets["kind"].data]
    labels += (1 - share)[:, None] * torch.eye(SMALL.size)[batch.mixed["kind"].data]
    (phase,) = net.phases
    torch.testing.assert_close(phase.loss(batch)["kind"], -(labels * probs.log()).sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("fuse", "options"), FUSES)
def test_micro_batches_of_blended_rows_equal_the_whole_batch(fuse, options):
    batch, _, _ = blended(torch.rand(ROWS))
    gradients, means = [], []
    for micro in (0, 5):
        net = task(fuse, **options)
        engine = Engine(net, None, Settings(steps=1, micro=micro))
        means.append(engine.backward(net.phases[0], batch))
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)
    assert gradients[0].isfinite().all()
    for name, mean in means[0].items():
        torch.testing.assert_close(means[1][name], mean)


def test_weights_of_both_rows_come_through():
    """sum(w loss) of mixed rows is the sum over both rows of share * that row's own weight * loss."""
    net = task()
    (phase,) = net.phases
    weight = torch.rand(ROWS)
    weight[3] = 0
    batch = Batch(ROWS, {"x": sample(NUMBERS, ROWS)}, targets(), weight)
    found = Mixup({"x": NUMBERS}, alpha=1.0)(batch, np.random.default_rng(0))
    plain = Mixup({"x": NUMBERS}, alpha=1.0)(Batch(ROWS, batch.inputs, batch.targets), np.random.default_rng(0))
    order = torch.from_numpy(np.random.default_rng(0).permutation(ROWS))
    share = plain.extra["share"]
    own = phase.loss(Batch(ROWS, found.inputs, batch.targets))["kind"]
    other = phase.loss(Batch(ROWS, found.inputs, found.mixed))["kind"]
    wanted = (share * weight * own).sum() + ((1 - share) * weight[order] * other).sum()
    torch.testing.assert_close((found.weight * phase.loss(found)["kind"]).sum(), wanted)
