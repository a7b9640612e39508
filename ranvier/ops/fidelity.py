"""How near one set of points is to another: by vectors of them, what drawn pictures are judged by."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

PAIRS = 1 << 22  # of points whose distances are held at once


def frechet_distance(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> float:
    """The squared Fréchet distance between the normal distributions fitted to two sets of points; 0 for alike ones.

    |mean_a - mean_b|^2 + Tr(A + B - 2 (A B)^(1/2)), A and B being the covariances (over n - 1), in float64. Of features
    of pictures it is known as FID (Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a
    local Nash equilibrium", eq. 6). It is too large for few points (Chong & Forsyth 2020, "Effectively unbiased FID"),
    so that only sets of one size compare. Raises ValueError for fewer than two points.
    """
    (mean_a, cov_a), (mean_b, cov_b) = _fitted(a), _fitted(b)
    return frechet_of_normals(mean_a, cov_a, mean_b, cov_b)


def frechet_of_normals(
    mean_a: Float[Tensor, " d"],
    cov_a: Float[Tensor, "d d"],
    mean_b: Float[Tensor, " d"],
    cov_b: Float[Tensor, "d d"],
) -> float:
    """The squared Fréchet distance between N(mean_a, cov_a) and N(mean_b, cov_b), in float64.

    Source: Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions", eq. 16.
    """
    mean_a, cov_a, mean_b, cov_b = (part.double() for part in (mean_a, cov_a, mean_b, cov_b))
    root = _root(cov_a)
    # A B has the eigenvalues of the symmetric root B root, which stay real and at least 0 but for rounding
    inside = root @ cov_b @ root
    both = torch.linalg.eigvalsh((inside + inside.T) / 2).clamp_min(0).sqrt().sum()
    found = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * both
    return max(0.0, float(found))


def precision_recall(true: Float[Tensor, "n d"], drawn: Float[Tensor, "m d"], k: int = 3) -> tuple[float, float]:
    """(precision, recall): the share of drawn points among the true ones, and of true points among the drawn.

    A point is among others if it lies within the distance of any of them to its own k-th nearest neighbour: precision
    says how good draws are, recall how much of the truth they reach. In float64, a part of the pairs at a time. Raises
    ValueError where a set has no more than k points. Source: Kynkäänniemi et al. 2019, "Improved precision and recall
    metric for assessing generative models", eq. 1 and 2.
    """
    for name, points in (("true", true), ("drawn", drawn)):
        if not 0 < k < len(points):
            raise ValueError(f"k = {k} must be 1 or more, and less than the {len(points)} {name} points")
    true, drawn = true.double(), drawn.double()
    return _among(drawn, true, k), _among(true, drawn, k)


def _fitted(points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of points (n, d)."""
    if len(points) < 2:
        raise ValueError(f"expected two points or more, got {len(points)}")
    points = points.double()
    mean = points.mean(0)
    apart = points - mean
    return mean, apart.T @ apart / (len(points) - 1)


def _root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix without negative eigenvalues, but for rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _among(points: Tensor, others: Tensor, k: int) -> float:
    """The share of points (n, d) that lie within the reach of any of the others (m, d)."""
    reach = torch.cat([apart.kthvalue(k + 1, 1).values for apart in _apart(others, others)])  # itself is the nearest
    inside = torch.cat([(apart <= reach).any(1) for apart in _apart(points, others)])
    return float(inside.double().mean())


def _apart(points: Tensor, others: Tensor) -> Iterator[Tensor]:
    """The distances (some, m) of points to all others, some of the points at a time."""
    for some in points.split(max(1, PAIRS // len(others))):
        # not by the products of vectors, in which small distances drown
        yield torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
