"""Waves of a number, scales and shifts by a condition, and the MLP of them."""

from __future__ import annotations

import math

import pytest
import torch
from descriptors import stirred

from ranvier.core.registry import names
from ranvier.nets.conditioned import ConditionedMLP, Fourier, Modulation
from ranvier.ops.diffusion import edm_denoiser, edm_pair, edm_sigmas, edm_training_sigmas, guided, sample


def test_waves_by_hand():
    net = Fourier(6, lowest=0.25, highest=4.0)
    assert net.frequency.tolist() == pytest.approx([0.25, 1.0, 4.0])
    waves = net(torch.tensor([0.5, 0.0]))
    half = math.sqrt(2) * math.cos(math.pi / 4)
    torch.testing.assert_close(
        waves[0], torch.tensor([half, -math.sqrt(2), math.sqrt(2), half, 0.0, 0.0]), rtol=0, atol=1e-5
    )
    assert waves[1].tolist() == pytest.approx([math.sqrt(2)] * 3 + [0.0] * 3)


@pytest.mark.parametrize("spacing", ["log", "random"])
def test_waves_have_mean_square_one_and_stay_as_they_were_drawn(spacing):
    net = Fourier(64, spacing=spacing)
    torch.testing.assert_close(net(torch.randn(5)).square().mean(1), torch.ones(5))
    other = Fourier(64, spacing=spacing)
    assert torch.equal(net.frequency, other.frequency) == (spacing == "log")
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.frequency, other.frequency)
    assert not list(net.parameters())


def test_random_frequencies_have_the_asked_spread():
    assert Fourier(4_000, spacing="random", highest=3.0).frequency.std().item() == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("shape", [(4,), (4, 2, 3)])
def test_modulation_starts_as_nothing_and_is_scale_and_shift(shape):
    net, x, condition = Modulation(2, 4), torch.randn(3, *shape), torch.randn(3, 2)
    assert torch.equal(net(x, condition), x)
    torch.nn.init.normal_(net.linear.weight)
    scale, shift = (condition @ net.linear.weight.T).view(3, 8, *[1] * (x.ndim - 2)).chunk(2, 1)
    torch.testing.assert_close(net(x, condition), x * (1 + scale) + shift)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group", "rms"])
@pytest.mark.parametrize("activation", ["silu", "relu", "swiglu"])
def test_norms_and_activations(norm, activation):
    assert norm in names("norm")
    net = stirred(ConditionedMLP(3, 16, 2, condition=4, norm=norm, activation=activation, init="suited", dropout=0.2))
    answer = net(torch.randn(8, 3), torch.randn(8, 4))
    assert answer.shape == (8, 2)
    (answer * torch.randn_like(answer)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_answer_starts_at_zero_and_so_does_what_the_condition_does():
    net, x = ConditionedMLP(3, 8, condition=2), torch.randn(4, 3)
    assert not net(x, torch.randn(4, 2)).any()
    torch.nn.init.normal_(net.out.weight)
    assert torch.equal(net(x, torch.randn(4, 2)), net(x, torch.randn(4, 2)))
    stirred(net)
    assert not torch.allclose(net(x, torch.randn(4, 2)), net(x, torch.randn(4, 2)))


def test_without_a_condition_it_is_plain():
    net = ConditionedMLP(3, 8)
    assert net(torch.randn(4, 3)).shape == (4, 3)
    with pytest.raises(ValueError, match="condition: not foreseen"):
        net(torch.randn(4, 3), torch.randn(4, 2))
    with pytest.raises(ValueError, match="condition: expected"):
        ConditionedMLP(3, 8, condition=2)(torch.randn(4, 3))


def test_learns_what_the_condition_says():
    x, condition = torch.randn(256, 1), torch.randint(2, (256, 1)) * 2.0 - 1
    net = ConditionedMLP(1, 16, condition=1, depth=2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = (net(x, condition) - x * condition).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.02


class Denoiser(torch.nn.Module):
    """An MLP that hears of the level by waves, and of a class, or of none, by a number."""

    def __init__(self):
        super().__init__()
        self.waves = Fourier(16)
        self.net = ConditionedMLP(1, 32, condition=17, depth=2)

    def forward(self, x, level, label):
        return self.net(x, torch.cat([self.waves(level), label[:, None]], 1))


def test_the_parts_make_a_generator():
    """0.3 around -1 and 0.7 around 1, learnt with the class told in two rows of three."""
    net, generator = Denoiser(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, 300)
    for _ in range(300):
        label = (torch.rand(256, generator=generator) < 0.7) * 2.0 - 1
        x = label[:, None] + 0.2 * torch.randn(256, 1, generator=generator)
        told = label * (torch.rand(256, generator=generator) < 0.67)
        sigma = edm_training_sigmas(256, mean=-0.5, generator=generator)
        into, level, target = edm_pair(x, torch.randn(256, 1, generator=generator), sigma, 1.0)
        loss = (net(into, level, told) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    def of(label):
        return edm_denoiser(lambda x, level: net(x, level, torch.full((len(x),), label)), 1.0)

    noise, levels = torch.randn(2_000, 1, generator=generator), edm_sigmas(12, sigma_max=20.0)
    with torch.no_grad():
        any_class = sample(of(0.0), noise, levels)
        one_class = sample(guided(of(-1.0), of(0.0), 1.5), noise, levels, method="dpmpp_2m")
    assert (any_class > 0).float().mean().item() == pytest.approx(0.7, abs=0.08)
    assert (any_class.abs() - 1).abs().mean() < 0.25  # 0.16 in the data
    assert (one_class < 0).float().mean() > 0.95


def test_refuses_nonsense():
    for arguments in ((0, 8), (3, 0), (3, 8, -1)):
        with pytest.raises(ValueError, match="expected positive"):
            ConditionedMLP(*arguments)
    for arguments in (
        {"width": 5},
        {"width": 0},
        {"width": 4, "lowest": 0.0},
        {"width": 4, "lowest": 9.0, "highest": 1.0},
    ):
        with pytest.raises(ValueError, match="even width"):
            Fourier(arguments.pop("width"), **arguments)
