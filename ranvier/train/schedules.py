"""Learning-rate schedules by name: `name(*, <options>)` gives progress in (0, 1] -> factor of the rate.

In the formulas t is the progress, the share of the run's steps that will be done after this one, and u the progress
since the warm-up, (t - warmup) / (1 - warmup). During the warm-up every factor is t / warmup (Goyal et al. 2017,
section 2.2). Momentum is left as it is throughout.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from ranvier.core.errors import PlanError
from ranvier.core.plan import Count, NotNegative, Share

Schedule = Callable[[float], float]
Part = Annotated[float, Field(ge=0, le=1)]  # of the run, or of the rate
Some = Annotated[float, Field(gt=0, le=1)]
Multiple = Annotated[float, Field(ge=1)]


class Reactive(ABC):
    """A schedule that also looks at validation; its state is kept in checkpoints."""

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The factor of the rate, at progress in (0, 1]."""

    @abstractmethod
    def saw(self, value: float) -> None:
        """Takes in the figure of a validation, lower being better."""

    @abstractmethod
    def state(self) -> dict[str, float]:
        """JSON values for the checkpoint."""

    @abstractmethod
    def load_state(self, state: dict[str, float]) -> None:
        """Takes back what `state` gave."""


def constant(*, warmup: Part = 0.0) -> Schedule:
    """1 after the warm-up."""
    return lambda t: _warm(t, warmup)


def step(*, factor: Share = 0.1, at: list[Share] = [0.5, 0.75], warmup: Part = 0.0) -> Schedule:  # noqa: B006
    """factor^k, where k of the points `at`, shares of the run, lie behind.

    A tenth at the half and at three quarters of the run, as by default: He et al. 2016, section 4.2.
    """
    return lambda t: _warm(t, warmup) * factor ** sum(t > point for point in at)


def exponential(*, final: Some = 0.01, warmup: Part = 0.0) -> Schedule:
    """final^u: the same factor at every step, down to `final` (studied by Senior et al. 2013)."""
    return lambda t: _warm(t, warmup) if t < warmup else final ** _after(t, warmup)


def linear(*, warmup: Part = 0.05, final: Part = 0.0) -> Schedule:
    """1 - (1 - final) u: a straight line down to `final` (Defazio et al. 2023, "When, why and how much?")."""
    return lambda t: _warm(t, warmup) if t < warmup else 1.0 - (1.0 - final) * _after(t, warmup)


def cosine(*, warmup: Part = 0.05, final: Part = 0.0) -> Schedule:
    """final + (1 - final) (1 + cos(pi u)) / 2: half a cosine down to `final` (Loshchilov & Hutter 2017, eq. 5)."""
    return lambda t: _warm(t, warmup) if t < warmup else _ease(1.0, final, _after(t, warmup))


def one_cycle(*, rise: Share = 0.3, div: Multiple = 25.0, final: Part = 0.0) -> Schedule:
    """Up from 1 / div to 1 over the share `rise` of the run, then down to `final`, along half cosines.

    Up: 1 / div + (1 - 1 / div) (1 - cos(pi t / rise)) / 2. Down: final + (1 - final) (1 + cos(pi v)) / 2 with
    v = (t - rise) / (1 - rise). Smith 2018, "A disciplined approach to neural network hyper-parameters", who has
    straight lines, and lets momentum fall as the rate rises, which is not done here.
    """
    return lambda t: _ease(1.0 / div, 1.0, t / rise) if t < rise else _ease(1.0, final, (t - rise) / (1.0 - rise))


def wsd(*, warmup: Part = 0.05, decay: Some = 0.2, final: Part = 0.0) -> Schedule:
    """Warm-up, stable, decay: 1 until the last share `decay` of the run, then 1 - (1 - final) sqrt(v).

    v = (t - (1 - decay)) / decay. Hu et al. 2024, "MiniCPM", section 4; the root: Hägele et al. 2024, "Scaling laws and
    compute-optimal training beyond fixed training durations". Raises PlanError if warm-up and decay overlap.
    """
    if warmup + decay > 1.0 + 1e-9:
        raise PlanError(
            f"schedule 'wsd': a warm-up over {warmup} and a decay over {decay} of the run overlap; make warmup + decay "
            "at most 1"
        )
    start = 1.0 - decay
    return lambda t: _warm(t, warmup) if t < start else 1.0 - (1.0 - final) * math.sqrt((t - start) / decay)


class Plateau(Reactive):
    """Reduce on plateau: times `factor` after `patience` validations without improvement; never below `final`.

    An improvement is a figure lower than the best so far by more than `threshold`, in the figure's own unit. So the
    rate falls when the network is ready, rather than at a time chosen before; it needs validation rows.
    """

    def __init__(
        self,
        *,
        factor: Share = 0.1,
        patience: Count = 3,
        threshold: NotNegative = 1e-4,
        final: Part = 0.0,
        warmup: Part = 0.0,
    ) -> None:
        self.by, self.patience, self.threshold, self.final, self.warmup = factor, patience, threshold, final, warmup
        self.factor, self.best, self.stale = 1.0, math.inf, 0

    def __call__(self, progress: float) -> float:
        """The factor of the rate as the validations so far have left it, times that of the warm-up."""
        return _warm(progress, self.warmup) * self.factor

    def saw(self, value: float) -> None:
        """Takes in the figure of a validation, lower being better."""
        if value < self.best - self.threshold:
            self.best, self.stale = value, 0
            return
        self.stale += 1
        if self.stale == self.patience:
            self.factor, self.stale = max(self.factor * self.by, self.final), 0

    def state(self) -> dict[str, float]:
        """The factor, the best figure, and how many validations were no better since."""
        return {"factor": self.factor, "best": self.best, "stale": self.stale}

    def load_state(self, state: dict[str, float]) -> None:
        """Takes back what `state` gave."""
        self.factor, self.best, self.stale = state["factor"], state["best"], int(state["stale"])


def _warm(t: float, warmup: float) -> float:
    return min(1.0, t / warmup) if warmup > 0 else 1.0


def _after(t: float, warmup: float) -> float:
    return min(1.0, (t - warmup) / (1.0 - warmup)) if warmup < 1 else 1.0


def _ease(start: float, end: float, u: float) -> float:
    """Half a cosine from start (u = 0) to end (u = 1)."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * u))
