"""An exponential moving average of the weights (Polyak & Juditsky 1992; as used by Tarvainen & Valpola 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averages a module's parameters and floating buffers: a <- d a + (1 - d) p.

    decay: d per step. It is applied every `stride` steps, and after the last of `steps`, as d to the power of the
    steps since, which costs next to nothing and averages the same window; a stride is at most a tenth of the run.
    Early on a shorter window is used, so that the initial weights are forgotten.
    """

    def __init__(self, module: nn.Module, decay: float, steps: int) -> None:
        self.decay, self.steps = decay, steps
        self.stride = max(1, min(16, int(0.1 / (1.0 - decay)), steps // 10))
        self.live = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
        self.mean = [t.detach().clone() for t in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after optimizer step number `step` (from 1)."""
        since = step % self.stride
        if since and step != self.steps:
            return
        times = -(-step // self.stride)
        decay = min(self.decay**self.stride, times / (times + 9.0))
        part = since / self.stride if since else 1.0  # of a stride, at the end
        torch._foreach_lerp_(self.mean, self.live, 1.0 - decay**part)

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
        """Exchanges the live weights and the averaged ones; before the first stride nothing is averaged yet."""
        if step < self.stride:
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
