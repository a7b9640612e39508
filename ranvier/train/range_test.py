"""The learning-rate range test: training for a moment at ever higher rates tells which rate to train with."""

from __future__ import annotations

import math

import numpy as np
import torch

from ranvier.core.errors import PlanError
from ranvier.core.protocols import Batch
from ranvier.core.training import Source
from ranvier.train import checkpoint
from ranvier.train.engine import Engine
from ranvier.train.range_curve import RangeTest

FEWEST = 20  # steps that a curve can be told from
ROWS = 64  # at most so many, always the same, that the loss is taken on


def range_test(
    engine: Engine, source: Source, *, lowest: float = 1e-7, highest: float = 10.0, steps: int = 100
) -> RangeTest:
    """Trains for `steps` steps, the rate rising from lowest to highest by the same factor at every step.

    After each step the loss is taken on the same rows, those of the first batch, so that the curve does not show how
    much batches differ; they are trained on only when the epoch has come round. The test ends where the loss explodes.
    It leaves weights, optimizer and random numbers as they were; losses not yet logged are dropped. Source: Smith 2017,
    "Cyclical learning rates for training neural networks", section 3.3, where the rate rises in a straight line.
    Raises PlanError for rates in no order, or too few steps.
    """
    if not 0 < lowest < highest < math.inf or steps < FEWEST:
        raise PlanError(
            f"a range test from rate {lowest} to {highest} in {steps} steps: expected 0 < lowest < highest, and at "
            f"least {FEWEST} steps"
        )
    rates = np.geomspace(lowest, highest, steps).tolist()
    tensors, state = checkpoint.capture(engine)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    schedule, training = engine.schedule, engine.task.training
    engine.task.train()
    try:
        with engine.own_random():
            losses = _losses(engine, source, rates)
    finally:
        engine.schedule = schedule
        checkpoint.restore(engine, tensors, state)
        engine.forget()
        engine.task.train(training)
        for p in engine.task.parameters():
            p.grad = None
    return RangeTest(rates[: len(losses) - 1], losses[1:], losses[0])


def _losses(engine: Engine, source: Source, rates: list[float]) -> list[float]:
    """The loss before the first step, and after each until it explodes."""
    first = source.batch(0).to(engine.device)
    probe = first if first.size <= ROWS else next(iter(first.split(ROWS)))
    losses = [_loss(engine, probe)]
    for number, rate in enumerate(rates, 1):
        engine.schedule = lambda _, rate=rate: rate / engine.settings.rate
        engine.train_step(source.batch(number))
        losses.append(_loss(engine, probe))
        if exploded(losses):
            break
    return losses


def _loss(engine: Engine, probe: Batch) -> float:
    """The loss of a batch, with the same dropout every time; the sum of its terms, as the engine weighs them."""
    torch.manual_seed(0)
    terms = [term for phase, _ in engine.phases for term in engine.backward(phase, probe).values()]
    return float(torch.stack(terms).sum())


def exploded(losses: list[float]) -> bool:
    """Whether the last loss is no number, or worse than the first by as much as the first or the best were."""
    first, best, last = losses[0], min(losses), losses[-1]
    return not last - first <= max(abs(first), first - best)  # so that it holds for what is no number
