"""Every activation against its formula in float64, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ranvier.core.registry import names
from ranvier.ops import activations

X = np.concatenate([np.linspace(-6, 6, 97), [-1e3, -30.0, 0.0, 30.0, 1e3]]).reshape(6, 17)
WIDE = np.random.default_rng(0).normal(size=(3, 5, 8)) * 3


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
REFERENCES = {
    "identity": lambda x: x,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "softmax": lambda x: np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1)[..., None],
    "relu": lambda x: np.where(x > 0, x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x: np.logaddexp(0, x),
}
BY_HAND = {  # at 2 and -1
    "sigmoid": (0.8807970779778823, 0.2689414213699951),
    "tanh": (0.9640275800758169, -0.7615941559557649),
    "relu": (2.0, 0.0),
    "leaky_relu": (2.0, -0.01),
    "elu": (2.0, -0.6321205588285577),
    "selu": (2.101401974710961, -1.1113307378125625),
    "gelu": (1.9544997361036416, -0.15865525393145707),
    "silu": (1.7615941559557646, -0.2689414213699951),
    "softplus": (2.1269280110429727, 0.31326168751822286),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_against_the_formula(name):
    got = getattr(activations, name)(torch.from_numpy(X))
    torch.testing.assert_close(got, torch.from_numpy(REFERENCES[name](X)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    got = getattr(activations, name)(torch.tensor([2.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(got, torch.tensor(BY_HAND[name], dtype=torch.float64))


@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax_along_an_axis(axis):
    x = torch.from_numpy(WIDE)
    expected = x.exp() / x.exp().sum(axis, keepdim=True)
    torch.testing.assert_close(activations.softmax(x, axis), expected)


def test_prelu_has_a_slope_for_all_or_for_each_channel():
    x = torch.tensor([[2.0, -1.0], [-4.0, -3.0]])
    assert activations.prelu(x, torch.tensor([0.25])).tolist() == [[2.0, -0.25], [-1.0, -0.75]]
    assert activations.prelu(x, torch.tensor([0.5, 2.0])).tolist() == [[2.0, -2.0], [-2.0, -6.0]]


@pytest.mark.parametrize("axis", [-1, 0])
def test_gated(axis):
    x = np.moveaxis(WIDE, -1, axis)
    a, b = np.split(x, 2, axis)
    given = torch.from_numpy(x)
    torch.testing.assert_close(activations.glu(given, axis), torch.from_numpy(a * sigmoid(b)))
    torch.testing.assert_close(activations.swiglu(given, axis), torch.from_numpy(a * sigmoid(a) * b))


def test_every_registered_activation_has_its_function_with_formula_and_source():
    for name in names("activation"):
        assert getattr(activations, name).__doc__
        assert name == "identity" or "Source" in getattr(activations, name).__doc__
