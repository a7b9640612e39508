"""Losses against their formulas, written out in float64 numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ranvier.core.errors import DataError
from ranvier.ops.losses import (
    LOSSES,
    absolute_error,
    binary_cross_entropy,
    cross_entropy,
    huber,
    inverse_frequency,
    known,
    soft_cross_entropy,
    squared_error,
)

B, C = 7, 4


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8])
def test_cross_entropy_is_its_formula(smoothing, weighted, kind):
    z, y = 3 * torch.randn(B, C, dtype=torch.float64), torch.randint(C, (B,)).to(kind)
    w = torch.rand(C, dtype=torch.float64) if weighted else None
    q = np.eye(C)[y.numpy()] * (1 - smoothing) + smoothing / C
    expected = -(q * (np.ones(C) if w is None else w.numpy()) * log_softmax(z.numpy())).sum(1)
    np.testing.assert_allclose(cross_entropy(z, y, smoothing, w).numpy(), expected, rtol=1e-12)


def test_soft_cross_entropy_meets_the_hard_one():
    z, y = torch.randn(B, C, dtype=torch.float64), torch.randint(C, (B,))
    torch.testing.assert_close(soft_cross_entropy(z, torch.eye(C)[y]), cross_entropy(z, y))
    q = torch.rand(B, C, dtype=torch.float64)
    q = q / q.sum(1, keepdim=True)
    np.testing.assert_allclose(
        soft_cross_entropy(z, q).numpy(), -(q.numpy() * log_softmax(z.numpy())).sum(1), rtol=1e-12
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_binary_cross_entropy_is_its_formula(smoothing):
    z, y = 3 * torch.randn(B, C, dtype=torch.float64), torch.randint(2, (B, C), dtype=torch.uint8)
    p, t = 1 / (1 + np.exp(-z.numpy())), y.numpy() * (1 - smoothing) + smoothing / 2
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum(1)
    np.testing.assert_allclose(binary_cross_entropy(z, y, smoothing).numpy(), expected, rtol=1e-10)


def test_binary_cross_entropy_stays_finite_far_out():
    far = torch.tensor([[1e4], [-1e4]])
    assert binary_cross_entropy(far, torch.tensor([[0], [1]])).tolist() == [1e4, 1e4]


@pytest.mark.parametrize("delta", [0.5, 1.0])
def test_errors_are_their_formulas(delta):
    p, y = 2 * torch.randn(B, 3, dtype=torch.float64), torch.randn(B, 3, dtype=torch.float64)
    e = (p - y).numpy()
    np.testing.assert_allclose(squared_error(p, y).numpy(), (e**2).sum(1), rtol=1e-12)
    np.testing.assert_allclose(absolute_error(p, y).numpy(), np.abs(e).sum(1), rtol=1e-12)
    expected = np.where(np.abs(e) <= delta, e**2 / 2, delta * (np.abs(e) - delta / 2)).sum(1)
    np.testing.assert_allclose(huber(p, y, delta).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber", "binary_cross_entropy"])
def test_a_column_of_outputs_meets_a_flat_target_but_nothing_else_is_broadcast(name):
    loss, p, y = LOSSES[name], torch.randn(B, 1), torch.rand(B)
    torch.testing.assert_close(loss(p, y), loss(p[:, 0], y))
    torch.testing.assert_close(loss(p[:, 0], y[:, None]), loss(p, y[:, None]))
    with pytest.raises(DataError, match=r"\(7, 2\), the target \(7,\)"):
        loss(torch.randn(B, 2), y)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_each_row_has_its_own_loss_in_full_precision(name):
    classes = name == "cross_entropy"
    p = torch.randn(B, C)
    y = torch.randint(C, (B,)) if classes else torch.rand(B, C)
    whole = LOSSES[name](p, y)
    assert whole.shape == (B,)
    torch.testing.assert_close(whole, torch.cat([LOSSES[name](p[i : i + 1], y[i : i + 1]) for i in range(B)]))
    assert LOSSES[name](p.bfloat16(), y).dtype == torch.float32
    assert LOSSES[name](p.double(), y).dtype == torch.float64


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_agree_with_finite_differences(name):
    y = torch.randint(C, (B,)) if name == "cross_entropy" else torch.rand(B, C, dtype=torch.float64)
    p = torch.randn(B, C, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, y), p)


def test_inverse_frequency_gives_present_classes_the_same_say():
    counts = torch.tensor([8, 2, 0, 30])
    weight = inverse_frequency(counts)
    assert weight[2] == 0
    shares = (weight * counts)[counts > 0]
    torch.testing.assert_close(shares, torch.full((3,), 40 / 3))
    assert inverse_frequency(torch.zeros(2)).tolist() == [0, 0]


def test_known_classes_stay_and_others_become_safe():
    codes = torch.tensor([0, 3, 4, -1], dtype=torch.int32)
    assert known(codes, C).tolist() == [0, 3, 3, 0]
    assert known(codes, C, torch.tensor([True, False, True, True])).tolist() == [0, 0, 3, 0]


def test_knowing_nothing_costs_log_c():
    assert math.isclose(cross_entropy(torch.zeros(1, C), torch.tensor([2])).item(), math.log(C), rel_tol=1e-6)
