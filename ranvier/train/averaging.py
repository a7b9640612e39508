"""Averages of the weights along the run, which often do better than the last ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn


class Averaging(ABC):
    """Averages a module's parameters and floating buffers every `stride` steps, and after the last of `steps`."""

    def __init__(self, module: nn.Module, steps: int, stride: int) -> None:
        self.steps, self.stride = steps, stride
        self.live = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
        self.mean = [t.detach().clone() for t in self.live]

    def update(self, step: int) -> None:
        """Takes in the weights after optimizer step number `step` (from 1), if it is one of those averaged."""
        if step % self.stride == 0 or step == self.steps:
            self.take(step)

    @abstractmethod
    def take(self, step: int) -> None:
        """Moves the mean towards the live weights."""

    @abstractmethod
    def ready(self, step: int) -> bool:
        """Whether anything has been averaged by then; else the live weights stand for the mean."""

    @contextmanager
    def in_place(self, step: int) -> Iterator[None]:
        """Inside the context the module has the averaged weights, as they are after step number `step`."""
        self.swap(step)
        try:
            yield
        finally:
            self.swap(step)

    @torch.no_grad()
    def swap(self, step: int) -> None:
        """Exchanges the live weights and the averaged ones."""
        if not self.ready(step):
            return
        for live, mean in zip(self.live, self.mean, strict=True):
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)

    def state(self) -> dict[str, Tensor]:
        """The averaged tensors by position."""
        return {str(i): t for i, t in enumerate(self.mean)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` gave."""
        for i, t in enumerate(self.mean):
            t.copy_(state[str(i)])


class EMA(Averaging):
    """The exponential moving average: a <- d a + (1 - d) p (Polyak & Juditsky 1992; so Tarvainen & Valpola 2017).

    decay: d per step. It is applied once a stride, as d to the power of the steps since, which costs next to nothing
    and averages the same window; a stride is at most a tenth of the run. Early on a shorter window is used, so that
    the initial weights are forgotten.
    """

    def __init__(self, module: nn.Module, decay: float, steps: int) -> None:
        super().__init__(module, steps, max(1, min(16, int(0.1 / (1.0 - decay)), steps // 10)))
        self.decay = decay

    @torch.no_grad()
    def take(self, step: int) -> None:
        times = -(-step // self.stride)
        decay = min(self.decay**self.stride, times / (times + 9.0))
        part = (step % self.stride or self.stride) / self.stride  # of a stride, at the end
        torch._foreach_lerp_(self.mean, self.live, 1.0 - decay**part)

    def ready(self, step: int) -> bool:
        return step >= self.stride


class SWA(Averaging):
    """Stochastic weight averaging: the plain mean of the weights along the last quarter of the run.

    Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", algorithm 1; best with a
    schedule that stays high. The statistics of batch norm are averaged with the weights, rather than taken anew.
    """

    SHARE = 0.25

    def __init__(self, module: nn.Module, steps: int) -> None:
        super().__init__(module, steps, max(1, min(16, steps // 100)))
        self.first = int(steps * (1.0 - self.SHARE))  # steps after it count

    @torch.no_grad()
    def take(self, step: int) -> None:
        if step <= self.first:
            return
        times = step // self.stride - self.first // self.stride + (step % self.stride > 0)
        torch._foreach_lerp_(self.mean, self.live, 1.0 / times)

    def ready(self, step: int) -> bool:
        return step == self.steps or step // self.stride > self.first // self.stride


def averaging(module: nn.Module, average: float | Literal["swa"], steps: int) -> Averaging | None:
    """What a setting asks for: an EMA's decay, "swa", or 0 for none."""
    if average == "swa":
        return SWA(module, steps)
    return EMA(module, float(average), steps) if average else None
