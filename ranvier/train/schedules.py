"""Learning-rate schedules by name: `name(*, <options>)` gives progress in [0, 1] -> factor of the rate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

Schedule = Callable[[float], float]


class Reactive(ABC):
    """A schedule that also looks at validation; its state is kept in checkpoints."""

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The factor of the rate, at progress in [0, 1]."""

    @abstractmethod
    def saw(self, value: float) -> None:
        """Takes in the figure of a validation, lower being better."""

    @abstractmethod
    def state(self) -> dict[str, float]:
        """JSON values for the checkpoint."""

    @abstractmethod
    def load_state(self, state: dict[str, float]) -> None:
        """Takes back what `state` gave."""


def constant(*, warmup: float = 0.0) -> Schedule:
    """The full rate after a linear warm-up over the first `warmup` of the run."""
    return lambda t: _warm(t, warmup)


def linear(*, warmup: float = 0.05, final: float = 0.0) -> Schedule:
    """A linear warm-up, then a straight line from 1 down to `final`."""
    return lambda t: _warm(t, warmup) if t < warmup else 1.0 - (1.0 - final) * _after(t, warmup)


def cosine(*, warmup: float = 0.05, final: float = 0.0) -> Schedule:
    """A linear warm-up, then half a cosine from 1 down to `final` (Loshchilov & Hutter 2017, eq. 5)."""

    def factor(t: float) -> float:
        if t < warmup:
            return _warm(t, warmup)
        return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * _after(t, warmup)))

    return factor


def _warm(t: float, warmup: float) -> float:
    return min(1.0, t / warmup) if warmup > 0 else 1.0


def _after(t: float, warmup: float) -> float:
    return min(1.0, (t - warmup) / (1.0 - warmup)) if warmup < 1 else 1.0
