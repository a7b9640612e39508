"""Initialisers: what they draw, and that signals keep their size through many layers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.registry import lookup, names
from ranvier.nets import init
from ranvier.nets.activations import make_activation
from ranvier.nets.init import GAINS, fans, gain, initialise

DRAWN = {  # variance for fans (i, o) and gain g; whether uniform
    "glorot": (lambda i, o, g: g * g * 2 / (i + o), True),
    "glorot_normal": (lambda i, o, g: g * g * 2 / (i + o), False),
    "he": (lambda i, o, g: g * g / i, False),
    "he_uniform": (lambda i, o, g: g * g / i, True),
    "lecun": (lambda i, o, g: 1 / i, False),
}
UNGATED = [name for name in names("activation") if name not in ("glu", "swiglu", "softmax")]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("shape", [(300, 500), (60, 40, 3, 5)])
def test_variance_and_bounds(name, shape):
    weight = torch.empty(shape, dtype=torch.float64)
    lookup("init", name)(weight, "relu")
    variance, uniform = DRAWN[name]
    places = math.prod(shape[2:])
    expected = variance(shape[1] * places, shape[0] * places, math.sqrt(2))
    assert fans(weight) == (shape[1] * places, shape[0] * places)
    assert weight.var().item() == pytest.approx(expected, rel=0.03)
    assert abs(weight.mean().item()) < 0.02 * math.sqrt(expected)
    bound, kurtosis = math.sqrt(3 * expected), (weight**4).mean() / weight.var() ** 2
    assert (weight.abs().max().item() <= bound) is uniform
    assert kurtosis.item() == pytest.approx(1.8 if uniform else 3.0, rel=0.05)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 2, 3, 3)])
def test_orthogonal(shape):
    layer = nn.Conv2d(2, 6, 3) if len(shape) == 4 else nn.Linear(shape[1], shape[0])
    layer.double().to(memory_format=torch.channels_last) if len(shape) == 4 else layer.double()
    initialise(layer, "orthogonal", "relu")
    matrix = layer.weight.detach().flatten(1)
    small = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(small, 2 * torch.eye(len(small), dtype=torch.float64))


def test_zero_default_and_biases():
    layer = nn.Linear(3, 4)
    before_it = layer.weight.clone(), layer.bias.clone()
    assert initialise(layer, "default", "relu") is layer
    assert torch.equal(layer.weight, before_it[0])
    assert torch.equal(layer.bias, before_it[1])
    initialise(layer, "zero")
    assert not layer.weight.any()
    assert not layer.bias.any()


def test_only_linear_maps_and_convolutions_are_touched():
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(5, 4))
    kept = [p.clone() for p in net[1:].parameters()]
    initialise(net, "zero")
    assert all(torch.equal(p, old) for p, old in zip(net[1:].parameters(), kept, strict=True))
    assert not net[0].weight.any()


@pytest.mark.parametrize("name", names("activation"))
def test_what_suits_an_activation(name):
    drawn = []
    for kind in ("suited", {"selu": "lecun"}.get(name, "he" if name in init.RECTIFIERS else "glorot")):
        torch.manual_seed(1)
        drawn.append(initialise(nn.Linear(6, 8), kind, name).weight)
    assert torch.equal(*drawn)
    assert (name in init.RECTIFIERS) == (name in ["relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "softplus"])


def test_gains_keep_the_mean_square_of_a_normal_signal():
    z = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    chance = (-z * z / 2).exp()
    chance /= chance.sum()
    with torch.no_grad():
        squares = {n: (chance * make_activation(n).double()(z) ** 2).sum().item() for n in UNGATED}
    for name, square in squares.items():
        if name not in ("sigmoid", "softplus"):
            assert gain(name) ** 2 * square == pytest.approx(1.0, abs=1e-6), name
    assert gain("sigmoid") == 1 / 0.25  # its slope at 0
    assert gain("softplus") == gain("relu") == math.sqrt(2)
    assert gain("softmax") == gain("glu") == gain("swiglu") == 1
    assert sorted(GAINS) == sorted(names("activation"))


@pytest.mark.parametrize("name", UNGATED)
def test_signals_keep_their_size_through_ten_layers(name):
    width, x, act = 128, torch.randn(64, 128), make_activation(name)
    sizes = []
    with torch.no_grad():
        for _ in range(10):
            x = act(initialise(nn.Linear(width, width), "suited", name)(x))
            sizes.append(x.square().mean().sqrt().item())
    assert 0.5 * sizes[0] < sizes[-1] < 2 * sizes[0] or name == "silu"
    assert 0.4 < sizes[-1] < 5


def test_halves_before_a_gate_are_drawn_as_maps_of_their_own():
    weight = initialise(nn.Linear(200, 600), "glorot", "glu").weight
    bound = gain("glu") * math.sqrt(6 / (200 + 300))
    assert all(half.abs().max().item() == pytest.approx(bound, rel=0.01) for half in weight.chunk(2))
    square = initialise(nn.Linear(5, 10, dtype=torch.float64), "orthogonal", "glu").weight.detach()
    for half in square.chunk(2):
        torch.testing.assert_close(half @ half.T, gain("glu") ** 2 * torch.eye(5, dtype=torch.float64))


def test_networks_without_memory_can_be_drawn():
    with torch.device("meta"):
        for name in names("init"):
            assert initialise(nn.Conv2d(2, 3, 3), name, "relu").weight.is_meta


def test_parameters_may_be_drawn_alone():
    layer = nn.Linear(4, 4)
    for name in names("init"):
        lookup("init", name)(layer.weight, "tanh")
    assert layer.weight.is_leaf
    F.linear(torch.randn(2, 4), layer.weight).sum().backward()


def test_unknown_names():
    with pytest.raises(PlanError, match="unknown init 'xavier'"):
        initialise(nn.Linear(2, 2), "xavier")
    with pytest.raises(PlanError, match="unknown activation 'rellu'"):
        initialise(nn.Linear(2, 2), "he", "rellu")
    with pytest.raises(PlanError, match=r"no gain is known for activation 'mine'.*init 'default'"):
        gain("mine")
