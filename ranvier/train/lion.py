"""Lion: every weight moves by the rate itself, up or down, whatever the size of the gradient."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ranvier.train.optimizers import Groups, OwnOptimizer, Pair, own_decay


def lion(groups: Groups, *, betas: Pair = [0.9, 0.99]) -> torch.optim.Optimizer:  # noqa: B006
    """Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", program 1).

    Its rate is to be 3 to 10 times smaller than Adam's, and its decay as many times larger, for its steps are larger.
    """
    first, second = betas
    return Lion(own_decay(groups), betas=(first, second))


class Lion(OwnOptimizer):
    """p <- (1 - rate * decay) p - rate * sign(b1 m + (1 - b1) g), then m <- b2 m + (1 - b2) g."""

    usual: ClassVar[dict[str, Any]] = {"betas": (0.9, 0.99)}

    def move(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step; state: {"mean": m}."""
        if not state:
            state["mean"] = torch.zeros_like(p)
        (first, second), rate = group["betas"], group["lr"]
        p.mul_(1 - rate * group["weight_decay"])
        p.add_(state["mean"].lerp(grad, 1 - first).sign_(), alpha=-rate)
        state["mean"].lerp_(grad, 1 - second)
