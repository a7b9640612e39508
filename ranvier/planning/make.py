"""From data to a plan: what each column is, what it is for, and everything that follows."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ranvier.columns.recognise import UNKNOWN, recognise
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.plan import ColumnPlan, DataPlan, InputPlan, Plan, TargetPlan, TrainPlan
from ranvier.data.roles import Role, assign_roles
from ranvier.planning.choose import resolve
from ranvier.planning.frames import load
from ranvier.planning.reasons import because


def make_plan(
    source: Any,
    target: str | Sequence[str] = (),
    *,
    inputs: Sequence[str] | None = None,
    test: Any = None,
    val: Any = None,
    split: str = "auto",
    fraction: float | str = "auto",
    roles: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    balance: str = "none",
    size: str = "m",
    time: float | str = 0.0,
    **train: Any,
) -> Plan:
    """What `fit` would do with this data, every choice with its reason.

    source, test, val: whatever `read` takes. target: the column or columns to predict. inputs: columns to
    predict from, by default all that are left. time: seconds, or a text such as "5m". train: further settings
    of `TrainPlan` (epochs, batch, optimizer, rate, precision, seed, device ...). Raises PlanError for names that
    are unknown or contradict each other, DataError for data that cannot serve.
    """
    rows: dict[str, Any] = {"split": split, "fraction": fraction, "balance": balance}
    paths: dict[str, Any] = {"source": _path(source), "test": _path(test), "val": _path(val)}
    dials: dict[str, Any] = {"size": size}
    plan = Plan(data=DataPlan(**paths, **rows), train=TrainPlan(time=seconds(time), **train), **dials)
    given = {"source": source, "test": test, "val": val}
    plan._memory.update({name: value for name, value in given.items() if value is not None})
    frames = load(plan)
    targets = [target] if isinstance(target, str) else list(target)
    found = column_types(frames.given, targets, dict(types or {}))
    for name, role in assign_roles(
        frames.given, {n: kind for n, (kind, _) in found.items()}, targets, inputs, roles
    ).items():
        _enter(plan, name, found[name], role)
    because(plan, "size", plan.size, "the capacity dial: s, m or l")
    because(plan, "train.time", plan.train.time, "no limit" if not plan.train.time else "as asked")
    resolve(plan)
    return plan


def column_types(frame: pl.DataFrame, targets: Sequence[str], types: dict[str, str]) -> dict[str, tuple[str, str]]:
    """{column: (type, reason)}: recognised from the values, or as said in `types`. Raises PlanError."""
    for name in types:
        if name not in frame.columns:
            raise PlanError(f"types names {name!r}, which is no column; {did_you_mean(name, frame.columns)}")
    return {
        name: (types[name], "as asked") if name in types else recognise(frame[name], target=name in targets)
        for name in frame.columns
    }


def seconds(time: float | str) -> float:
    """Seconds from a number or a text such as "90s", "5m", "1.5h". Raises PlanError."""
    if isinstance(time, int | float):
        if not time >= 0:
            raise PlanError(f"time = {time!r}: expected at least 0 seconds")
        return float(time)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", time)
    if match is None:
        raise PlanError(f"time = {time!r}: expected seconds, or a number with s, m or h, such as '5m'")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _enter(plan: Plan, name: str, found: tuple[str, str], role: Role) -> None:
    """Writes what a column is and is for into the plan."""
    kind, reason = found
    used = role.role in ("input", "target")
    if kind == UNKNOWN and used:
        raise DataError(f"column {name!r}: {reason}, or set it aside with roles={{{name!r}: 'ignore'}}")
    plan.columns[name] = ColumnPlan(type=kind, role=role.role)
    because(plan, f"columns.{name}.type", kind, reason)
    because(plan, f"columns.{name}.role", role.role, role.reason)
    if role.role == "target":
        plan.targets[name] = TargetPlan()
    if role.role == "input" or role.also_input:
        plan.inputs[name] = InputPlan()


def _path(source: Any) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else ""
