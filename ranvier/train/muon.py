"""Muon: matrices step along the orthogonal part of their momentum, all other parameters as in AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ranvier.core.device import fast_bf16
from ranvier.ops.muon import orthogonalised
from ranvier.train.optimizers import Groups, own_decay


def muon(
    groups: Groups,
    *,
    momentum: float = 0.95,
    iterations: int = 5,
    other_rate: float = 0.08,
    betas: list[float] = [0.9, 0.99],  # noqa: B006
    eps: float = 1e-8,
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


class Muon(torch.optim.Optimizer):
    """For a matrix (m, n): v <- mu v + g, p <- p - rate * max(1, m / n) ** 0.5 * orthogonalised(g + mu v).

    A kernel (m, ...) counts as the matrix (m, n) of all that one output channel sees. A parameter of two or more
    dimensions is a matrix, unless its attribute `orthogonal` is False (embeddings are better without) or `no_decay` is
    True. Weight decay is decoupled.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(self, groups: Groups, **options: Any) -> None:
        super().__init__(groups, {"lr": 0.02, "weight_decay": 0.0, **options})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient; what the closure, called first, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if _is_matrix(p):
                    _step_matrix(p, p.grad, self.state[p], group)
                else:
                    _step_other(p, p.grad, self.state[p], group)
        return loss


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
