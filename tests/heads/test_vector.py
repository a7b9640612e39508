"""The head of vectors: its losses by name, distributions, directions, rows that see one another, bad targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.columns.date import Date
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.registry import lookup
from ranvier.core.schema import check_options
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.vector import VectorHead

D, F, B = 8, 5, 24
SPEC = Spec("vector", (F,))
LOSSES = ["squared_error", "absolute_error", "huber", "cosine", "kl", "soft_cross_entropy", "info_nce"]
OPTIONS = {"huber": {"delta": 0.3}, "info_nce": {"temperature": 0.5, "symmetric": True}}


def made(loss, **options):
    return VectorHead(SPEC, D, None, **check_options(VectorHead, {"loss": loss, **options}, "head"))


def features(rows=B):
    return Features(rows, torch.randn(rows, D, requires_grad=True))


def target(loss, rows=B):
    return torch.randn(rows, F).softmax(1) if loss in ("kl", "soft_cross_entropy") else torch.randn(rows, F)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_one_that_is_named(loss):
    head, f, y = made(loss, **OPTIONS.get(loss, {})), features(), target(loss)
    expected = lookup("loss", loss)(head.out(f), y, **OPTIONS.get(loss, {}))
    torch.testing.assert_close(head.loss("main", f, Value(y)), expected)
    assert head.splits == (loss != "info_nce")


@pytest.mark.parametrize("loss", LOSSES)
def test_missing_vectors_leave_no_trace(loss):
    head, f, y, real = made(loss), features(), target(loss), torch.arange(B) % 3 != 0
    y[~real] = float("nan")
    whole = head.loss("main", f, Value(y, observed=real))
    assert whole.isfinite().all()
    alone = Features(int(real.sum()), f.vector.detach()[real])
    torch.testing.assert_close(whole[real], head.loss("main", alone, Value(y[real])))
    torch.where(real, whole, 0).sum().backward()
    assert (f.vector.grad[~real] == 0).all()
    assert all(p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize("loss", LOSSES)
def test_it_learns_one_batch(loss):
    head, f, y = made(loss), Features(6, torch.randn(6, D)), target(loss, 6)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    first = head.loss("main", f, Value(y)).mean()
    for _ in range(300):
        optimizer.zero_grad()
        head.loss("main", f, Value(y)).mean().backward()
        optimizer.step()
    metrics = head.metrics()
    metrics.update(head.predict(f), Value(y), None)
    assert head.loss("main", f, Value(y)).mean() < first
    assert metrics.compute()["cosine_similarity"] > (0.5 if loss == "info_nce" else 0.95)  # it tells rows apart


def test_predictions_are_distributions_directions_or_values():
    f = features()
    for loss in LOSSES:
        value = made(loss).predict(f)["value"]
        assert value.shape == (B, F)
        if loss in ("kl", "soft_cross_entropy"):
            torch.testing.assert_close(value.sum(1), torch.ones(B))
            assert (value >= 0).all()
        elif loss in ("cosine", "info_nce"):
            torch.testing.assert_close(value.norm(dim=1), torch.ones(B))


def test_members_of_a_row_are_not_told_apart():
    head, vectors, y = made("info_nce"), torch.randn(B, 3, D), target("info_nce")
    whole = head.loss("main", Features(3 * B, vectors.flatten(0, 1), members=3), Value(y.repeat_interleave(3, 0)))
    for m in range(3):
        torch.testing.assert_close(whole[m::3], head.loss("main", Features(B, vectors[:, m]), Value(y)))


@pytest.mark.parametrize(("row", "told"), [([1.5, -0.5], r"one holds -0\.5"), ([0.5, 0.2], r"one sums to 0\.7")])
def test_vectors_that_are_no_distributions_are_refused(row, told):
    truth = Encoded(np.array([[0.5, 0.5], row, [7, 7]], np.float32), np.array([True, True, False]))
    head = VectorHead(Spec("vector", (2,)), D, None, loss="kl")
    with pytest.raises(AssertionError, match=told):
        assert not head.refuses(truth), head.refuses(truth)
    assert not head.refuses(truth.rows(np.array([0, 2])))
    assert not VectorHead(Spec("vector", (2,)), D).refuses(truth)


def test_columns_are_not_standardised_where_shares_or_directions_are_compared():
    asked = {loss: VectorHead.of_target({"loss": loss}) for loss in LOSSES}
    needing = ["cosine", "kl", "soft_cross_entropy", "info_nce"]
    assert [loss for loss, choices in asked.items() if choices] == needing
    assert all(asked[loss]["standardise"][0] is False for loss in needing)
    assert VectorHead.of_target({}) == {}


def test_it_suits_vectors_but_no_dates():
    assert VectorHead.suits(SPEC, Facts(rows=10))[0] == 1
    date = Date("d")._ready()
    assert date.kind == "vector"
    assert VectorHead.suits(date, Facts(rows=10))[0] == 0
    with pytest.raises(PlanError, match="kind 'vector'"):
        VectorHead(Spec("scalar", (2,)), D)
