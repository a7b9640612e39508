"""Waves of a number, scales and shifts by a condition, and the MLP of them."""

from __future__ import annotations

import math

import pytest
import torch
from descriptors import stirred

from ranvier.core.registry import names
from ranvier.nets.conditioned import ConditionedMLP, Fourier, Modulation


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
    for _ in range(150):
        optimizer.zero_grad()
        loss = (net(x, condition) - x * condition).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.02


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
