"""The plan of a pretraining: a column without labels to what is hidden of it, to another view of it, or to itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ranvier.columns.recognise import recognise
from ranvier.core import elsewhere
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.plan import Plan
from ranvier.core.schema import AUTO
from ranvier.data.read import read
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle

HEADS = {  # {type of column: {kind: head}}, the first kind being the default
    "text": {"masked": "masked", "next": "text"},
    "words": {"masked": "masked"},
    "image": {"contrastive": "contrastive", "masked": "squares"},
}
KINDS = tuple(dict.fromkeys(kind for heads in HEADS.values() for kind in heads))
OWN = ("target", "inputs")  # settings that follow from the column


def pretraining(
    data: Any,
    *,
    column: str = "",
    kind: str = AUTO,
    encoder: str | Mapping[str, Any] = "auto",
    init: Any = None,
    types: Mapping[str, str] | None = None,
    **settings: Any,
) -> Plan:
    """What `pretrain` would do. Raises PlanError, DataError."""
    if kind not in (AUTO, *KINDS):
        raise PlanError(f"kind = {kind!r}: {did_you_mean(str(kind), KINDS, elsewhere.KINDS)}")
    if own := [name for name in OWN if name in settings]:
        raise PlanError(f"pretrain takes no {own[0]}: the column is input and target alike; name it by column=")
    frame = read(data).frame
    name, found = _column(frame, column, dict(types or {}))
    heads = HEADS[found]
    kind = next(iter(heads)) if kind == AUTO else kind
    if kind not in heads:
        able = " or ".join(f"kind = {one!r}" for one in heads)
        raise PlanError(f"kind = {kind!r} learns nothing of {name!r}, which is a column of type {found!r}; use {able}")
    inputs = [] if kind == "next" else [name]
    plan = make_plan(data, name, inputs=inputs, types={**(types or {}), name: found}, init=init, **settings)
    named = {"name": encoder} if isinstance(encoder, str) else dict(encoder)
    if found == "image":
        plan.targets[name].head = {"name": heads[kind]}
        plan.inputs[name].augment = {"name": AUTO}  # it was to be given back, and stayed as it is
    elif named == {"name": AUTO}:
        return plan
    if kind != "next":
        plan.inputs[name].encoder = named
    else:
        options = {"layer_width" if option == "width" else option: value for option, value in named.items()}
        plan.targets[name].head = {"name": "text", "decoder": options.pop("name", "auto"), **options}
    return settle(plan, init)


def _column(frame: pl.DataFrame, column: str, types: Mapping[str, str]) -> tuple[str, str]:
    """The column to learn from, and its type. Raises DataError if there is none, PlanError if one must be named."""
    if column and column not in frame.columns:
        raise PlanError(f"column = {column!r}: no such column; {did_you_mean(column, frame.columns)}")
    kinds = {name: types.get(name) or _kind(frame[name], named=bool(column)) for name in [column] if name} or {
        name: types.get(name) or _kind(frame[name], named=frame.width == 1) for name in frame.columns
    }
    able = {name: kind for name, kind in kinds.items() if kind in HEADS}
    if len(able) == 1:
        return next(iter(able.items()))
    if able:
        held = ", ".join(map(repr, able))
        raise PlanError(f"several columns hold texts, words or pictures: name one of {held} by column=")
    told = ", ".join(f"{name!r} is taken for {kind}" for name, kind in kinds.items())
    raise DataError(
        f"no column of texts, words or pictures to learn from: {told}; say types={{'name': 'text'}} if one is"
    )


def _kind(values: pl.Series, *, named: bool) -> str:
    """The type; what is named, or all there is, is a text or words if it can be one, and holds no pictures."""
    if (found := recognise(values)[0]) == "image":
        return found
    if named and values.dtype == pl.String:
        return "text"
    if named and values.dtype == pl.List(pl.String):
        return "words"
    return found
