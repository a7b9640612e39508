"""Penalties on the weights, applied beside the optimizer: L2, decoupled decay, L1, and a bound on norms.

Each counts for the groups marked `shrinks`: matrices and kernels, but no biases, norms or embeddings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Penalties:
    """What happens to the weights before and after the optimizer's own step.

    l2: adds its gradient, l2 * p, of the penalty l2 / 2 |p|^2. l1: after the step, the proximal step of l1 |p|, which
    moves every weight towards 0 by rate * l1 and stops there (soft thresholding; Daubechies et al. 2004; for
    stochastic steps Duchi & Singer 2009, "FOBOS"), so that weights become exactly 0. Decay shrinks by 1 - rate * decay,
    apart from the gradient (Loshchilov & Hutter 2019), unless the optimizer does it itself. max_norm: the largest
    Euclidean norm of the weights that enter one unit (Srebro & Shraibman 2005; Srivastava et al. 2014), 0 = no bound.
    """

    def __init__(self, l1: float, l2: float, max_norm: float) -> None:
        self.l1, self.l2, self.max_norm = l1, l2, max_norm

    @torch.no_grad()
    def before(self, optimizer: Optimizer) -> None:
        """What passes through the gradient, and then decay. The rate is the group's at this step."""
        for group in _shrinking(optimizer):
            params = _moved(group)
            if self.l2 and params:
                torch._foreach_add_([p.grad for p in params if p.grad is not None], params, alpha=self.l2)
            if group["decay"] and params:
                torch._foreach_mul_(params, 1.0 - group["lr"] * group["decay"])

    @torch.no_grad()
    def after(self, optimizer: Optimizer) -> None:
        """The proximal step and the bound, on the weights that the optimizer has moved."""
        for group in _shrinking(optimizer):
            params, rate = _moved(group), group["lr"]
            for p in params if self.l1 else ():
                p.copy_(p.sign() * (p.abs() - rate * self.l1).clamp_min(0.0))
            for p in params if self.max_norm else ():
                p.mul_((self.max_norm / _unit_norms(p).clamp_min(1e-12)).clamp_max(1.0))


def _unit_norms(p: Tensor) -> Tensor:
    """The norm of the weights that enter each unit, shaped to scale p: rows of a matrix or kernel (see `stacked`)."""
    axes = 1 if getattr(p, "stacked", False) else tuple(range(1, p.ndim))
    return torch.linalg.vector_norm(p, dim=axes, keepdim=True)


def sparsity(*optimizers: Optimizer) -> float:
    """The share of exact zeros among the weights that penalties count for; 0 if there are none."""
    weights = [p for optimizer in optimizers for group in _shrinking(optimizer) for p in group["params"]]
    if not weights:
        return 0.0
    zeros = torch.stack([(p == 0).sum() for p in weights]).sum()  # one synchronisation for all
    return int(zeros) / max(sum(p.numel() for p in weights), 1)


def _shrinking(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [group for group in optimizer.param_groups if group["shrinks"]]


def _moved(group: dict[str, Any]) -> list[Tensor]:
    return [p for p in group["params"] if p.grad is not None]
