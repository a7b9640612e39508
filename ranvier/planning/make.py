"""From data to a plan: what each column is, what it is for, and everything that follows."""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ranvier.columns.recognise import recognise_all
from ranvier.columns.row import KINDS
from ranvier.core.elsewhere import SETTINGS
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.plan import UNKNOWN, ColumnPlan, DataPlan, InputPlan, Plan, TargetPlan, TrainPlan
from ranvier.data.roles import Role, assign_roles
from ranvier.data.together import ALL, APART, ROW, roles_of_all
from ranvier.planning.choose import resolve
from ranvier.planning.frames import load
from ranvier.planning.reasons import ASKED, because, note_names
from ranvier.planning.start import start_of


def make_plan(
    source: Any,
    target: str | Sequence[str] = (),
    *,
    inputs: str | Sequence[str] | None = None,
    test: Any = None,
    val: Any = None,
    split: str = "auto",
    fraction: float | str = "auto",
    folds: int = 0,
    roles: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    balance: str = "none",
    size: str = "m",
    time: float | str = 0.0,
    init: Any = None,
    **train: Any,
) -> Plan:
    """What `fit` would do with this data, every choice with its reason.

    source, test, val: whatever `read` takes. target: the column or columns to predict; "*" = all
    numbers and categories, to be drawn together (`Model.sample`), as several are without inputs. inputs: columns to
    predict from, by default all that are left. folds: 5 = five networks, each trained on four fifths of the rows and
    validated on the fifth that it has not seen, and their answers averaged. time: seconds, or a text such as "5m".
    init: a model to start from, from which columns of texts and words are taken over by name with what reads or writes
    them; or vectors of words, for which texts and words get an encoder with vectors as wide. train: further
    settings of `TrainPlan` (epochs, batch, optimizer, rate, precision, seed, device ...). Raises PlanError for names
    that are unknown or contradict each other, DataError for data that cannot serve.
    """
    _check_settings(train)
    rows: dict[str, Any] = {"split": split, "fraction": fraction, "folds": folds, "balance": balance}
    paths: dict[str, Any] = {"source": absolute(source), "test": absolute(test), "val": absolute(val)}
    dials: dict[str, Any] = {"size": size}
    plan = Plan(data=DataPlan(**paths, **rows), train=TrainPlan(time=seconds(time), **train), **dials)
    given = {"source": source, "test": test, "val": val}
    plan._memory.update({name: value for name, value in given.items() if value is not None and not paths[name]})
    targets, named = _names("target", target), None if inputs is None else _names("inputs", inputs)
    if not targets and isinstance(source, tuple) and len(source) == 2:  # (X, y)
        shape: tuple[int, ...] = getattr(source[1], "shape", ())
        targets = load(plan).given.columns[-(shape[1] if len(shape) > 1 else 1) :]  # y's columns stand last
    if not targets and not any(role == "target" for role in (roles or {}).values()):
        targets = _only_column(plan)
    said = _words("types", types)
    every = targets == [ALL]
    if every or (named == [] and len(targets) > 1):
        targets, named = _together(plan, targets, named or [], said, _words("roles", roles)), named or []
    _fill_columns(plan, targets, named, _words("roles", roles), said)
    for name, column in plan.columns.items():
        if every and column.role == "ignore" and column.type not in KINDS and name not in _words("roles", roles):
            because(plan, f"columns.{name}.role", "ignore", APART)
    because(plan, "size", plan.size, "the capacity dial: s, m or l")
    because(plan, "train.time", plan.train.time, ASKED if plan.train.time else "no limit")
    note_names(plan)
    resolve(plan, start_of(init))
    return plan


def _together(
    plan: Plan, targets: list[str], inputs: list[str], types: dict[str, str], roles: dict[str, str]
) -> list[str]:
    """Packs numbers and categories that are to be drawn together into one target; `types` keeps what is not packed.

    Inputs and columns of a role of their own are left out; targets of other types alone are left as they are. Raises
    PlanError for some beside others.
    """
    frame = load(plan).given
    wanted = frame.columns if targets == [ALL] else targets
    for name in [*wanted, *inputs]:  # before columns are packed, so that those of the table are told
        if name not in frame.columns:
            raise PlanError(f"no column {name!r}; {did_you_mean(name, frame.columns)}")
    found = recognise_all(frame, wanted, types)
    fields = [name for name in wanted if found[name][0] in KINDS]
    if targets == [ALL]:
        given = roles_of_all(frame, {n: kind for n, (kind, _) in found.items()}, KINDS, inputs, roles)
        fields = [name for name in fields if given[name].role == "target"]
    elif not fields:
        return targets
    elif alone := [name for name in wanted if name not in fields]:
        kind, reason = found[alone[0]]
        raise PlanError(
            f"column {alone[0]!r} is a {kind} ({reason}), and without inputs targets are drawn together, which only "
            f"numbers and categories are: leave it out, name inputs, or say types={{{alone[0]!r}: 'category'}}"
        )
    if not fields:
        raise DataError("no column is a number or a category, of which rows are drawn; name the target")
    plan.data.together = fields
    because(plan, "data.together", fields, "columns without inputs are drawn together")
    for name in fields:
        types.pop(name, None)
    types[ROW] = "row"
    plan.columns[ROW] = ColumnPlan(
        type="row", role="target", options={"types": [f"{name}={found[name][0]}" for name in fields]}
    )
    because(
        plan, f"columns.{ROW}.options.types", plan.columns[ROW].options["types"], "as their values are, or as asked"
    )
    return [ROW]


