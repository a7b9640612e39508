"""The learning-rate range test of a plan."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ranvier.core.device import threads
from ranvier.core.plan import Plan
from ranvier.core.rows import numbered
from ranvier.model.folder import FIRST
from ranvier.model.layout import Layout, learn_columns
from ranvier.model.recall import recalled
from ranvier.model.training import Run, Training, check_targets, encoded
from ranvier.planning.frames import load, training_rows
from ranvier.planning.settle import planned
from ranvier.train.engine import Engine
from ranvier.train.range_curve import RangeTest
from ranvier.train.range_test import range_test


def find_lr(
    data: Any,
    target: str | Sequence[str] = (),
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    **settings: Any,
) -> RangeTest:
    """Which learning rate suits: a new network is trained for a moment at ever higher rates, and thrown away.

    data: a plan, or whatever `plan` takes together with target and settings. The answer has the `rate` to train with,
    the `rates` and `losses` it is taken from, and `save("lr.svg")` for the picture: `plan.train.rate =
    find_lr(plan).rate`. lowest, highest: rates to try. steps: how many. Neither the plan nor the random numbers of the
    caller are touched. Raises PlanError, DataError.
    """
    plan = planned(data, target, settings, "find_lr")
    with threads(int(plan.train.threads)):
        engine = _engine(plan)
        return range_test(engine, engine.source, lowest=lowest, highest=highest, steps=steps)


def _engine(plan: Plan) -> Engine:
    """The engine on the training rows, with nothing in it that waits for later steps."""
    frames = load(plan)
    places = training_rows(plan, frames)[0]
    train = frames.given[places]
    training = Training(Run(plan, time.perf_counter(), None, [], None, False, False, False), FIRST, plan)
    with numbered(places):
        layout = Layout(plan, learn_columns(plan, train, [], commas=frames.commas))
    table = encoded(layout, train, [], places)
    task = training.task(layout, [])
    check_targets(task, [table], (places, None))
    source = layout.training_source(recalled(task, layout, table, training.run.device), training.run.device)
    settings = replace(
        training.settings_for(steps=1, check=1),
        schedule={"name": "constant"},
        average=0.0,
        patience=0,
        keep="last",
        watch=False,
    )
    return Engine(task, source, settings)
