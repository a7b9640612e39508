"""Which rows train and which validate: the kind of split, its size, folds."""

from __future__ import annotations

import polars as pl

from ranvier.columns.category import as_labels
from ranvier.core.errors import PlanError
from ranvier.core.plan import Plan
from ranvier.core.schema import AUTO
from ranvier.data.split import Kind, choose_split
from ranvier.planning.frames import Frames, identity_of
from ranvier.planning.reasons import ASKED, because, put

LEAST = 4  # identities: two to be told apart in training, and two that are held out


def choose_rows(plan: Plan, frames: Frames) -> None:
    """How validation rows are found."""
    data = plan.data
    rows = frames.given.height
    for what in ("source", "val"):  # so that a later change of them is seen, and what follows from it chosen anew
        path = getattr(data, what)
        because(plan, f"data.{what}", path, ASKED if path else "given in memory, or not at all")
    if "data.folds" not in plan.why:
        because(plan, "data.folds", data.folds, ASKED if data.folded else "one network")
    if data.folded:
        _check_folds(plan, frames)
    if frames.val is not None:
        if data.split not in (AUTO, "none"):
            raise PlanError(f"data.split = {data.split!r}, but validation rows were given apart (val=); choose one")
        if data.split == AUTO:
            put(plan, "data.split", "none", "validation rows were given apart")
    elif data.split == AUTO:
        with_role = {column.role: name for name, column in plan.columns.items()}
        types = {name: column.type for name, column in plan.columns.items()}
        group, order = with_role.get("group"), with_role.get("order")
        kind, why = choose_split(frames.given, list(plan.targets), group, order, types)
        if (who := identity_of(plan)) and group is None and order is None:
            kind, why = _by_identity(who, frames.given)
        if kind == "stratified" and not _repeats(plan, frames.given):
            kind, why = "random", "every class has a single row"
        put(plan, "data.split", kind, why)
    if data.folded:
        put(plan, "data.fraction", round(1 / data.folds, 4), f"each of the {data.folds} folds is held out once")
    elif data.fraction == AUTO:
        fraction = 0.2 if rows < 5_000 else 0.1 if rows < 50_000 else round(max(0.01, 5_000 / rows), 4)
        why = f"{round(fraction * rows):,} of {rows:,} rows are enough to choose by"
        put(plan, "data.fraction", fraction, "not used: no rows are split off" if data.split == "none" else why)


def _check_folds(plan: Plan, frames: Frames) -> None:
    """Raises PlanError for what folds cannot be had together with."""
    data, asked = plan.data, f"data.folds = {plan.data.folds}"
    order = next((name for name, column in plan.columns.items() if column.role == "order"), None)
    if frames.val is not None:
        raise PlanError(f"{asked}, but validation rows were given apart (val=); choose one")
    if data.split == "none":
        raise PlanError(f"{asked}: each network validates on its own fold; choose a split other than 'none'")
    if data.split == "order" or (data.split == AUTO and order is not None):
        raise PlanError(
            f"{asked}: rows in order ({order!r}) make no folds, for most networks would be judged by rows earlier than "
            f"those they learnt from; use folds=0, or split='random' where the order means nothing"
        )
    if data.fraction != AUTO:
        raise PlanError(f"data.fraction = {data.fraction}: with {asked} each fold holds out its share; choose one")


def _by_identity(name: str, frame: pl.DataFrame) -> tuple[Kind, str]:
    """Whether identities are held out, and why."""
    many = as_labels(frame[name]).drop_nulls().n_unique()
    if many < LEAST:
        return "random", f"{many} identities are too few to hold any out, so that figures are of those learnt"
    return "group", f"identities of validation rows are not trained on, so that figures are of new ones ({name!r})"


def _repeats(plan: Plan, frame: pl.DataFrame) -> bool:
    """Whether the category that the split would be by has a class of two rows."""
    name = next(name for name in plan.targets if plan.columns[name].type == "category")
    known = frame[name].drop_nulls()
    return known.n_unique() < len(known)
