"""Vectors that vary alike in all directions among rows of one class."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor


def whitening(
    vectors: Float[Tensor, "n d"], code: Integer[Tensor, " n"], shrink: float
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """The middle m and the symmetric W for which (x - m) W varies within classes by the identity matrix, nearly.

    vectors: (N, D), N >= 1. code: (N,) class numbers, any integers. shrink: above 0 and at most 1; the covariance
    within classes is drawn so far towards a ball of its own mean variance (Ledoit and Wolf 2004, J. Multivariate
    Analysis 88, equation 1), so that directions in which hardly anything varies are not blown up. With 1, W is a
    multiple of the unit matrix. Source: Hatch, Kajarekar and Stolcke 2006, "Within-class covariance normalization for
    SVM-based speaker recognition" (Interspeech), whose W is another root of the same inverse.
    """
    each = vectors.double()
    kinds, place, count = code.unique(return_inverse=True, return_counts=True)
    means = each.new_zeros(len(kinds), each.shape[1]).index_add_(0, place, each) / count[:, None]
    apart = each - means[place]
    values, axes = torch.linalg.eigh(apart.T @ apart / len(apart))
    values = values.clamp_min(0)
    ball = values.mean().clamp_min(torch.finfo(torch.float32).tiny)
    scale = ((1 - shrink) * values + shrink * ball).rsqrt()
    return each.mean(0).float(), ((axes * scale) @ axes.T).float()
