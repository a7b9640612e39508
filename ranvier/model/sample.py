"""Rows that a model draws, alone or for what is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.core import registry
from ranvier.core.check import whole
from ranvier.core.column import Column
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.plan import NotNegative, Plan
from ranvier.core.schema import AUTO, Option, options_of
from ranvier.core.spec import Spec
from ranvier.data.table import Table
from ranvier.model.generate import generator
from ranvier.model.network import Answers, Network

ROW = "row"  # the only column of a frame of rows of which nothing is given
CHANNELS = (1, 3, 4)  # that pictures may have
FREE = Option(NotNegative, 1.0)  # a way to draw that is no option of the head


def drawn(
    network: Network,
    count: int,
    given: Any,
    seed: int,
    how: Mapping[str, Any],
    read: Callable[[Any], Table],
    decode: Callable[[Answers], pl.DataFrame],
) -> tuple[pl.DataFrame, list[str]]:
    """The given rows, each as often as is drawn for it, beside what is drawn; and notes. Raises PlanError, DataError.

    What is drawn becomes raw values batch by batch, so that no more than these are held of all rows.
    """
    plan = network.plan
    check_draws(plan)
    count = whole("sample: n", count, 1)
    how = _ways(plan, how)
    rows, notes = _rows(network, count, given, read)
    batches = network.drawn(rows, notes, generator=generator(seed, torch.device("cpu")), **how)
    made = pl.concat([decode(answers) for answers in batches])
    return pl.concat([rows, made], how="horizontal") if plan.inputs else made, notes


def check_draws(plan: Plan) -> None:
    """Raises PlanError for a plan whose models draw nothing."""
    idle = [name for name, t in plan.targets.items() if not registry.lookup("head", t.head["name"]).draws]
    if idle:
        head = plan.targets[idle[0]].head["name"]
        other = "use generate" if head == "text" else "train with a head that draws, such as 'vae' or 'diffusion'"
        raise PlanError(f"sample: head {head!r} of {idle[0]!r} draws nothing; {other}")


def _ways(plan: Plan, how: Mapping[str, Any]) -> dict[str, Any]:
    """How it is drawn, checked, without what is as planned. Raises PlanError for what no head draws by."""
    heads = [registry.lookup("head", target.head["name"]) for target in plan.targets.values()]
    known = [way for head in heads for way in head.ways]
    for name, value in how.items():
        if name not in known:
            raise PlanError(f"sample: unknown {name!r}; {did_you_mean(name, known)}")
        for head in heads:
            if name in head.ways:
                options_of(head).get(name, FREE).check(value, f"sample: {name}")
    return {name: value for name, value in how.items() if value != AUTO}


def _rows(network: Network, count: int, given: Any, read: Callable[[Any], Table]) -> tuple[pl.DataFrame, list[str]]:
    """Every given row `count` times; without any, rows of nothing."""
    inputs = list(network.plan.inputs)
    if given is None:
        if inputs:
            raise PlanError(f"sample: this model draws for given {', '.join(inputs)}; give them, as given={{...}}")
        return pl.DataFrame({ROW: range(count)}), []
    if not inputs:
        raise PlanError("sample: this model was trained without inputs, so that nothing can be given")
    if isinstance(given, Mapping):
        strange = [name for name in given if name not in inputs]
        if strange:
            raise PlanError(f"sample: given {strange[0]!r} is no input; {did_you_mean(strange[0], inputs)}")
        given = {name: _several(value, network.layout.specs[name]) for name, value in given.items()}
    table = read(given)
    frame = table.frame.select(name for name in table.frame.columns if name in inputs)
    for name in frame.columns:
        _check_seen(network.columns[name], frame[name])
    return frame.select(pl.all().repeat_by(count).explode()) if count > 1 else frame, list(table.notes)


def _check_seen(column: Column, values: pl.Series) -> None:
    """Raises DataError for a category that was not seen in training, of which nothing can be drawn."""
    spec = column.spec
    if spec is None or spec.kind != "index":
        return
    unseen = np.flatnonzero(column.encode(values).data == spec.size)
    if len(unseen):
        value = values[int(unseen[0])]
        known = did_you_mean(str(value), getattr(column, "labels", []))
        raise DataError(f"sample: given {column.name} = {value!r} was not seen in training; {known}")


def _several(value: Any, spec: Spec) -> Any:
    """Values of a column as they are, a single one as a list of it: an array may be one vector or picture."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return [value] if _single(tuple(value.shape), spec) else value
    series = hasattr(value, "to_list")  # of polars or pandas
    return value if series else list(value) if isinstance(value, list | tuple) else [value]


def _single(shape: tuple[int, ...], spec: Spec) -> bool:
    """Whether an array of this shape is a single value.

    Of three axes it is a picture (H, W, C) or (C, H, W), else pictures (N, H, W): of a grey column (3, H, W) are three.
    """
    if spec.kind != "pixels":
        return len(shape) <= (1 if spec.kind == "vector" and spec.unit != "time" else 0)
    if len(shape) != 3:
        return len(shape) < 3
    return shape[2] in CHANNELS or shape[0] in (CHANNELS if spec.size > 1 else CHANNELS[:1])
