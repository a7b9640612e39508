"""Optimizers by name, and the parameter groups they get. Each is `name(groups, *, <options>)`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

Groups = list[dict[str, Any]]

# A starting rate for each optimizer where neither the plan nor a part's recipe names one.
RATES = {
    "sgd": 0.1,
    "momentum": 0.05,
    "nesterov": 0.05,
    "rmsprop": 1e-3,
    "adagrad": 1e-2,
    "adam": 1e-3,
    "adamw": 1e-3,
    "muon": 0.02,
}


@runtime_checkable
class Evaluates(Protocol):
    """An optimizer whose parameters, while it trains, are not the weights to evaluate with."""

    def swap(self) -> None:
        """Exchanges the two exactly; called twice it changes nothing. Never called in the middle of a step."""


def parameter_groups(task: nn.Module, params: Iterable[nn.Parameter], rate: float, decay: float) -> Groups:
    """Groups of equal rate and weight decay, in a fixed order.

    Each group carries its `scale`, which the schedule multiplies: a parameter's `rate_scale`. Vectors (biases, norms),
    embeddings and parameters marked `no_decay` stand in groups that no penalty `shrinks`, of decay 0. An optimizer that
    decays weights itself, apart from the gradient, takes the group's `decay` as its own (`own_decay`); else
    `penalties.py` does it.
    """
    for module in task.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            setattr(module.weight, "no_decay", True)  # noqa: B010  (a tensor declares no such attribute)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for p in params:
        shrinks = p.ndim >= 2 and not getattr(p, "no_decay", False)
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


def sgd(groups: Groups) -> torch.optim.Optimizer:
    """Stochastic gradient descent: p <- p - rate * g (Robbins & Monro 1951)."""
    return torch.optim.SGD(groups, lr=0.1, fused=_fused(groups))


def momentum(groups: Groups, *, momentum: float = 0.9) -> torch.optim.Optimizer:
    """Heavy ball: v <- m v + g, p <- p - rate * v (Polyak 1964)."""
    return torch.optim.SGD(groups, lr=0.1, momentum=momentum, fused=_fused(groups))


def nesterov(groups: Groups, *, momentum: float = 0.9) -> torch.optim.Optimizer:
    """Nesterov's accelerated gradient as in Sutskever et al. 2013: v <- m v + g, p <- p - rate * (g + m v)."""
    return torch.optim.SGD(groups, lr=0.1, momentum=momentum, nesterov=True, fused=_fused(groups))


def rmsprop(groups: Groups, *, alpha: float = 0.99, momentum: float = 0.0, eps: float = 1e-8) -> torch.optim.Optimizer:
    """RMSprop: s <- a s + (1 - a) g^2, p <- p - rate * g / (sqrt(s) + eps) (Hinton 2012, lecture 6e)."""
    return torch.optim.RMSprop(groups, lr=1e-3, alpha=alpha, momentum=momentum, eps=eps)


def adagrad(groups: Groups, *, eps: float = 1e-10) -> torch.optim.Optimizer:
    """Adagrad: s <- s + g^2, p <- p - rate * g / (sqrt(s) + eps) (Duchi, Hazan & Singer 2011)."""
    return torch.optim.Adagrad(groups, lr=1e-2, eps=eps)


def adam(groups: Groups, *, betas: list[float] = [0.9, 0.999], eps: float = 1e-8) -> torch.optim.Optimizer:  # noqa: B006
    """Adam (Kingma & Ba 2015, algorithm 1). Train settings: l2 passes through it, decay makes it AdamW."""
    return torch.optim.Adam(groups, lr=1e-3, betas=_pair(betas), eps=eps, fused=_fused(groups))


def adamw(groups: Groups, *, betas: list[float] = [0.9, 0.999], eps: float = 1e-8) -> torch.optim.Optimizer:  # noqa: B006
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2)."""
    return torch.optim.AdamW(own_decay(groups), lr=1e-3, betas=_pair(betas), eps=eps, fused=_fused(groups))


def _pair(betas: list[float]) -> tuple[float, float]:
    first, second = betas
    return first, second


def _fused(groups: Groups) -> bool:
    """One kernel for all parameters, where torch has one: float tensors on CPU or CUDA."""
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for g in groups for p in g["params"])
