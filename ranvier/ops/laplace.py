"""Laplace's approximation of a last layer: the weights that were learnt as the mean of a normal distribution.

Its precision is the curvature of the loss, H, and that of the prior, d: H + d I. For a layer f = W x, W (C, D), and a
loss l(f) the generalised Gauss-Newton curvature is H = sum_i G_i (x) x_i x_i^T, G_i (C, C) that of the loss in f; for a
linear layer it is exact. H is kept as the Kronecker product G (x) A of the two factors that have its partial traces,
A = sum_i tr(G_i) x_i x_i^T and G = sum_i |x_i|^2 G_i / sum_i |x_i|^2 tr(G_i). These are exact for one output, for two
classes, and wherever G_i is the same in all rows. MacKay 1992, doi:10.1162/neco.1992.4.3.415 and 4.3.448; of last
layers Daxberger et al. 2021, arXiv:2106.14806.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

TINY = torch.finfo(torch.float64).tiny
BOUNDS = (-60.0, 60.0)  # of the logarithm of the prior's precision
ROUNDS = 40  # halvings of these
NOISE_ROUNDS = 30  # of noise and prior in turn, at most
TOLERANCE = 1e-8
AT_ONCE = 2**22  # numbers of pairs of classes held at a time


@dataclass(frozen=True)
class Posterior:
    """N(W, (G (x) A + d I)^-1) in the directions in which it has no covariance.

    inputs: (D, D), a direction of x a column. outputs: (C, C), one of f a column. variance: (C, D), of each pair.
    """

    inputs: Float[Tensor, "d d"]
    outputs: Float[Tensor, "c c"]
    variance: Float[Tensor, "c d"]

    def of_outputs(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c c"]:
        """(N, C, C) the covariance of f = W x; float64."""
        along = (x.double() @ self.inputs.double()).square() @ self.variance.double().T
        u = self.outputs.double()
        return (u * along[:, None]) @ u.T


def factors(
    x: Float[Tensor, "n d"], curvature: Float[Tensor, "n c c"], weight: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "d d"], Float[Tensor, "c c"]]:
    """(A, sum_i w_i |x_i|^2 G_i) of some rows, to be summed over all; float64."""
    x, g, w = x.double(), curvature.double(), weight.double()
    trace = w * g.diagonal(dim1=1, dim2=2).sum(1)
    return x.T @ (trace[:, None] * x), torch.einsum("n,ncd->cd", w * x.square().sum(1), g)


def categorical_curvature(probs: Float[Tensor, "n c"]) -> Float[Tensor, "n c c"]:
    """(N, C, C) of the cross-entropy in the scores: diag(p) - p p^T."""
    return torch.diag_embed(probs) - probs[:, :, None] * probs[:, None]


def posterior(
    a: Float[Tensor, "d d"],
    g: Float[Tensor, "c c"],
    weights: Float[Tensor, "c d"],
    *,
    squared_errors: float | None = None,
    rows: int = 0,
) -> Posterior:
    """From the sums of `factors` over all rows, and the weights W that were learnt.

    The prior's precision d maximises the marginal likelihood, p(data | W) N(W; 0, I / d) / p(W | data, d), at which
    d |W|^2 = gamma = sum_j l_j / (l_j + d), the number of well-determined directions, l the eigenvalues of H (MacKay
    1992); there is one such d. squared_errors: of a number, with G_i = 1, the sum of (truth - f)^2 over
    so many rows; H is then divided by the variance of the noise, which that likelihood gives as
    squared_errors / (rows - gamma).
    """
    alphas, inputs = torch.linalg.eigh(a.double())
    gammas, outputs = torch.linalg.eigh(g.double() / g.double().trace().clamp_min(TINY))
    values = gammas.clamp_min(0)[:, None] * alphas.clamp_min(0)
    size = max(float(weights.double().square().sum()), TINY)
    if squared_errors is None:
        return Posterior(inputs, outputs, 1 / (values + _prior(values, size)))
    before, noise = 0.0, max(squared_errors / max(rows, 1), TINY)
    for _ in range(NOISE_ROUNDS):
        if abs(noise - before) <= TOLERANCE * noise:
            break
        d = _prior(values / noise, size)
        free = rows - float((values / (values + noise * d)).sum())
        before, noise = noise, max(squared_errors / max(free, 1.0), TINY)
    return Posterior(inputs, outputs, 1 / (values / noise + _prior(values / noise, size)))


def _prior(values: Tensor, size: float) -> float:
    """The precision d with d size = sum_j l_j / (l_j + d): the left side rises with d, the right side falls."""
    low, high = BOUNDS
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        d = math.exp(middle)
        low, high = (middle, high) if d * size < float((values / (values + d)).sum()) else (low, middle)
    return math.exp(high)


def softened(scores: Float[Tensor, "n c"], covariance: Float[Tensor, "n c c"]) -> Float[Tensor, "n c"]:
    """(N, C) about E[softmax(f)] for f normal with these means (N, C) and covariances (N, C, C); float64.

    Each class against the rest: z = f_c - log sum_{j != c} exp(f_j) is taken as normal, its variance to first order and
    its mean to second, and E[sigmoid(z)] as sigmoid(mean / sqrt(1 + pi / 8 variance)) (MacKay 1992,
    doi:10.1162/neco.1992.4.5.720); then the row is divided by its sum. For two classes this is MacKay's approximation.
    What is added to all scores of a row changes nothing, however uncertain it is.
    """
    classes = scores.shape[1]
    if classes == 1 or len(scores) == 0:
        return torch.ones_like(scores, dtype=torch.float64)
    rows = max(1, AT_ONCE // classes**2)
    parts = zip(scores.double().split(rows), covariance.double().split(rows), strict=True)
    p = torch.cat([_against_the_rest(f, v) for f, v in parts])
    return p / p.sum(1, keepdim=True)


def _against_the_rest(f: Tensor, v: Tensor) -> Tensor:
    itself = torch.eye(f.shape[1], dtype=torch.bool, device=f.device)
    others = f[:, None].masked_fill(itself, -math.inf)  # (N, C, C): the scores that each class is set against
    q = others.softmax(2)
    slope = itself.to(f.dtype) - q  # of z in f
    # E[log sum exp] is larger than at the mean by half of this, damped where it is so large that the series fails
    bend = (q * v.diagonal(dim1=1, dim2=2)[:, None]).sum(2) - _form(q, v)
    mean = f - others.logsumexp(2) - bend / 2 * _probit(bend)
    return (mean * _probit(_form(slope, v))).sigmoid()


def _form(a: Tensor, v: Tensor) -> Tensor:
    """(N, C) the variance of each row of a f, a (N, C, C)."""
    return ((a @ v) * a).sum(2)


def _probit(variance: Tensor) -> Tensor:
    return (1 + math.pi / 8 * variance.clamp_min(0)).rsqrt()
