"""Optimizers by name, and the parameter groups they get. Each is `name(groups, *, <options>)`.

In the formulas p is a parameter, g its gradient, and every product, root and quotient goes element by element. Weight
decay is never part of them: a train setting shrinks p by 1 - rate * decay apart from the gradient, for each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from ranvier.core.errors import did_you_mean
from ranvier.core.plan import Decay, Positive, Share
from ranvier.train.lean import lean, unmarked

Groups = list[dict[str, Any]]
Pair = Annotated[list[Decay], Field(min_length=2, max_length=2)]

# A starting rate for each optimizer where neither the plan nor a part's recipe names one.
RATES = {
    "gd": 0.2,
    "sgd": 0.1,
    "momentum": 0.05,
    "nesterov": 0.05,
    "adagrad": 1e-2,
    "adadelta": 1.0,
    "rmsprop": 1e-3,
    "adam": 1e-3,
    "adamw": 1e-3,
    "nadam": 1e-3,
    "lion": 3e-4,
    "muon": 0.02,
    "schedule_free": 2.5e-3,
}

# A starting weight decay for each. It is multiplied by the rate: 1e-5 a step, which is what the classical 1e-4 beside
# SGD's 0.1 comes to; momentum moves the weights ten times as far at the same rate.
DECAYS = {
    "gd": 1e-4,
    "sgd": 1e-4,
    "momentum": 1e-3,
    "nesterov": 1e-3,
    "adagrad": 1e-3,
    "adadelta": 1e-5,
    "rmsprop": 0.01,
    "adam": 0.01,
    "adamw": 0.01,
    "nadam": 0.01,
    "lion": 0.03,
    "muon": 0.01,
    "schedule_free": 0.01,
}


@runtime_checkable
class Evaluates(Protocol):
    """An optimizer whose parameters, while it trains, are not the weights to evaluate with."""

    def swap(self) -> None:
        """Exchanges the two exactly; called twice it changes nothing. Never called in the middle of a step."""


class OwnOptimizer(torch.optim.Optimizer, ABC):
    """An optimizer that torch lacks: a subclass says what one step does to one parameter.

    It is made as torch's are, of parameters or groups of them. All that changes from step to step stands in `state`, as
    tensors and plain numbers, for checkpoints keep nothing else of an optimizer. usual: its options besides rate and
    decay, with their defaults.
    """

    usual: ClassVar[dict[str, Any]]

    def __init__(
        self, params: Iterable[Tensor] | Groups, *, lr: float = 1e-3, weight_decay: float = 0.0, **options: Any
    ) -> None:
        for name in options:
            if name not in self.usual:
                raise TypeError(f"{type(self).__name__} has no option {name!r}; {did_you_mean(name, self.usual)}")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, **self.usual, **options})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient; what the closure, called first, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad, self.state[p], group)
        return loss

    @abstractmethod
    def move(self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Moves the parameter in place. state: its own, empty before its first step."""


for _name, _method in unmarked(torch.optim.Optimizer).items():
    setattr(OwnOptimizer, _name, _method)


def parameter_groups(
    task: nn.Module, params: Iterable[nn.Parameter], rate: float, decay: float, *, penalised: bool = True
) -> Groups:
    """Groups of equal rate and weight decay, in a fixed order.

    Each group carries its `scale`, which the schedule multiplies: a parameter's `rate_scale`. Vectors (biases, norms),
    embeddings and parameters marked `no_decay` stand in groups that no penalty `shrinks`, of decay 0. An optimizer that
    decays weights itself, apart from the gradient, takes the group's `decay` as its own (`own_decay`); else
    `penalties.py` does it. penalised: whether there is any penalty; if not, nothing need be told apart by it, and fewer
    groups are fewer kernels.
    """
    for module in task.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            setattr(module.weight, "no_decay", True)  # noqa: B010  (a tensor declares no such attribute)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for p in params:
        shrinks = penalised and p.ndim >= 2 and not getattr(p, "no_decay", False)
        groups.setdefault((float(getattr(p, "rate_scale", 1.0)), shrinks), []).append(p)
    return [
        {
            "params": members,
            "lr": rate * scale,
            "scale": scale,
            "shrinks": shrinks,
            "decay": decay if shrinks else 0.0,
            "weight_decay": 0.0,
        }
        for (scale, shrinks), members in groups.items()
    ]


def own_decay(groups: Groups) -> Groups:
    """The groups of `parameter_groups`, their decay being the optimizer's own from now on; others as they are."""
    return [{**g, "weight_decay": g["decay"], "decay": 0.0} if "decay" in g else g for g in groups]


def gd(groups: Groups) -> torch.optim.Optimizer:
    """Gradient descent: p <- p - rate * g, g being the gradient over all training rows (Cauchy 1847).

    The step is that of `sgd`; what makes it gradient descent is the batch, which the planner makes all rows.
    """
    return sgd(groups)


