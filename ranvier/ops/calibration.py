"""Temperature scaling: one number that makes probabilities as sure as they are right, and changes no answer.

Probabilities p (N, C) become q proportional to p^(1/T), which is softmax(z / T) of the logits z: T > 1 makes them
modest, T < 1 sure. The order of a row's classes stays, and so does every figure that counts right answers.
Guo et al. 2017, arXiv:1706.04599; fitted last, after training has made the ranking as good as it can:
"refine, then calibrate", Berta et al. 2025, arXiv:2501.19195.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from ranvier.core.errors import DataError

SMALLEST = torch.finfo(torch.float32).tiny  # a probability of 0 counts as this, which has a logarithm
BOUNDS = (1e-3, 1e3)  # of 1 / T
TOLERANCE = 1e-10
MOST = 100  # rounds; bisection alone needs about 70


def tempered(probs: Float[Tensor, "n c"], temperature: float) -> Float[Tensor, "n c"]:
    """Probabilities (N, C) at a temperature T > 0: p_c^(1/T) / sum_j p_j^(1/T), in the type that they came in."""
    if temperature == 1.0:
        return probs
    return (_log(probs) / temperature).softmax(1).to(probs.dtype)


def temperature(
    probs: Float[Tensor, "n c"], truth: Integer[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> float:
    """The T that minimises sum_i w_i sum_c -t_ic log q_ic(T), the log loss of held-out rows.

    probs: (N, C). truth: (N,) class numbers. weight: (N,), all ones if None. The target t is the true class, with one
    row's worth of doubt spread evenly: t = (1 - e) onehot + e / C, e = 1 / (N + 1); without it rows that are all
    right would ask for T = 0 (Platt 1999, section 2.2, does so for two classes). In a = 1 / T the loss is
    convex, with slope sum w (E_q[z] - E_t[z]) and curvature sum w Var_q[z] for z = log p, so that Newton's steps, kept
    between bounds that close in, find the one minimum. float64. 1 / T lies in [0.001, 1000].
    Raises DataError without a row of weight above 0, or for a class outside [0, C).
    """
    amount = torch.ones(len(probs), dtype=torch.float64) if weight is None else weight.double()
    rows = int((amount > 0).sum())
    if rows == 0:
        raise DataError("no held-out row has a known class and weight, so there is nothing to calibrate by")
    if not bool(((truth >= 0) & (truth < probs.shape[1])).all()):
        raise DataError(f"classes must lie in [0, {probs.shape[1]}), got {int(truth.min())} to {int(truth.max())}")
    z, amount = _log(probs), amount / amount.sum()
    doubt = 1 / (rows + 1)
    wanted = (1 - doubt) * z.gather(1, truth.long()[:, None])[:, 0] + doubt * z.mean(1)
    low, high = BOUNDS
    a = 1.0
    for _ in range(MOST):
        q = (a * z).softmax(1)
        mean = (q * z).sum(1)
        slope = float((amount * (mean - wanted)).sum())
        curvature = float((amount * (q * (z - mean[:, None]).square()).sum(1)).sum())
        low, high = (low, a) if slope > 0 else (a, high)
        step = a - slope / curvature if curvature > 0 else math.nan
        following = step if low < step < high else math.sqrt(low * high)
        if abs(following - a) <= TOLERANCE * a:
            break
        a = following
    return 1 / a


def log_loss(
    probs: Float[Tensor, "n c"], truth: Integer[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> float:
    """Mean surprise in nats, sum_i w_i (-log p_i,truth_i) / sum_i w_i, in float64."""
    hit = -_log(probs).gather(1, truth.long()[:, None])[:, 0]
    amount = torch.ones_like(hit) if weight is None else weight.double()
    return float((amount * hit).sum() / amount.sum())


def _log(probs: Tensor) -> Tensor:
    """(N, C) float64 log p."""
    return probs.double().clamp_min(SMALLEST).log()
