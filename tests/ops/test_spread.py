"""Expected errors beside the law that they were drawn from, and beside a search."""

from __future__ import annotations

import torch

from ranvier.ops.spread import SHRINK, log_linear, spread


def drawn(rows: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    hints = torch.randn(rows, 2, dtype=torch.float64) * torch.tensor([5.0, 0.1]) + torch.tensor([100.0, -3.0])
    size = (0.6 * (hints[:, 0] - 100) / 5).exp()
    return hints, size * torch.empty(rows, dtype=torch.float64).exponential_()


def test_the_law_that_errors_were_drawn_from_comes_back():
    hints, errors = drawn()
    learnt = log_linear(hints, 1e-6 * errors)
    torch.testing.assert_close(learnt[2], torch.tensor([0.6, 0.0], dtype=torch.float64), atol=0.06, rtol=0)
    at = torch.tensor([[95.0, -3.0], [105.0, -3.0]], dtype=torch.float64)
    low, high = spread(at, learnt)
    assert abs(float((high / low).log()) - 1.2) < 0.1


def test_it_is_the_minimum():
    hints, errors = drawn(60)
    learnt = log_linear(hints, errors)
    z = ((hints - hints.mean(0)) / hints.std(0, correction=0)).clamp(-3, 3)
    e = errors / errors.mean()

    def cost(b: torch.Tensor) -> float:
        s = (z @ b).exp()
        a = (e / s).mean()  # the best scale for these
        return float((e / (a * s) + (a * s).log()).sum() + SHRINK / 2 * b.square().sum())

    for step in 0.02 * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64):
        assert cost(learnt[2]) < cost(learnt[2] + step)


def test_what_says_nothing_changes_nothing():
    hints, errors = drawn(50)
    flat = log_linear(torch.full_like(hints, 7.0), errors)
    assert flat[2].tolist() == [0.0, 0.0]
    torch.testing.assert_close(spread(hints, flat), torch.ones(50, dtype=torch.float64))
    none = log_linear(hints, torch.zeros(50))
    torch.testing.assert_close(spread(hints, none), torch.ones(50, dtype=torch.float64))
    far = spread(hints * 1e6, log_linear(hints, errors))
    assert far.isfinite().all()


def test_wild_errors_do_not_throw_it_off():
    hints, _ = drawn(200)
    errors = torch.zeros(200)
    errors[3] = 1e12
    learnt = log_linear(hints, errors)
    assert learnt.isfinite().all()
    assert learnt[2].abs().max() < 3
