"""Losses between rows against their formulas, written out in float64 numpy, and by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from descriptors import LOSSES
from torch.nn import functional as F

from ranvier.core.registry import lookup
from ranvier.ops.contrastive import info_nce, nt_xent, triplet, triplet_margin

B, D = 9, 5


def unit(x, normalise=True):
    x = x.numpy()
    return x / np.linalg.norm(x, axis=1, keepdims=True) if normalise else x


def nce(queries, keys, temperature):
    scores = [[q @ k / temperature for k in keys] for q in queries]
    return np.array([math.log(sum(math.exp(s) for s in row)) - row[i] for i, row in enumerate(scores)])


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_info_nce_is_its_formula(normalise, temperature):
    p, y = torch.randn(B, D, dtype=torch.float64), torch.randn(B, D, dtype=torch.float64)
    q, k = unit(p, normalise), unit(y, normalise)
    how = {"temperature": temperature, "normalise": normalise}
    np.testing.assert_allclose(info_nce(p, y, **how).numpy(), nce(q, k, temperature), rtol=1e-10)
    both = 0.5 * (nce(q, k, temperature) + nce(k, q, temperature))
    np.testing.assert_allclose(info_nce(p, y, symmetric=True, **how).numpy(), both, rtol=1e-10)


def test_info_nce_is_a_cross_entropy_and_symmetric_where_asked():
    p, y = torch.randn(B, D), torch.randn(B, D)
    expected = F.cross_entropy(p @ y.T, torch.arange(B), reduction="none")
    torch.testing.assert_close(info_nce(p, y, temperature=1.0, normalise=False), expected)
    torch.testing.assert_close(info_nce(p, y, symmetric=True), info_nce(y, p, symmetric=True))
    assert not torch.allclose(info_nce(p, y), info_nce(y, p))


def test_info_nce_of_one_row_is_nothing_and_of_equals_log_b():
    assert info_nce(torch.randn(1, D), torch.randn(1, D)).item() == 0
    torch.testing.assert_close(info_nce(torch.ones(B, D), torch.ones(B, D)), torch.full((B,), math.log(B)))


def test_info_nce_reaches_both_sides():
    p, y = torch.randn(B, D, requires_grad=True), torch.randn(B, D, requires_grad=True)
    info_nce(p, y).sum().backward()
    assert p.grad.abs().sum() > 0
    assert y.grad.abs().sum() > 0


@pytest.mark.parametrize("normalise", [True, False])
def test_triplet_margin_is_its_formula(normalise):
    parts = [torch.randn(B, D, dtype=torch.float64) for _ in range(3)]
    rows = zip(*(unit(part, normalise) for part in parts), strict=True)
    expected = [max(0, sum((a - p) ** 2) - sum((a - n) ** 2) + 0.5) for a, p, n in rows]
    np.testing.assert_allclose(triplet_margin(*parts, margin=0.5, normalise=normalise).numpy(), expected, rtol=1e-10)
    assert 0 < sum(x == 0 for x in expected) < B


@pytest.mark.parametrize("normalise", [True, False])
def test_triplet_takes_the_hardest_rows_of_the_batch(normalise):
    p = torch.randn(B, D, dtype=torch.float64)
    labels = [0, 0, 0, 1, 1, 2, 1, 0, 3]  # 2 and 3 are alone
    x = unit(p, normalise)
    expected = []
    for i, own in enumerate(labels):
        apart = [sum((x[i] - x[j]) ** 2) for j in range(B)]
        mates = [d for j, d in enumerate(apart) if labels[j] == own and j != i]
        others = [d for j, d in enumerate(apart) if labels[j] != own]
        expected.append(max(0, max(mates) - min(others) + 0.2) if mates else 0)
    ours = triplet(p, torch.tensor(labels), normalise=normalise)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9)


def test_a_batch_without_triplets_costs_nothing_and_harms_nothing():
    for labels in (torch.zeros(4, dtype=torch.int64), torch.arange(4)):
        p = torch.randn(4, D, requires_grad=True)
        loss = triplet(p, labels)
        loss.sum().backward()
        assert loss.tolist() == [0] * 4
        assert p.grad.tolist() == [[0] * D] * 4


def test_equal_rows_have_a_gradient():
    p = torch.ones(4, D, requires_grad=True)
    triplet(p, torch.tensor([0, 0, 1, 1])).sum().backward()
    assert p.grad.isfinite().all()


@pytest.mark.parametrize(
    "loss", [info_nce, partial(info_nce, symmetric=True), partial(info_nce, normalise=False), triplet]
)
def test_rows_that_are_not_real_cost_nothing_and_change_nothing(loss):
    p, real = torch.randn(B, D, dtype=torch.float64, requires_grad=True), torch.arange(B) % 3 != 1
    y = torch.arange(B) % 2 if loss is triplet else torch.randn(B, D, dtype=torch.float64)
    whole = loss(p, y, real)
    torch.testing.assert_close(whole[real], loss(p[real], y[real]))
    assert (whole[~real] == 0).all()
    assert (whole[real] > 0).any()
    whole.sum().backward()
    assert (p.grad[~real] == 0).all()
    assert p.grad.isfinite().all()
    torch.testing.assert_close(loss(p, y, torch.ones(B, dtype=torch.bool)), loss(p, y))
    p.grad = None
    none = loss(p, y, torch.zeros(B, dtype=torch.bool))
    none.sum().backward()
    assert none.tolist() == [0] * B
    assert (p.grad == 0).all()


def test_rows_that_see_one_another_say_so():
    marks = {name: getattr(lookup("loss", name), "splits", True) for name in LOSSES}
    assert marks == {name: row.alone for name, row in LOSSES.items()}
    assert [name for name, splits in marks.items() if not splits] == ["info_nce", "triplet"]


def test_nt_xent_is_its_formula():
    one, other = torch.randn(B, D, dtype=torch.float64), torch.randn(B, D, dtype=torch.float64)
    places = F.normalize(torch.cat([one, other]), dim=1)
    scores = places @ places.T / 0.3
    each = []
    for i in range(2 * B):
        rest = torch.stack([scores[i, j] for j in range(2 * B) if j != i])
        each.append(rest.logsumexp(0) - scores[i, (i + B) % (2 * B)])
    expected = torch.stack(each).view(2, B).mean(0).float()
    torch.testing.assert_close(nt_xent(one, other, temperature=0.3), expected)
    torch.testing.assert_close(nt_xent(other, one, temperature=0.3), expected)


def test_nt_xent_of_equals_and_of_rows_that_are_not_seen():
    torch.testing.assert_close(nt_xent(torch.ones(B, D), torch.ones(B, D)), torch.full((B,), math.log(2 * B - 1)))
    one, other, real = torch.randn(B, D), torch.randn(B, D), torch.arange(B) != 1
    said = nt_xent(one, other, real)
    torch.testing.assert_close(said[real], nt_xent(one[real], other[real]))
    assert said[1] == 0
    assert nt_xent(one[:1], other[:1]).tolist() == [0]
