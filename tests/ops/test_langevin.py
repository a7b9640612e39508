"""Langevin chains where the distribution is known."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.ops.langevin import mala, ula


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bowl(x):
    """N(0, 1) in each of the row's numbers."""
    return x.flatten(1).square().sum(1) / 2


def mixture(x):
    """0.3 N(-1.5, 0.5^2) + 0.7 N(1, 0.5^2)."""
    weights, centres = torch.tensor([0.3, 0.7]).to(x), torch.tensor([-1.5, 1.0]).to(x)
    return -(weights.log() - (x - centres).square() / (2 * 0.5**2)).logsumexp(1)


def test_unadjusted_chains_have_the_variance_that_their_step_gives():
    """x <- (1 - h) x + sqrt(2 h) n has the variance 2 h / (1 - (1 - h)^2) = 1 / (1 - h / 2)."""
    for step in (0.1, 1.0):
        x = ula(bowl, torch.randn(40_000, 1), step=step, steps=40, generator=seeded())
        assert x.var().item() == pytest.approx(1 / (1 - step / 2), rel=0.03)


def test_adjusted_chains_are_exact_where_unadjusted_ones_are_not():
    start = torch.randn(40_000, 1, generator=seeded(1))
    x, taken = mala(bowl, 0.2 * start, step=1.0, steps=40, generator=seeded())
    assert x.var().item() == pytest.approx(1.0, rel=0.03)
    assert x.pow(4).mean().item() == pytest.approx(3.0, rel=0.06)
    assert taken.shape == (40_000,)
    assert 0.5 < taken.mean() < 0.95


def test_a_mixture_gets_its_weights():
    x, _ = mala(mixture, torch.zeros(10_000, 1), step=0.3, steps=300, generator=seeded())
    assert (x < -0.25).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert x[x > -0.25].mean().item() == pytest.approx(1.0, abs=0.03)
    assert x[x > -0.25].std().item() == pytest.approx(0.5, abs=0.03)
    biased = ula(mixture, torch.zeros(10_000, 1), step=0.3, steps=300, generator=seeded())
    assert biased[biased > -0.25].std().item() > 0.6


def test_the_share_taken_rises_to_one_as_the_step_falls():
    start = torch.randn(2_000, 5, generator=seeded(1))
    shares = [
        mala(bowl, start, step=step, steps=20, generator=seeded())[1].mean().item() for step in (1.5, 0.5, 0.1, 1e-4)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] > 0.9999


def test_one_step_by_hand():
    """Of one adjusted step from x = 1 on a bowl those that are taken are those of the unadjusted step."""
    start = torch.ones(5_000, 1).double()
    y = ula(bowl, start, step=1.2, steps=1, generator=seeded())
    x, taken = mala(bowl, start, step=1.2, steps=1, generator=seeded())
    assert torch.equal(x, torch.where(taken[:, None] == 1, y, start))
    ahead, back = (y - (1 - 1.2)).square(), (1 - (1 - 1.2) * y).square()
    chance = (0.5 - y.square() / 2 + (ahead - back) / (4 * 1.2)).exp().clamp(max=1)
    assert taken.mean().item() == pytest.approx(chance.mean().item(), abs=0.02)
    certain = chance[:, 0] == 1
    assert 0 < certain.sum() < 5_000
    assert (taken[certain] == 1).all()


def test_the_same_generator_gives_the_same_chains():
    for method in (ula, lambda *a, **k: mala(*a, **k)[0]):
        one, two, other = (
            method(bowl, torch.zeros(3, 2, 2), step=0.1, steps=5, generator=seeded(seed)) for seed in (0, 0, 1)
        )
        assert torch.equal(one, two)
        assert not torch.equal(one, other)
        assert one.shape == (3, 2, 2)


def test_nothing_goes_where_the_energy_is_infinite():
    def inside(x):
        return torch.where(x[:, 0].abs() < 1, 0 * x[:, 0], math.inf)

    x, taken = mala(inside, torch.zeros(5_000, 1), step=0.3, steps=60, generator=seeded())
    assert x.abs().max() < 1
    assert x.var().item() == pytest.approx(1 / 3, rel=0.06)  # uniform on (-1, 1)
    assert 0 < taken.mean() < 1


def test_parameters_get_no_gradient_and_gradients_need_not_be_on():
    net = torch.nn.Linear(2, 1)
    start = torch.zeros(4, 2, requires_grad=True)
    with torch.no_grad():
        x = ula(lambda x: net(x)[:, 0], start, step=0.1, steps=2, generator=seeded())
    y, _ = mala(lambda x: net(x)[:, 0] + bowl(x), start, step=0.1, steps=2, generator=seeded())
    assert not x.requires_grad
    assert not y.requires_grad
    assert net.weight.grad is None
    assert start.grad is None
    assert not ula(bowl, start, step=0.1, steps=0).requires_grad


def test_refuses_nonsense():
    for method in (ula, mala):
        with pytest.raises(ValueError, match="positive step"):
            method(bowl, torch.zeros(2, 1), step=0.0, steps=1)
        with pytest.raises(ValueError, match="one number a row"):
            method(lambda x: x.square(), torch.zeros(2, 1), step=0.1, steps=1)
