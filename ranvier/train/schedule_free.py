"""Schedule-free AdamW: a running average of the weights in place of a falling rate."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ranvier.core.plan import Positive
from ranvier.train.optimizers import Groups, OwnOptimizer, Pair, own_decay


def schedule_free(groups: Groups, *, betas: Pair = [0.9, 0.999], eps: Positive = 1e-8) -> torch.optim.Optimizer:  # noqa: B006
    """Schedule-free AdamW (Defazio et al. 2024, "The road less scheduled", algorithm 1; arXiv:2405.15682).

    Best with a short warm-up and a constant rate, 1 to 10 times that of AdamW. It averages the weights itself, so that
    any further average is in vain. Batch norm keeps statistics of the weights that are trained, not of their average.
    """
    first, second = betas
    return ScheduleFree(own_decay(groups), betas=(first, second), eps=eps)


class ScheduleFree(OwnOptimizer):
    """Trains at y, evaluates at x; z moves.

    At step t, of rate r: s <- b2 s + (1 - b2) g^2, z <- z - r * (g / (sqrt(s / (1 - b2^t)) + eps) + decay * y),
    x <- (1 - c) x + c z with c = r^2 / (the sum of all r^2 so far), y <- (1 - b1) z + b1 x; y, z and x start equal. g
    is the gradient at y. The paper puts the correction of s into r; here, as in the authors' later code, it stands
    under the root as in Adam, so that the first steps count in full.
    """

    usual: ClassVar[dict[str, Any]] = {"betas": (0.9, 0.999), "eps": 1e-8}

    def move(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of p = y; state: z, x, {"square": s}, the number of steps and the sum of r^2."""
        if not state:
            state.update(steps=0, total=0.0, z=p.clone(), x=p.clone(), square=torch.zeros_like(p))
        (first, second), rate = group["betas"], group["lr"]
        z, x = state["z"], state["x"]
        state["steps"] += 1
        state["total"] += rate**2
        state["square"].mul_(second).addcmul_(grad, grad, value=1 - second)
        root = state["square"].div(1 - second ** state["steps"]).sqrt_().add_(group["eps"])
        z.addcdiv_(grad, root, value=-rate).add_(p, alpha=-rate * group["weight_decay"])
        if rate:
            x.lerp_(z, rate**2 / state["total"])
        p.copy_(x).lerp_(z, 1 - first)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges y and x, to the bit."""
        for p, state in self.state.items():
            trained = p.clone()
            p.copy_(state["x"])
            state["x"].copy_(trained)
