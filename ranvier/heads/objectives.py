"""What a network is taught that takes noise away, and how is drawn with it: denoising (EDM), or flow matching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Normal

from ranvier.ops.diffusion import (
    Solver,
    edm_denoiser,
    edm_pair,
    edm_sigmas,
    edm_training_sigmas,
    flow_denoiser,
    flow_pair,
    flow_sigmas,
    flow_training_times,
    sample,
    sample_flow,
)

ObjectiveName = Literal["edm", "flow"]
Net = Callable[[Tensor, Tensor], Tensor]  # (x (B, ...), what it is told of the level (B,)) to an answer (B, ...)


class Objective(ABC):
    """Rows, noise and levels to what a network sees and is taught; and from its answers to rows.

    spread: the standard deviation that data are taken to have.
    """

    def __init__(self, spread: float) -> None:
        self.spread = spread

    @abstractmethod
    def levels(self, rows: int) -> Tensor:
        """(rows,) levels to learn from, by chance."""

    @abstractmethod
    def spread_out(self, count: int) -> Tensor:
        """(count,) levels of even chances among those that are learnt from."""

    @abstractmethod
    def pair(self, x: Tensor, noise: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees (B, ...), what it is told of the level (B,), and the answer it is taught (B, ...)."""

    @abstractmethod
    def draw(self, net: Net, noise: Tensor, steps: int, solver: Solver) -> Tensor:
        """Rows (B, ...) from noise (B, ...) of N(0, 1)."""


class Denoising(Objective):
    """Levels are standard deviations of noise, and the net's part of a preconditioned denoiser is taught (EDM)."""

    CENTRE, REACH = -0.4, 1.2  # of the levels' logarithms: where noise leaves it open what a row is

    def levels(self, rows: int) -> Tensor:
        """ln sigma ~ N(CENTRE, REACH^2)."""
        return edm_training_sigmas(rows, mean=self.CENTRE, std=self.REACH)

    def spread_out(self, count: int) -> Tensor:
        """By the quantiles of ln sigma."""
        return _quantiles(count, self.CENTRE, self.REACH).exp()

    def pair(self, x: Tensor, noise: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """EDM, eq. 8."""
        return edm_pair(x, noise, level, self.spread)

    def draw(self, net: Net, noise: Tensor, steps: int, solver: Solver) -> Tensor:
        """Down EDM's levels; guided answers of a net are those of guided denoisers, which are linear in them."""
        return sample(edm_denoiser(net, self.spread), noise, edm_sigmas(steps), method=solver)


class Flow(Objective):
    """Levels are times on the straight way from noise (0) to a row (1), and its velocity is taught (flow matching)."""

    CENTRE, REACH = 0.0, 1.0  # of the logit of the times (Esser et al. 2024, arXiv:2403.03206, section 3.1)

    def levels(self, rows: int) -> Tensor:
        """logit t ~ N(CENTRE, REACH^2)."""
        return flow_training_times(rows, mean=self.CENTRE, std=self.REACH)

    def spread_out(self, count: int) -> Tensor:
        """By the quantiles of logit t."""
        return _quantiles(count, self.CENTRE, self.REACH).sigmoid()

    def pair(self, x: Tensor, noise: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The place on the way, the time, and the velocity."""
        place, velocity = flow_pair(x, noise, level)
        return place, level, velocity

    def draw(self, net: Net, noise: Tensor, steps: int, solver: Solver) -> Tensor:
        """Through even times; "dpmpp_2m" takes the velocity for the denoiser that it is."""
        if solver == "dpmpp_2m":
            return sample(flow_denoiser(net), noise, flow_sigmas(steps), method=solver)
        return sample_flow(net, noise, torch.linspace(0, 1, steps + 1), method=solver)


OBJECTIVES: dict[ObjectiveName, type[Objective]] = {"edm": Denoising, "flow": Flow}


def _quantiles(count: int, centre: float, reach: float) -> Tensor:
    """(count,) of a normal distribution, in the middle of as many parts of even chance."""
    return Normal(centre, reach).icdf((torch.arange(count) + 0.5) / count)
