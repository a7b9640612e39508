"""Diffusion and flow matching: schedules by hand, preconditioning as derived, samplers where the score is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from ranvier.ops import diffusion
from ranvier.ops.diffusion import (
    edm_denoiser,
    edm_pair,
    edm_preconditioning,
    edm_sigmas,
    edm_training_sigmas,
    edm_weight,
    flow_denoiser,
    flow_pair,
    flow_sigmas,
    flow_training_times,
    guided,
    sample,
    sample_flow,
)

MEAN, STD = 1.5, 0.4
CENTRES, SPREAD, WEIGHTS = torch.tensor([-2.0, 1.0]).double(), 0.3, torch.tensor([0.3, 0.7]).double()


def gaussian(x, sigma):
    """The exact denoiser of N(MEAN, STD^2)."""
    noise = diffusion.along(sigma, x).square()
    return (STD**2 * x + noise * MEAN) / (STD**2 + noise)


def mixture(x, sigma):
    """The exact denoiser of a mixture of two Gaussians on a line, x (B, 1)."""
    noise = sigma[:, None].square()
    total = SPREAD**2 + noise
    share = (WEIGHTS.log() - (x - CENTRES).square() / (2 * total)).softmax(1)
    return (share * (SPREAD**2 * x + noise * CENTRES) / total).sum(1, keepdim=True)


def velocity_of(denoise):
    """The velocity on the straight way that belongs to a denoiser: (E[clean] - z) / (1 - t)."""

    def velocity(z, t):
        t = t.clamp(1e-9, 1 - 1e-9)
        return (denoise(z / diffusion.along(t, z), (1 - t) / t) - z) / diffusion.along(1 - t, z)

    return velocity


def quantiles(n):
    """Noise (n, 1) that has the normal distribution as evenly as n numbers can."""
    return torch.special.ndtri((torch.arange(n).double() + 0.5) / n)[:, None]


# ---- schedules


def test_levels_are_those_of_the_formula():
    levels = edm_sigmas(3, sigma_min=1.0, sigma_max=16.0, rho=2.0)  # 4, 2.5, 1 squared
    torch.testing.assert_close(levels, torch.tensor([16.0, 6.25, 1.0, 0.0]).double(), rtol=1e-15, atol=0)
    levels = edm_sigmas(18)
    middle = (80 ** (1 / 7) + 9 / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert levels[9].item() == pytest.approx(middle, rel=1e-12)
    assert levels[9].item() == pytest.approx(1.9233, abs=5e-4)  # worked out apart


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_levels_fall_from_one_end_to_the_other(steps, rho):
    levels = edm_sigmas(steps, sigma_min=0.01, sigma_max=50.0, rho=rho)
    assert levels.shape == (steps + 1,)
    assert levels.dtype == torch.float64
    assert levels[0] == 50.0
    assert levels[-1] == 0.0
    assert steps == 1 or levels[-2] == 0.01
    assert (levels.diff() < 0).all()


def test_levels_that_cannot_be():
    for arguments in ({"steps": 0}, {"steps": 5, "sigma_min": 0.0}, {"steps": 5, "sigma_max": 0.001}):
        with pytest.raises(ValueError, match="expected 1 step or more"):
            edm_sigmas(**arguments)
    noise = torch.zeros(1, 1)
    for levels in ([1.0], [1.0, 2.0], [1.0, 1.0], [1.0, -1.0]):
        with pytest.raises(ValueError, match="falling numbers"):
            sample(gaussian, noise, torch.tensor(levels))
    with pytest.raises(ValueError, match="rising numbers"):
        sample_flow(gaussian, noise, torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="looks back"):
        sample(gaussian, noise, edm_sigmas(4), method="dpmpp_2m", churn=1.0)


def test_levels_and_times_to_learn_from():
    generator = torch.Generator().manual_seed(0)
    logs = edm_training_sigmas(20_000, mean=-0.7, std=1.4, generator=generator).log()
    assert logs.mean().item() == pytest.approx(-0.7, abs=0.04)
    assert logs.std().item() == pytest.approx(1.4, abs=0.03)
    logits = flow_training_times(20_000, mean=0.5, std=2.0, generator=generator).logit()
    assert logits.mean().item() == pytest.approx(0.5, abs=0.06)
    assert logits.std().item() == pytest.approx(2.0, abs=0.04)
    again = torch.Generator().manual_seed(0)
    assert torch.equal(edm_training_sigmas(20_000, mean=-0.7, std=1.4, generator=again).log(), logs)


# ---- preconditioning


def test_factors_by_hand():
    factors = edm_preconditioning(torch.tensor([2.0]).double(), 1.5)  # sigma^2 + data_std^2 = 2.5^2
    assert [part.item() for part in factors] == pytest.approx([0.36, 1.2, 0.4, math.log(2) / 4], rel=1e-14)
    assert edm_weight(torch.tensor([2.0]).double(), 1.5).item() == pytest.approx(6.25 / 9, rel=1e-14)


def test_without_noise_the_denoiser_is_the_identity():
    x = torch.randn(5, 3).double()
    for sigma in (1e-3, 1e-6):
        denoise = edm_denoiser(lambda x, level: torch.full_like(x, 7.0))
        error = (denoise(x, torch.full((5,), sigma).double()) - x).abs().max().item()
        assert error < 10 * sigma
        assert error > sigma / 10


@pytest.mark.parametrize("sigma", [0.01, 0.5, 3.0, 50.0])
def test_what_the_network_sees_and_learns_has_variance_one(sigma):
    x, noise = 0.7 * torch.randn(40_000, 1).double(), torch.randn(40_000, 1).double()
    sigmas = torch.full((40_000,), sigma).double()
    into, level, target = edm_pair(x, noise, sigmas, 0.7)
    assert into.var().item() == pytest.approx(1, abs=0.03)
    assert target.var().item() == pytest.approx(1, abs=0.03)
    assert (into * target).mean().item() == pytest.approx(0, abs=0.03)  # skip leaves nothing that a line can tell
    assert level[0].item() == pytest.approx(math.log(sigma) / 4)


def test_the_network_s_error_is_the_denoiser_s_by_its_weight():
    def net(x, level):
        return x.sin() + level[:, None, None]

    x, noise, sigma = torch.randn(6, 2, 3).double(), torch.randn(6, 2, 3).double(), torch.rand(6).double() + 0.1
    into, level, target = edm_pair(x, noise, sigma, 0.6)
    noisy = x + sigma[:, None, None] * noise
    error = (edm_denoiser(net, 0.6)(noisy, sigma) - x).square().sum((1, 2))
    torch.testing.assert_close((net(into, level) - target).square().sum((1, 2)), edm_weight(sigma, 0.6) * error)


# ---- samplers with the exact score


@pytest.mark.parametrize("method", ["euler", "heun", "dpmpp_2m"])
def test_a_gaussian_is_recovered(method):
    steps = {"euler": 400, "heun": 30, "dpmpp_2m": 60}[method]
    made = sample(gaussian, quantiles(2_001), edm_sigmas(steps), method=method)
    assert made.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert made.std().item() == pytest.approx(STD, rel=0.03)


@pytest.mark.parametrize("method", ["heun", "dpmpp_2m"])
def test_a_mixture_is_recovered(method):
    made = sample(mixture, quantiles(4_001), edm_sigmas(40), method=method)
    low = made[made < -0.6]
    assert len(low) / 4_001 == pytest.approx(0.3, abs=0.01)
    assert low.mean().item() == pytest.approx(-2.0, abs=0.03)
    assert low.std().item() == pytest.approx(SPREAD, rel=0.06)
    assert made[made > -0.6].mean().item() == pytest.approx(1.0, abs=0.03)


def test_churn_keeps_the_distribution_and_follows_the_generator():
    noise = torch.randn(4_000, 1).double()

    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(mixture, noise, edm_sigmas(60), churn=20.0, churn_noise=1.0, generator=generator)

    made = drawn(0)
    assert (made < -0.6).double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert made[made > -0.6].std().item() == pytest.approx(SPREAD, rel=0.06)
    assert torch.equal(made, drawn(0))
    assert not torch.allclose(made, drawn(1))
    plain = sample(mixture, noise, edm_sigmas(60))
    assert torch.equal(plain, sample(mixture, noise, edm_sigmas(60)))
    assert torch.equal(plain, sample(mixture, noise, edm_sigmas(60), churn=20.0, churn_range=(90.0, 99.0)))


def falls(errors):
    """By how much the error falls each time the steps double."""
    return [before / after for before, after in pairwise(errors)]


@pytest.mark.parametrize(("method", "least", "most"), [("euler", 1.8, 2.2), ("heun", 3.5, 4.6), ("dpmpp_2m", 3.5, 4.6)])
def test_orders_of_convergence(method, least, most):
    """On a Gaussian the way from sigma = 10 to 0.1 is known: x - MEAN shrinks as the standard deviation does."""
    noise = quantiles(21)
    start, end = (math.sqrt(STD**2 + sigma**2) for sigma in (10.0, 0.1))
    exact = MEAN + (10 * noise - MEAN) * end / start
    errors = []
    for steps in (64, 128, 256):
        uneven = (
            torch.linspace(0.2, 1, steps + 1).double().square()
        )  # looking back has to heed how far apart levels are
        along = (uneven - uneven[0]) / (1 - uneven[0])
        levels = (math.log(10) + along * math.log(0.01)).exp()
        errors.append((sample(gaussian, noise, levels, method=method) - exact).abs().max().item())
    assert all(least < fall < most for fall in falls(errors)), errors


@pytest.mark.parametrize(("method", "times"), [("euler", 1), ("heun", 2), ("dpmpp_2m", 1)])
def test_how_often_the_denoiser_is_asked(method, times):
    asked = []

    def counting(x, sigma):
        asked.append(sigma[0].item())
        return gaussian(x, sigma)

    sample(counting, quantiles(3), edm_sigmas(6), method=method)
    assert len(asked) == 6 * times - (times - 1)
    assert asked[0] == 80.0


def test_one_step_gives_what_the_denoiser_says():
    noise = torch.randn(4, 2, 3)
    for method in ("euler", "heun", "dpmpp_2m"):
        made = sample(gaussian, noise, edm_sigmas(1, sigma_max=5.0), method=method)
        torch.testing.assert_close(made, gaussian(5 * noise, torch.full((4,), 5.0)))
        assert made.dtype == torch.float32


# ---- guidance


def test_guidance():
    def one(x, level):
        return x + level[:, None]

    def other(x, level):
        return 3 * x

    assert guided(one, other, 0.0) is other
    assert guided(one, other, 1.0) is one
    x, level = torch.randn(5, 2), torch.rand(5)
    for scale in (0.5, 3.0):
        torch.testing.assert_close(guided(one, other, scale)(x, level), 3 * x + scale * (level[:, None] - 2 * x))


def test_guidance_of_a_gaussian_moves_towards_the_condition():
    def at(mean):
        return lambda x, sigma: (x + sigma[:, None].square() * mean) / (1 + sigma[:, None].square())

    made = sample(guided(at(2.0), at(0.0), 2.0), quantiles(501), edm_sigmas(30))
    assert made.mean().item() == pytest.approx(4.0, abs=0.1)


# ---- flow matching


def test_the_straight_way():
    x, noise = torch.randn(3, 2), torch.randn(3, 2)
    place, velocity = flow_pair(x, noise, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(place, torch.stack([noise[0], 0.75 * noise[1] + 0.25 * x[1], x[2]]))
    torch.testing.assert_close(velocity, x - noise)


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun"])
def test_straight_ways_need_one_step(method):
    made = sample_flow(lambda x, t: torch.full_like(x, 2.0), torch.ones(3, 1), torch.tensor([0.0, 1.0]), method=method)
    assert made.tolist() == [[3.0]] * 3


@pytest.mark.parametrize(("method", "least", "most"), [("euler", 1.8, 2.2), ("midpoint", 3.5, 4.6), ("heun", 3.5, 4.6)])
def test_orders_of_convergence_of_flows(method, least, most):
    """dx / dt = -2 t x + cos t, of which the answer at 0.8 is taken from Simpson's rule with the integrating factor."""
    noise = quantiles(21)

    def velocity(x, t):
        return -2 * t[:, None] * x + t[:, None].cos()

    s = torch.linspace(0, 0.8, 2_001).double()
    simpson = torch.tensor([1.0, *[4.0, 2.0] * 999, 4.0, 1.0]).double() * 0.8 / 2_000 / 3
    exact = math.exp(-0.64) * (noise + (simpson * s.square().exp() * s.cos()).sum())
    errors = []
    for steps in (16, 32, 64):
        times = torch.linspace(0, 0.8, steps + 1).double()
        errors.append((sample_flow(velocity, noise, times, method=method) - exact).abs().max().item())
    assert all(least < fall < most for fall in falls(errors)), errors


