"""Fréchet distance, precision and recall: against scipy, brute force, known values, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from ranvier.ops import fidelity
from ranvier.ops.fidelity import frechet_distance, frechet_of_normals, precision_recall


def mixed(rows: int, width: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    """Points of a normal distribution whose numbers hang together."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator) @ torch.randn(width, width, generator=generator) + offset


@pytest.mark.parametrize("width", [1, 2, 17])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
def test_frechet_is_that_of_scipys_root(width, offset):
    a, b = mixed(200, width, 1, offset), mixed(150, width, 2, offset + 1)
    x, y = a.double().numpy(), b.double().numpy()
    one, other = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (x, y))
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_two_normals_that_are_known():
    mean, still = torch.zeros(2), torch.tensor([3.0, 4.0])
    assert frechet_of_normals(mean, torch.eye(2), still, torch.eye(2)) == pytest.approx(25)
    wide = torch.diag(torch.tensor([4.0, 9.0]))  # commuting: the sum of squared differences of deviations
    assert frechet_of_normals(mean, torch.eye(2), mean, wide) == pytest.approx(1 + 4)
    flat = torch.diag(torch.tensor([4.0, 0.0]))  # no variance in one direction
    assert frechet_of_normals(mean, flat, mean, wide) == pytest.approx(9)


def test_laws_of_frechet():
    a, b = mixed(300, 5, 1), mixed(300, 5, 2)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a[torch.randperm(300)]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    moved = frechet_distance(a.double() @ turn + 7, b.double() @ turn + 7)
    assert moved == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(a, a + 2) == pytest.approx(5 * 4, rel=1e-5)
    narrow = torch.cat([a, a[:, :1]], 1)  # singular covariances
    assert math.isfinite(frechet_distance(narrow, narrow * 2))
    with pytest.raises(ValueError, match="two points"):
        frechet_distance(a[:1], b)


def among(points: np.ndarray, others: np.ndarray, k: int) -> float:
    """By the definition, a point at a time."""
    between = cdist(others, others)
    reach = [sorted(line)[k] for line in between]
    return float(np.mean([any(np.linalg.norm(p - o) <= r for o, r in zip(others, reach, strict=True)) for p in points]))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("pairs", [1, 100, 1 << 22])
def test_precision_and_recall_are_those_of_the_definition(k, pairs, monkeypatch):
    monkeypatch.setattr(fidelity, "PAIRS", pairs)  # held at once
    true, drawn = mixed(60, 3, 1).double(), mixed(45, 3, 2, offset=0.5).double()
    precision, recall = precision_recall(true, drawn, k)
    assert precision == pytest.approx(among(drawn.numpy(), true.numpy(), k))
    assert recall == pytest.approx(among(true.numpy(), drawn.numpy(), k))
    assert 0 < precision < 1
    assert 0 < recall < 1


def test_laws_of_precision_and_recall():
    a, b = mixed(80, 3, 1), mixed(80, 3, 2)
    assert precision_recall(a, a) == (1.0, 1.0)
    assert precision_recall(a, b) == precision_recall(b, a)[::-1]
    assert precision_recall(a, a + 1e3) == (0.0, 0.0)
    some = a[a[:, 0] > a[:, 0].quantile(0.7)]  # good draws of a part of the truth
    precision, recall = precision_recall(a, some)
    assert precision == 1.0
    assert 0.2 < recall < 0.9
    assert precision_recall(a, b, k=70)[0] >= precision_recall(a, b)[0]
    for k, points in ((0, a), (80, a), (3, a[:3])):
        with pytest.raises(ValueError, match="less than"):
            precision_recall(points, b, k)
