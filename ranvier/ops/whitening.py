"""Vectors with the same spread in all directions."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def whitening(vectors: Float[Tensor, "n d"], shrink: float) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """The middle m and the symmetric W for which (x - m) W has the identity as its covariance, nearly.

    vectors: (N, D), N >= 1. shrink: above 0 and at most 1; the covariance is drawn so far towards a ball of its own
    mean variance (Ledoit and Wolf 2004, J. Multivariate Analysis 88, equation 1), so that directions in which hardly
    anything varies are not blown up. With 1, W is a multiple of the unit matrix.
    """
    middle = vectors.double().mean(0)
    apart = vectors.double() - middle
    values, axes = torch.linalg.eigh(apart.T @ apart / len(apart))
    values = values.clamp_min(0)
    ball = values.mean().clamp_min(torch.finfo(torch.float32).tiny)
    scale = ((1 - shrink) * values + shrink * ball).rsqrt()
    return middle.float(), ((axes * scale) @ axes.T).float()