def test_a_mixture_is_recovered_by_its_flow():
    made = sample_flow(velocity_of(mixture), quantiles(4_001), torch.linspace(0, 1, 60).double())
    assert (made < -0.6).double().mean().item() == pytest.approx(0.3, abs=0.01)
    assert made[made > -0.6].std().item() == pytest.approx(SPREAD, rel=0.06)


def test_levels_at_even_times():
    levels = flow_sigmas(4)
    torch.testing.assert_close(1 / (1 + levels), torch.tensor([1 / 32, 0.25, 0.5, 0.75, 1.0]).double())
    assert levels[-1] == 0
    with pytest.raises(ValueError, match="1 step"):
        flow_sigmas(0)


def test_a_mixture_is_recovered_by_its_flow_as_a_denoiser():
    denoise = flow_denoiser(velocity_of(mixture))
    made = sample(denoise, quantiles(4_001), flow_sigmas(40), method="dpmpp_2m")
    assert (made < -0.6).double().mean().item() == pytest.approx(0.3, abs=0.01)
    assert made[made > -0.6].std().item() == pytest.approx(SPREAD, rel=0.06)


def test_a_velocity_is_a_denoiser():
    x, sigma = torch.randn(7, 1).double(), torch.rand(7).double() * 3 + 0.1
    torch.testing.assert_close(flow_denoiser(velocity_of(mixture))(x, sigma), mixture(x, sigma))


def test_gradients_flow_through_samples():
    noise = torch.randn(3, 2, requires_grad=True)
    sample(gaussian, noise, edm_sigmas(4)).sum().backward()
    assert (noise.grad > 0).all()
