"""Muon: matrices step along the orthogonal part of their momentum, all other parameters as in AdamW."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from ranvier.core.device import fast_bf16
from ranvier.core.plan import Count, Decay, Positive
from ranvier.ops.muon import orthogonalised
from ranvier.train.optimizers import Groups, OwnOptimizer, Pair, own_decay


def muon(
    groups: Groups,
    *,
    momentum: Decay = 0.95,
    iterations: Count = 5,
    other_rate: Positive = 0.08,
    betas: Pair = [0.9, 0.99],  # noqa: B006
    eps: Positive = 1e-8,
) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) for matrices and kernels, AdamW (Loshchilov & Hutter 2019) for the rest.

    momentum, iterations: of the matrices' momentum and Newton-Schulz iteration. other_rate: the rest's rate as a
    multiple of the matrices'; betas, eps: of its AdamW.
    """
    first, second = betas
    return Muon(
        own_decay(groups),
        momentum=momentum,
        iterations=iterations,
        other_rate=other_rate,
        betas=(first, second),
        eps=eps,
    )


class Muon(OwnOptimizer):
    """For a matrix (m, n): v <- mu v + g, p <- p - rate * max(1, m / n) ** 0.5 * orthogonalised(g + mu v).

    A kernel (m, ...) counts as the matrix (m, n) of all that one output channel sees. A parameter of two or more
    dimensions is a matrix, unless its attribute `orthogonal` is False (embeddings are better without) or `no_decay` is
    True. Weight decay is decoupled. `torch.optim.Muon` takes no kernels, and leaves all other parameters to a second
    optimizer; for matrices the steps are equal.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    usual: ClassVar[dict[str, Any]] = {
        "momentum": 0.95,
        "iterations": 5,
        "other_rate": 0.08,
        "betas": (0.9, 0.99),
        "eps": 1e-8,
    }

    def move(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step; state: {"momentum": v} of a matrix, {"steps", "mean", "square"} of AdamW for the rest."""
        if _is_matrix(p):
            _step_matrix(p, grad, state, group)
        else:
            _step_other(p, grad, state, group)


def _is_matrix(p: Tensor) -> bool:
    return p.ndim >= 2 and getattr(p, "orthogonal", True) and not getattr(p, "no_decay", False)


def _step_matrix(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state["momentum"] = torch.zeros_like(p)
    velocity, mu, rate = state["momentum"], group["momentum"], group["lr"]
    velocity.mul_(mu).add_(grad)
    ahead = grad.add(velocity, alpha=mu).flatten(1)
    dtype = torch.bfloat16 if fast_bf16(p.device) else torch.float32
    update = orthogonalised(ahead, iterations=group["iterations"], dtype=dtype).view(p.shape)
    p.mul_(1 - rate * group["weight_decay"])
    p.add_(update, alpha=-rate * max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5)


def _step_other(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state.update(steps=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
    state["steps"] += 1
    (first, second), rate = group["betas"], group["lr"] * group["other_rate"]
    state["mean"].lerp_(grad, 1 - first)
    state["square"].mul_(second).addcmul_(grad, grad, value=1 - second)
    scale = math.sqrt(1 - second ** state["steps"])
    denominator = state["square"].sqrt().div_(scale).add_(group["eps"])
    p.mul_(1 - rate * group["weight_decay"])
    p.addcdiv_(state["mean"], denominator, value=-rate / (1 - first ** state["steps"]))
