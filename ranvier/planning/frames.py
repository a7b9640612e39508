"""The tables that a plan is about: read, and divided into training, validation and test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.errors import PlanError
from ranvier.core.plan import Plan
from ranvier.data.read import read, read_parts
from ranvier.data.split import folds, split
from ranvier.data.table import Table
from ranvier.data.together import packed


@dataclass
class Frames:
    """given: all rows that may be learnt from. val, test: rows given apart, or None. notes: what was repaired. commas:
    columns of given whose numbers were written with decimal commas."""

    given: pl.DataFrame
    val: pl.DataFrame | None = None
    test: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    commas: list[str] = field(default_factory=list)

    def together(self, names: Sequence[str]) -> Frames:
        """The same tables with these columns packed into one."""
        val, test = (None if frame is None else packed(frame, names) for frame in (self.val, self.test))
        return Frames(packed(self.given, names), val, test, self.notes, self.commas)


def load(plan: Plan) -> Frames:
    """The tables that the plan names, or those given to it in memory; read once. Raises DataError, PlanError."""
    held, data = plan._memory, plan.data
    paths = (data.source, data.val, data.test, *data.together)
    if held.get("paths") != paths:  # nothing was read yet, or the plan was pointed at other files since
        source, val, test = (
            path or held.get(what) for what, path in zip(("source", "val", "test"), paths, strict=False)
        )
        held["frames"], held["paths"] = read_all(source, val, test).together(data.together), paths
    return held["frames"]


def has_data(plan: Plan) -> bool:
    """Whether the plan names data, or they were given to it in memory."""
    return bool(plan.data.source) or "source" in plan._memory


def read_all(source: Any, val: Any, test: Any) -> Frames:
    """Reads what is learnt from, and what was given apart; a folder may hold train/, val/ and test/ itself."""
    if source is None:
        raise PlanError("the plan names no data.source, and no data was given in memory")
    parts = read_parts(source)
    frames = Frames(parts["train"].frame, notes=list(parts["train"].notes), commas=parts["train"].commas)
    frames.val = _given(val, parts.get("val"), "val", frames)
    frames.test = _given(test, parts.get("test"), "test", frames)
    return frames


def _given(apart: Any, beside: Table | None, what: str, frames: Frames) -> pl.DataFrame | None:
    table = beside if apart is None else read(apart, as_text=[*_strings(frames.given), *frames.commas])
    if table is None:
        return None
    missing = [name for name in frames.given.columns if name not in table.frame.columns]
    frames.notes += [f"{what}: {note}" for note in table.notes]
    if missing:
        frames.notes.append(f"{what} lacks {', '.join(map(repr, missing))}, which the rows to learn from have")
    return table.frame


def _strings(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if dtype == pl.String]


def training_rows(plan: Plan, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of `frames.given` that are trained on and validated on; the second is empty without a split.

    With folds, those of the first.
    """
    if plan.data.folded:
        return fold_rows(plan, frames)[0]
    everything = np.arange(frames.given.height)
    if frames.val is not None or plan.data.split == "none":
        return everything, np.empty(0, np.int64)
    fraction = plan.data.fraction
    assert fraction != "auto"
    assert plan.data.split != "none"
    return split(frames.given, plan.data.split, fraction, plan.train.seed, **_by(plan))


def fold_rows(plan: Plan, frames: Frames) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each fold the row numbers of `frames.given` that are trained on and held out; every row is held out once."""
    assert plan.data.split != "none"
    return folds(frames.given, plan.data.split, plan.data.folds, plan.train.seed, **_by(plan))


def identity_of(plan: Plan) -> str | None:
    """The target that is a column of identities, if there is one."""
    return next((name for name in plan.targets if plan.columns[name].type == "identity"), None)


def _by(plan: Plan) -> dict[str, Any]:
    """What rows are divided by: target, group, order and the columns' types."""
    with_role = {column.role: name for name, column in plan.columns.items()}
    types = {name: column.type for name, column in plan.columns.items()}
    return {
        "target": list(plan.targets),
        "group": with_role.get("group") or identity_of(plan),
        "order": with_role.get("order"),
        "types": types,
    }
