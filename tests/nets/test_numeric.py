"""Embeddings of numbers against their definitions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch

from ranvier.nets.numeric import ColumnLinear, Periodic, PiecewiseLinear, piecewise_linear


def test_piecewise_linear_by_hand():
    codes = piecewise_linear(torch.tensor([[0.0, 0.125, 0.5, 0.9, 1.0]]), 4)
    expected = [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0.6], [1, 1, 1, 1]]
    torch.testing.assert_close(codes[0], torch.tensor(expected))


def test_over_ranks_it_is_the_quantile_bin_encoding_of_values():
    values = np.sort(np.random.default_rng(0).lognormal(size=1000))
    edges = np.quantile(values, np.linspace(0, 1, 9))
    ranks = np.interp(values, edges, np.linspace(0, 1, 9))  # knots that contain the bins' edges
    reference = np.stack([((values - a) / (b - a)).clip(0, 1) for a, b in pairwise(edges)], 1)
    codes = piecewise_linear(torch.tensor(ranks)[:, None], 8)
    torch.testing.assert_close(codes[:, 0], torch.tensor(reference), atol=1e-12, rtol=0)


def test_column_linear_is_a_matrix_for_each_column():
    layer, x = ColumnLinear(3, 4, 5), torch.randn(6, 3, 4)
    expected = torch.stack([x[:, c] @ layer.weight[c] + layer.bias[c] for c in range(3)], 1)
    torch.testing.assert_close(layer(x), expected)


def test_piecewise_embedding_starts_linear_in_the_value_and_learns_a_curve():
    net = PiecewiseLinear(2, 1, bins=8)
    rank = torch.rand(200, 2)
    value = rank * 2 - 1
    torch.testing.assert_close(net(value, rank), net.linear(value[..., None]))
    target = (value * 6).sin()[..., None]
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (net(value, rank) - target).pow(2).mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.02  # the best straight line leaves about 0.45


def test_periodic_by_hand():
    net = Periodic(2, 3, frequencies=4, scale=0.5)
    x = torch.randn(5, 2)
    angle = 2 * math.pi * x[:, :, None] * net.frequency
    expected = net.linear(torch.cat([torch.sin(angle), torch.cos(angle)], -1)).clamp(min=0)
    torch.testing.assert_close(net(x), expected)
    assert net.frequency.abs().max() <= 1.5


def test_piecewise_embeddings_take_any_activation():
    value, rank = torch.randn(4, 3), torch.rand(4, 3)
    plain, gated = (PiecewiseLinear(3, 5, bins=4, activation=name) for name in ("relu", "glu"))
    assert (plain(value, rank) >= 0).all()
    assert gated(value, rank).shape == (4, 3, 5)