def sgd(groups: Groups) -> torch.optim.Optimizer:
    """Stochastic gradient descent: p <- p - rate * g, g being the gradient over a batch (Robbins & Monro 1951)."""
    return lean(torch.optim.SGD)(groups, lr=0.1, fused=_fused(groups))


def momentum(groups: Groups, *, momentum: Decay = 0.9) -> torch.optim.Optimizer:
    """Heavy ball: v <- m v + g, p <- p - rate * v (Polyak 1964)."""
    return lean(torch.optim.SGD)(groups, lr=0.1, momentum=momentum, fused=_fused(groups))


def nesterov(groups: Groups, *, momentum: Share = 0.9) -> torch.optim.Optimizer:
    """Nesterov's accelerated gradient as in Sutskever et al. 2013: v <- m v + g, p <- p - rate * (g + m v)."""
    return lean(torch.optim.SGD)(groups, lr=0.1, momentum=momentum, nesterov=True, fused=_fused(groups))


def adagrad(groups: Groups, *, eps: Positive = 1e-10) -> torch.optim.Optimizer:
    """Adagrad: s <- s + g^2, p <- p - rate * g / (sqrt(s) + eps) (Duchi, Hazan & Singer 2011)."""
    return lean(torch.optim.Adagrad)(groups, lr=1e-2, eps=eps)


def adadelta(groups: Groups, *, rho: Decay = 0.9, eps: Positive = 1e-6) -> torch.optim.Optimizer:
    """Adadelta: steps in the parameter's own unit (Zeiler 2012, algorithm 1).

    s <- r s + (1 - r) g^2, d = g * sqrt(u + eps) / sqrt(s + eps), u <- r u + (1 - r) d^2, p <- p - rate * d. The paper
    has no rate, which is a rate of 1; sooner or later it has to fall all the same.
    """
    return lean(torch.optim.Adadelta)(groups, lr=1.0, rho=rho, eps=eps)


def rmsprop(
    groups: Groups, *, alpha: Decay = 0.99, momentum: Decay = 0.0, eps: Positive = 1e-8
) -> torch.optim.Optimizer:
    """RMSprop: s <- a s + (1 - a) g^2, p <- p - rate * g / (sqrt(s) + eps) (Hinton 2012, lecture 6e).

    With momentum, v <- m v + g / (sqrt(s) + eps), p <- p - rate * v.
    """
    return lean(torch.optim.RMSprop)(groups, lr=1e-3, alpha=alpha, momentum=momentum, eps=eps)


def adam(groups: Groups, *, betas: Pair = [0.9, 0.999], eps: Positive = 1e-8) -> torch.optim.Optimizer:  # noqa: B006
    """Adam (Kingma & Ba 2015, algorithm 1).

    m <- b1 m + (1 - b1) g, s <- b2 s + (1 - b2) g^2, p <- p - rate * m' / (sqrt(s') + eps), where m' = m / (1 - b1^t)
    and s' = s / (1 - b2^t) at step t. The setting `l2` passes through g and so is scaled with it; `decay` does not, and
    makes it AdamW.
    """
    groups = own_decay(groups)
    fused = _fused(groups)
    return lean(torch.optim.Adam)(
        groups, lr=1e-3, betas=_pair(betas), eps=eps, decoupled_weight_decay=True, fused=fused
    )


def adamw(groups: Groups, *, betas: Pair = [0.9, 0.999], eps: Positive = 1e-8) -> torch.optim.Optimizer:  # noqa: B006
    """Adam with p <- (1 - rate * decay) p before its step (Loshchilov & Hutter 2019, algorithm 2)."""
    return lean(torch.optim.AdamW)(own_decay(groups), lr=1e-3, betas=_pair(betas), eps=eps, fused=_fused(groups))


def nadam(
    groups: Groups,
    *,
    betas: Pair = [0.9, 0.999],  # noqa: B006
    eps: Positive = 1e-8,
    momentum_decay: Decay = 4e-3,
) -> torch.optim.Optimizer:
    """Adam with Nesterov's look ahead (Dozat 2016, algorithm 2).

    m and s as in Adam, c_t = b1 (1 - 0.96^(t * momentum_decay) / 2), C_t = c_1 ... c_t, and
    p <- p - rate * (c_{t+1} m / (1 - C_{t+1}) + (1 - c_t) g / (1 - C_t)) / (sqrt(s') + eps).
    """
    return lean(torch.optim.NAdam)(
        own_decay(groups),
        lr=1e-3,
        betas=_pair(betas),
        eps=eps,
        momentum_decay=momentum_decay,
        decoupled_weight_decay=True,
    )


def _pair(betas: list[float]) -> tuple[float, float]:
    first, second = betas
    return first, second


def _fused(groups: Groups) -> bool:
    """One kernel for all parameters, where torch has one: float tensors on CPU or CUDA."""
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for g in groups for p in g["params"])