def _only_column(plan: Plan) -> list[str]:
    """The only column of the data, which is then what is to be learnt."""
    columns = load(plan).given.columns
    return columns if len(columns) == 1 else []


def add_columns(plan: Plan) -> None:
    """The columns that a plan written by hand leaves out: its inputs and targets, or where it names none, all."""
    if plan.columns:
        frame = load(plan).given
        known = {name: column.type for name, column in plan.columns.items() if name in frame.columns}
        types = {name: kind for name, kind in known.items() if kind != UNKNOWN}
        for name, found in recognise_all(frame, list(plan.targets), types).items():
            if name not in plan.columns and (name in plan.targets or name in plan.inputs):
                _enter(plan, name, found, Role("target" if name in plan.targets else "input", "as the plan has it"))
    else:
        _fill_columns(plan, list(plan.targets), list(plan.inputs) or None, {}, {})


def _fill_columns(
    plan: Plan,
    targets: list[str],
    inputs: list[str] | None,
    roles: dict[str, str],
    types: dict[str, str],
) -> None:
    """Every column of the data with its type and role."""
    frame = load(plan).given
    found = recognise_all(frame, targets, types)
    for name, role in assign_roles(frame, {n: kind for n, (kind, _) in found.items()}, targets, inputs, roles).items():
        _enter(plan, name, found[name], role)


def seconds(time: float | str) -> float:
    """Seconds from a number or a text such as "90s", "5m", "1.5h". Raises PlanError."""
    if isinstance(time, int | float) and not isinstance(time, bool):
        if not 0 <= time < math.inf:
            raise PlanError(f"time = {time!r}: expected a number of seconds, 0 for no limit")
        return float(time)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", str(time))
    if match is None:
        raise PlanError(f"time = {time!r}: expected seconds, or a number with s, m or h, such as '5m'")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _enter(plan: Plan, name: str, found: tuple[str, str], role: Role) -> None:
    """Writes what a column is and is for into the plan."""
    kind, reason = found
    used = role.role in ("input", "target")
    if kind == UNKNOWN and used:
        raise DataError(f"column {name!r}: {reason}, or set it aside with roles={{{name!r}: 'ignore'}}")
    options = plan.columns[name].options if name in plan.columns else {}
    plan.columns[name] = ColumnPlan(type=kind, role=role.role, options=options)
    because(plan, f"columns.{name}.type", kind, reason)
    because(plan, f"columns.{name}.role", role.role, role.reason)
    if role.role == "target":
        plan.targets.setdefault(name, TargetPlan())
    if role.role == "input" or role.also_input:
        plan.inputs.setdefault(name, InputPlan())


def absolute(source: Any) -> str:
    """The absolute path, so that a saved plan can be run from any folder; "" for data in memory, and for none."""
    return os.path.abspath(os.path.expanduser(source)) if isinstance(source, str | os.PathLike) and source else ""


def _names(what: str, given: Any) -> list[str]:
    """One name or several as a list. Raises PlanError for anything else."""
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    for name in names:
        if not isinstance(name, str):
            raise PlanError(f"{what} = {given!r}: expected a column's name or a list of names")
    return names


def _words(what: str, given: Any) -> dict[str, str]:
    """{column: word}. Raises PlanError for anything else."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(x, str) for pair in given.items() for x in pair):
        raise PlanError(f"{what} = {given!r}: expected a dictionary from column names to words")
    return dict(given)


def _check_settings(train: Mapping[str, Any]) -> None:
    """Raises PlanError for a keyword that neither `make_plan` nor `TrainPlan` knows."""
    own = [p for p in inspect.signature(make_plan).parameters if p not in ("source", "train")]
    for name in train:
        if name not in TrainPlan.model_fields:
            near = did_you_mean(name, [*own, *TrainPlan.model_fields], SETTINGS)
            raise PlanError(f"unknown setting {name!r}; {near}")
