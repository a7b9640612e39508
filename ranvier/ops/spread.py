"""How large an error is to be expected, from what is known of a row: exp(a + b h)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SHRINK = 30.0  # rows' worth of curvature that holds each coefficient at 0
FAR = 3.0  # deviations from the mean beyond which a hint says no more
ROUNDS, HALVINGS = 50, 20
TOLERANCE = 1e-8
SMALLEST = 1e-4  # of the mean error, what an error counts as at least


def log_linear(hints: Float[Tensor, "n f"], errors: Float[Tensor, " n"]) -> Float[Tensor, "3 f"]:
    """(3, F): the hints' means, their deviations, and the coefficients b, for `spread`.

    hints: (N, F) numbers of each row. errors: (N,) sizes of errors, 0 or more, whose scale does not matter. Minimises
    sum_i (e_i / s_i + log s_i) + 15 |b|^2, s = exp(a + b h), h in deviations from the mean, by Fisher's scoring: the
    likelihood of exponential errors, and a proper score of their mean whatever their law. A hint that does not vary
    has the coefficient 0. float64.
    """
    hints, errors = hints.double(), errors.double()
    mean, deviation = hints.mean(0), hints.std(0, correction=0)
    deviation = torch.where(deviation > 1e-12 * (1 + mean.abs()), deviation, torch.inf)
    if not float(errors.mean()) > 0:
        return torch.stack([mean, deviation, torch.zeros_like(mean)])
    e = (errors / errors.mean()).clamp_min(SMALLEST)
    z = torch.cat([torch.ones_like(e)[:, None], _standard(hints, mean, deviation)], 1)
    shrink = torch.full((z.shape[1],), SHRINK, dtype=torch.float64)
    shrink[0] = 0.0
    inverse = torch.linalg.inv(z.T @ z + shrink.diag() + TOLERANCE * torch.eye(len(shrink), dtype=torch.float64))

    def cost(b: Tensor) -> float:
        return float((e * (-z @ b).exp() + z @ b).sum() + (shrink * b * b).sum() / 2)

    b = torch.zeros_like(shrink)
    for _ in range(ROUNDS):
        step, now = inverse @ (z.T @ (e * (-z @ b).exp() - 1) - shrink * b), cost(b)
        for _ in range(HALVINGS):
            if cost(b + step) <= now:
                break
            step = step / 2
        b = b + step
        if float(step.abs().max()) < TOLERANCE:
            break
    return torch.stack([mean, deviation, b[1:]])


def spread(hints: Float[Tensor, "n f"], learnt: Float[Tensor, "3 f"]) -> Float[Tensor, " n"]:
    """(N,) the errors to be expected of rows with these hints, 1 for the mean row; float64."""
    mean, deviation, b = learnt.double()
    return (_standard(hints.double(), mean, deviation) @ b).exp()


def _standard(hints: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return ((hints - mean) / deviation).clamp(-FAR, FAR)
