"""From a time budget to a number of steps, before the run starts."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_right
from collections.abc import Callable

import torch

from ranvier.core.memory import kept_memory
from ranvier.core.training import Source
from ranvier.train import checkpoint
from ranvier.train.engine import Engine

FEW = 5  # steps of which a single slow one would spoil the mean


def seconds_per_step(engine: Engine, source: Source, seconds: float, most: int) -> float:
    """The mean time of a training step, tried for about `seconds` or `most` steps; leaves the engine as it was.

    The mean, since batches of long texts take many times as long as the median one; the first steps do not count.
    """
    tensors, state = checkpoint.capture(engine)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    engine.task.train()
    times: list[float] = []
    begun = time.perf_counter()
    with engine.own_random(), kept_memory():
        while len(times) < 3 or (time.perf_counter() - begun < seconds and len(times) < most):
            started = time.perf_counter()
            engine.train_step(source.batch(len(times)))
            if engine.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
    checkpoint.restore(engine, tensors, state)
    engine.forget()
    return statistics.fmean(times[2:]) if len(times) > FEW else statistics.median(times[1:])


def most_within(seconds: float, costs: Callable[[int], float], wanted: int) -> int:
    """How many of the wanted steps fit, at least one. costs: steps to seconds, hardly ever falling."""
    return max(1, bisect_right(range(1, wanted + 1), seconds, key=costs))
