"""Losses against their formulas, written out in float64 numpy, a row at a time; and the laws that hold for all."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from descriptors import LOSSES
from sklearn.metrics import hinge_loss, mean_pinball_loss

from ranvier.core.errors import DataError, PlanError
from ranvier.core.registry import lookup
from ranvier.core.schema import check_options
from ranvier.ops.losses import (
    absolute_error,
    binary_cross_entropy,
    binary_focal,
    binary_hinge,
    cross_entropy,
    focal,
    half_squared_error,
    hinge,
    huber,
    inverse_frequency,
    kl,
    known,
    quantile,
    soft_cross_entropy,
    squared_error,
)

B, C = 8, 4
WEIGHTS = [0.5, 2.0, 1.0, 0.25]
ALONE = [name for name, row in LOSSES.items() if row.alone]


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def label(y, smoothing):
    """A class number as a distribution."""
    return (1 - smoothing) * np.eye(C)[y] + smoothing / C


def by_class(z, y, one, smoothing=0.0, class_weight=()):
    """The loss `one(c)` expected under the smoothed label."""
    w = np.asarray(class_weight) if len(class_weight) else np.ones(C)
    return sum(q * w[c] * one(c) for c, q in enumerate(label(y, smoothing)))


def by_label(z, y, yes, no, smoothing=0.0):
    t = y * (1 - smoothing) + smoothing / 2
    return sum(t_ * yes(p) + (1 - t_) * no(p) for t_, p in zip(t, sigmoid(z), strict=True))


def focal_labels(z, y, gamma=2.0, alpha="none", smoothing=0.0):
    a, b = (1, 1) if alpha == "none" else (alpha, 1 - alpha)
    yes, no = (lambda p: -a * (1 - p) ** gamma * np.log(p)), (lambda p: -b * p**gamma * np.log(1 - p))
    return by_label(z, y, yes, no, smoothing)


def pinball(z, y, level=0.5):
    return sum(level * e if e > 0 else (level - 1) * e for e in y - z)


def huber_(z, y, delta=1.0):
    return sum(e * e / 2 if abs(e) <= delta else delta * (abs(e) - delta / 2) for e in z - y)


def angle(z, y):
    return 1 - z @ y / math.sqrt((z @ z) * (y @ y))


# name -> (the options to try, the loss of one row: z (C,) and y)
REFERENCES = {
    "squared_error": ([{}], lambda z, y: sum((z - y) ** 2)),
    "half_squared_error": ([{}], lambda z, y: np.linalg.norm(y - z) ** 2 / 2),
    "absolute_error": ([{}], lambda z, y: sum(abs(z - y))),
    "huber": ([{}, {"delta": 0.3}], huber_),
    "quantile": ([{}, {"level": 0.1}, {"level": 0.95}], pinball),
    "cross_entropy": (
        [{}, {"smoothing": 0.2}, {"class_weight": WEIGHTS}, {"smoothing": 0.1, "class_weight": WEIGHTS}],
        lambda z, y, **o: by_class(z, y, lambda c: -np.log(softmax(z)[c]), **o),
    ),
    "focal": (
        [{}, {"gamma": 0.0}, {"gamma": 0.5, "smoothing": 0.2}, {"gamma": 3.0, "class_weight": WEIGHTS}],
        lambda z, y, gamma=2.0, **o: by_class(
            z, y, lambda c: -((1 - softmax(z)[c]) ** gamma) * np.log(softmax(z)[c]), **o
        ),
    ),
    "hinge": (
        [{}, {"smoothing": 0.3}],
        lambda z, y, **o: by_class(z, y, lambda c: max(0, 1 + max(np.delete(z, c)) - z[c]), **o),
    ),
    "soft_cross_entropy": ([{}], lambda z, y: -sum(y * np.log(softmax(z)))),
    "kl": ([{}], lambda z, y: sum(t * np.log(t / p) for t, p in zip(y, softmax(z), strict=True) if t > 0)),
    "cosine": ([{}], angle),
    "binary_cross_entropy": (
        [{}, {"smoothing": 0.1}],
        lambda z, y, **o: by_label(z, y, lambda p: -np.log(p), lambda p: -np.log(1 - p), **o),
    ),
    "binary_focal": (
        [{}, {"gamma": 0.0}, {"gamma": 0.5, "alpha": 0.25}, {"gamma": 2.0, "smoothing": 0.2}],
        focal_labels,
    ),
    "binary_hinge": ([{}], lambda z, y: sum(max(0, 1 - (2 * t - 1) * s) for t, s in zip(y, z, strict=True))),
}


def test_every_loss_that_takes_rows_alone_has_a_reference():
    assert sorted(REFERENCES) == sorted(ALONE)


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, (all_, _) in REFERENCES.items() for o in all_])
def test_each_loss_is_its_formula(name, options):
    prediction, target = LOSSES[name].make(50, C)
    options = check_options(lookup("loss", name), options, "loss")
    ours = lookup("loss", name)(prediction, target, **options)
    expected = [REFERENCES[name][1](z, y, **options) for z, y in zip(prediction.numpy(), target.numpy(), strict=True)]
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ALONE)
def test_each_row_has_its_own_loss_in_full_precision(name):
    p, y = LOSSES[name].make(B, C)
    loss = lookup("loss", name)
    whole = loss(p, y)
    assert whole.shape == (B,)
    torch.testing.assert_close(whole, torch.cat([loss(p[i : i + 1], y[i : i + 1]) for i in range(B)]))


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_widened_and_double_kept(name):
    p, y = LOSSES[name].make(B, C)
    loss = lookup("loss", name)
    half = loss(p.bfloat16(), y)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), loss(p.bfloat16().double(), y), rtol=1e-4, atol=1e-5)
    assert loss(p, y).dtype == torch.float64


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_finite_differences(name):
    p, y = LOSSES[name].make(B, C)
    loss = lookup("loss", name)
    assert torch.autograd.gradcheck(lambda x: loss(x, y), p.requires_grad_())


@pytest.mark.parametrize("name", ALONE)
def test_losses_and_gradients_stay_finite_far_out(name):
    p, y = LOSSES[name].make(B, C)
    for scale in (0.0, 1e4):
        far = (scale * p.float()).requires_grad_()
        loss = lookup("loss", name)(far, y)
        loss.sum().backward()
        assert loss.isfinite().all()
        assert far.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_gradient_where_all_is_certain(gamma):
    for loss, p, y in (
        (focal, torch.tensor([[200.0, 0.0], [0.0, 200.0]]), torch.tensor([0, 0])),
        (binary_focal, torch.tensor([[200.0, -200.0], [-200.0, 200.0]]), torch.tensor([[1, 0], [1, 0]])),
    ):
        p.requires_grad_()
        value = loss(p, y, gamma=gamma)
        value.sum().backward()
        assert value[0] == 0
        assert value[1] >= 200
        assert p.grad.isfinite().all()


def test_soft_cross_entropy_meets_the_hard_one_and_kl_is_what_remains_above_the_entropy():
    z, y = torch.randn(B, C, dtype=torch.float64), torch.randint(C, (B,))
    torch.testing.assert_close(soft_cross_entropy(z, torch.eye(C)[y]), cross_entropy(z, y))
    torch.testing.assert_close(kl(z, torch.eye(C)[y]), cross_entropy(z, y))
    q = torch.rand(B, C, dtype=torch.float64).softmax(1)
    torch.testing.assert_close(kl(z, q), soft_cross_entropy(z, q) - soft_cross_entropy(q.log(), q))
    torch.testing.assert_close(kl(q.log() + 5, q), torch.zeros(B, dtype=torch.float64))


def test_focal_without_focus_is_the_cross_entropy():
    z, y = torch.randn(B, C), torch.randint(C, (B,))
    for options in ({}, {"smoothing": 0.1, "class_weight": WEIGHTS}):
        torch.testing.assert_close(focal(z, y, gamma=0.0, **options), cross_entropy(z, y, **options))
    t = torch.randint(2, (B, C))
    torch.testing.assert_close(binary_focal(z, t, gamma=0.0), binary_cross_entropy(z, t))
    torch.testing.assert_close(binary_focal(z, t, gamma=2.0, alpha=0.5), 0.5 * binary_focal(z, t, gamma=2.0))


def test_by_hand():
    z = torch.tensor([[2.0, 0.5, 1.8]])
    assert hinge(z, torch.tensor([0])).item() == pytest.approx(0.8)
    assert hinge(z, torch.tensor([1])).item() == pytest.approx(2.5)
    assert hinge(torch.tensor([[3.0]]), torch.tensor([0])).item() == 0  # nobody to lead
    assert binary_hinge(torch.tensor([[0.3, -2.0]]), torch.tensor([[1, 0]])).item() == pytest.approx(0.7)
    nine = torch.tensor([[math.log(9.0), 0.0]])  # p = 0.9
    assert focal(nine, torch.tensor([0])).item() == pytest.approx(0.01 * -math.log(0.9), rel=1e-4)
    assert half_squared_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]])).item() == 2.5
    assert quantile(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 3.0]), level=0.9).tolist() == pytest.approx([1.8, 0.2])


def test_against_scikit_learn():
    z, y = torch.randn(B, C, dtype=torch.float64), torch.arange(B) % C
    assert hinge(z, y).mean().item() == pytest.approx(hinge_loss(y, z.numpy()))
    signs = torch.arange(B) % 2
    assert binary_hinge(z[:, 0], signs).mean().item() == pytest.approx(hinge_loss(signs, z[:, 0].numpy()))
    for level in (0.1, 0.7):
        ours = quantile(z[:, 0], z[:, 1], level=level).mean().item()
        assert ours == pytest.approx(mean_pinball_loss(z[:, 1], z[:, 0], alpha=level))


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8])
def test_class_numbers_may_be_of_any_integer_type(kind):
    z, y = torch.randn(B, C), torch.randint(C, (B,))
    for loss in (cross_entropy, focal, hinge):
        torch.testing.assert_close(loss(z, y.to(kind)), loss(z, y))


@pytest.mark.parametrize(
    "loss",
    [
        squared_error,
        half_squared_error,
        absolute_error,
        huber,
        quantile,
        binary_cross_entropy,
        binary_focal,
        binary_hinge,
    ],
)
def test_a_column_of_outputs_meets_a_flat_target_but_nothing_else_is_broadcast(loss):
    p, y = torch.randn(7, 1), torch.rand(7)
    torch.testing.assert_close(loss(p, y), loss(p[:, 0], y))
    torch.testing.assert_close(loss(p[:, 0], y[:, None]), loss(p, y[:, None]))
    with pytest.raises(DataError, match=r"\(7, 2\), the target \(7,\)"):
        loss(torch.randn(7, 2), y)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("huber", {"delta": 0.0}, "greater than 0"),
        ("quantile", {"level": 1.0}, "less than 1"),
        ("focal", {"gamma": -1.0}, "greater than or equal to 0"),
        ("binary_focal", {"alpha": 1.5}, "less than 1"),
        ("cross_entropy", {"smoothing": 1.0}, "less than 1"),
        ("info_nce", {"temperature": 0.0}, "greater than 0"),
        ("triplet", {"margins": 1.0}, "did you mean 'margin'"),
    ],
)
def test_options_are_checked_by_name(name, options, said):
    with pytest.raises(PlanError, match=said):
        check_options(lookup("loss", name), options, "loss")


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
