"""Which values of a plan the planner chose, and which a person set since."""

from __future__ import annotations

from typing import Any

from ranvier.core.plan import InputPlan, Plan, Reason, TargetPlan, auto


def because(plan: Plan, place: str, value: Any, why: str) -> None:
    """Records that the planner put this value at this place, and why."""
    plan.why[place] = Reason(value=value, why=why)


def edited(plan: Plan) -> list[str]:
    """Places whose value is no longer what the planner put there."""
    leaves = plan.leaves()
    return [place for place, reason in plan.why.items() if place not in leaves or leaves[place] != reason.value]


def release(plan: Plan) -> None:
    """Makes every network and training choice that nobody edited "auto" again, and syncs inputs with the roles.

    What was edited stays and loses its reason; what columns are and are for stays.
    """
    leaves = plan.leaves()
    for place, reason in list(plan.why.items()):
        changed = leaves.get(place) != reason.value
        if changed:
            del plan.why[place]
        elif place.split(".")[0] in ("inputs", "targets", "fuse", "train", "data"):
            _reset(plan, place)
    for name, column in plan.columns.items():
        if column.role == "input":
            plan.inputs.setdefault(name, InputPlan())
        elif column.role == "target":
            plan.targets.setdefault(name, TargetPlan())
    plan.inputs = {n: p for n, p in plan.inputs.items() if plan.columns[n].role in ("input", "target")}
    plan.targets = {n: p for n, p in plan.targets.items() if plan.columns[n].role == "target"}


def _reset(plan: Plan, place: str) -> None:
    """One place back to "auto"; its reason goes."""
    if place == "train.time":
        return
    holder, key = locate(plan, place)
    del plan.why[place]
    if isinstance(holder, dict):
        if key == "name":
            holder["name"] = "auto"
        else:
            holder.pop(key, None)
    else:
        field = getattr(holder, key)
        setattr(holder, key, auto() if isinstance(field, dict) else "auto")


def locate(plan: Plan, place: str) -> tuple[Any, str]:
    """The section or dictionary that holds a place, and the last word of its name. Column names may hold dots."""
    here: Any = plan
    rest = place
    while True:
        names = list(here) if isinstance(here, dict) else list(type(here).model_fields)
        key = max((n for n in names if rest == n or rest.startswith(f"{n}.")), key=len, default=rest)
        if rest == key:
            return here, key
        here, rest = (here[key] if isinstance(here, dict) else getattr(here, key)), rest[len(key) + 1 :]
