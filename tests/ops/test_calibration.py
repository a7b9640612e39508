"""Temperature scaling beside a search in float64, and the cases that have an answer by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ranvier.core.errors import DataError
from ranvier.ops.calibration import log_loss, temperature, tempered


def drawn(rows: int, classes: int, true: float, seed: int = 0):
    """Probabilities softmax(z), and classes drawn from softmax(z / true)."""
    random = np.random.default_rng(seed)
    z = 2 * random.normal(size=(rows, classes))
    fair = np.exp(z / true) / np.exp(z / true).sum(1, keepdims=True)
    truth = np.array([random.choice(classes, p=p) for p in fair])
    return torch.from_numpy(z).softmax(1), torch.from_numpy(truth)


def smoothed_loss(probs: np.ndarray, truth: np.ndarray, t: float, weight: np.ndarray) -> float:
    """What `temperature` minimises, written out."""
    powered = probs ** (1 / t)
    q = powered / powered.sum(1, keepdims=True)
    e = 1 / (len(probs) + 1)
    target = (1 - e) * np.eye(probs.shape[1])[truth] + e / probs.shape[1]
    return float((weight * -(target * np.log(q)).sum(1)).sum())


@pytest.mark.parametrize(("classes", "true"), [(2, 0.5), (2, 3.0), (7, 1.0), (7, 2.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_minimum_is_that_of_a_fine_search(classes, true, weighted):
    probs, truth = drawn(300, classes, true)
    weight = torch.rand(300, dtype=torch.float64) if weighted else None
    found = temperature(probs, truth, weight)
    near = found * np.exp(np.linspace(-0.02, 0.02, 401))  # the 200th is the one found
    w = np.ones(300) if weight is None else weight.numpy()
    losses = [smoothed_loss(probs.numpy(), truth.numpy(), t, w) for t in near]
    assert int(np.argmin(losses)) == 200


def test_the_temperature_that_the_classes_were_drawn_at_comes_back():
    for true in (0.5, 1.0, 2.0):
        assert temperature(*drawn(4000, 5, true)) == pytest.approx(true, rel=0.08)


def test_two_classes_of_one_probability_by_hand():
    """Says 0.9, is right in 3 of 4 rows: with t the smoothed share, T makes it say t."""
    probs = torch.tensor([[0.1, 0.9]] * 4, dtype=torch.float64)
    t = (1 - 1 / 5) * 0.75 + 1 / 5 / 2
    by_hand = math.log(9) / math.log(t / (1 - t))
    found = temperature(probs, torch.tensor([1, 1, 1, 0]))
    assert found == pytest.approx(by_hand, rel=1e-9)
    assert tempered(probs, found)[0, 1] == pytest.approx(t, rel=1e-9)


def test_rows_that_are_all_right_do_not_ask_for_certainty():
    probs = torch.tensor([[0.7, 0.3]] * 50)
    sure = tempered(probs, temperature(probs, torch.zeros(50, dtype=torch.int64)))
    assert sure[0, 0] == pytest.approx(1 - 0.5 / 51, rel=1e-5)  # the rule of succession, halved


def test_rows_that_say_nothing_leave_the_temperature_in_its_bounds():
    even = torch.full((10, 4), 0.25)
    assert 1e-3 <= temperature(even, torch.arange(10) % 4) <= 1e3
    wrong = torch.tensor([[0.99, 0.01]] * 10)
    assert temperature(wrong, torch.ones(10, dtype=torch.int64)) == pytest.approx(1e3)


def test_no_answer_changes_and_one_changes_nothing():
    probs = torch.rand(500, 6).softmax(1)
    for t in (0.3, 0.9, 1.4, 5.0):
        out = tempered(probs, t)
        assert out.dtype == probs.dtype
        assert torch.equal(out.argmax(1), probs.argmax(1))
        torch.testing.assert_close(out.sum(1), torch.ones(500))
        reference = (probs.double().log() / t).softmax(1)
        torch.testing.assert_close(out.double(), reference, rtol=1e-6, atol=1e-9)
    assert tempered(probs, 1.0) is probs
    zero = tempered(torch.tensor([[1.0, 0.0]]), 2.0)
    assert zero.isfinite().all()
    assert zero[0, 1] < 1e-15


def test_log_loss():
    probs = torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=torch.float64)
    truth = torch.tensor([1, 0])
    assert log_loss(probs, truth) == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    assert log_loss(probs, truth, torch.tensor([3.0, 1.0])) == pytest.approx(-(3 * math.log(0.75) + math.log(0.5)) / 4)


def test_nothing_to_calibrate_by():
    probs = torch.rand(3, 2).softmax(1)
    with pytest.raises(DataError, match="nothing to calibrate by"):
        temperature(probs, torch.zeros(3, dtype=torch.int64), torch.zeros(3))
    with pytest.raises(DataError, match=r"must lie in \[0, 2\)"):
        temperature(probs, torch.tensor([0, 1, 2]))
