"""Langevin Monte Carlo: rows drawn from p(x) ~ exp(-energy(x)) by steps downhill and noise, many chains side by side.

An energy is any function of x (B, ...) that gives a number for each row, (B,), by itself; it may be infinite where
nothing is to be. Row by row it is -log p but for a constant, and so minus its gradient is the score. Gradients are
taken with respect to x alone and never reach the energy's parameters, nor does anything flow back through a chain.

Sources: Roberts & Tweedie, "Exponential convergence of Langevin distributions and their discrete approximations",
Bernoulli 2(4), 1996; Du & Mordatch, "Implicit generation and modeling with energy based models", arXiv:1903.08689.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Energy = Callable[[Tensor], Tensor]


def ula(
    energy: Energy,
    x: Float[Tensor, "b ..."],
    *,
    step: float,
    steps: int,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "b ..."]:
    """Where chains from x (B, ...) are after so many steps x <- x - step * gradient + sqrt(2 step) * noise.

    The unadjusted Langevin algorithm: what it draws from is p only as the step goes to 0; of N(0, 1) it makes one of
    variance 1 / (1 - step / 2). Of step >= 2 / (the largest curvature of the energy) it runs away. Raises ValueError
    for a step that is not positive. Source: Roberts & Tweedie 1996.
    """
    _check(step)
    x = x.detach()
    for _ in range(steps):
        x = _proposed(x, _slope(energy, x)[1], step, generator)
    return x


def mala(
    energy: Energy,
    x: Float[Tensor, "b ..."],
    *,
    step: float,
    steps: int,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, " b"]]:
    """As `ula`, but each step is taken or left so that chains draw from p itself; and the share taken, (B,).

    The Metropolis-adjusted Langevin algorithm: from x to y with chance min(1, p(y) q(x | y) / (p(x) q(y | x))), q being
    the density of the step. The share goes to 1 as the step goes to 0; in many dimensions chains move fastest at about
    0.57 (Roberts & Rosenthal 1998, "Optimal scaling of discrete approximations to Langevin diffusions"). A step to
    where the energy is no number is left. Raises ValueError for a step that is not positive. Source: Roberts &
    Tweedie 1996; the rule of Metropolis and Hastings.
    """
    _check(step)
    x = x.detach()
    here, slope = _slope(energy, x)
    taken = torch.zeros_like(here)
    for _ in range(steps):
        y = _proposed(x, slope, step, generator)
        there, slope_there = _slope(energy, y)
        ahead = _squares(y - x + step * slope)
        back = _squares(x - y + step * slope_there)
        chance = here - there + (ahead - back) / (4 * step)
        draw = torch.rand(here.shape, generator=generator, device=_device(x, generator)).to(here)
        take = draw.log() < chance  # of a chance that is no number it is not
        taken += take
        here, x = torch.where(take, there, here), torch.where(_wide(take, x), y, x)
        slope = torch.where(_wide(take, x), slope_there, slope)
    return x, taken / max(steps, 1)


def _slope(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """The energy of each row (B,), and its gradient with respect to x (B, ...)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        energies = energy(x)
        if energies.shape != x.shape[:1]:
            raise ValueError(f"an energy gives one number a row, ({len(x)},), got {tuple(energies.shape)}")
        (slope,) = torch.autograd.grad(energies.sum(), x)
    return energies.detach(), slope


def _proposed(x: Tensor, slope: Tensor, step: float, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(x.shape, generator=generator, device=_device(x, generator)).to(x)
    return x - step * slope + math.sqrt(2 * step) * noise


def _device(x: Tensor, generator: torch.Generator | None) -> torch.device:
    return x.device if generator is None else generator.device


def _squares(x: Tensor) -> Tensor:
    """The sum of squares of each row, (B,)."""
    return x.reshape(len(x), -1).square().sum(1)


def _wide(rows: Tensor, x: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (x.ndim - 1))


def _check(step: float) -> None:
    if not step > 0:
        raise ValueError(f"expected a positive step, got {step}")
