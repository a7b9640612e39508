"""Which values of a plan the planner chose, and which a person set since."""

from __future__ import annotations

import copy
from typing import Any

from ranvier.core import registry
from ranvier.core.plan import ColumnPlan, InputPlan, Plan, Reason, Section, TargetPlan
from ranvier.core.schema import AUTO, defaults_of

CHOSEN = ("inputs", "targets", "fuse", "train", "data")  # sections whose values follow from others
ASKED = "as asked"  # the reason of what a person set: never chosen anew, but what follows from it is
GIVEN = "as in what it starts from"  # of what is taken over: set anew from there whenever a plan is resolved
# places in them that say what is asked: nothing chooses these
KEPT = ("train.time", "train.device", "data.source", "data.test", "data.val", "data.folds", "data.together")


def because(plan: Plan, place: str, value: Any, why: str) -> None:
    """Records that the planner put this value at this place, and why. A list is copied: it may be edited in place."""
    plan.why[place] = Reason(value=copy.deepcopy(value), why=why)


def put(plan: Plan, place: str, value: Any, why: str) -> None:
    """Sets a value of one of the plan's sections, such as "data.split", and says why."""
    section, key = place.split(".")
    setattr(getattr(plan, section), key, value)
    because(plan, place, value, why)


def edited(plan: Plan) -> list[str]:
    """Places whose value is no longer what its reason is about, and what `unexplained` finds."""
    leaves = plan.leaves()
    changed = [place for place, reason in plan.why.items() if place not in leaves or leaves[place] != reason.value]
    return changed + unexplained(plan)


def unexplained(plan: Plan) -> list[str]:
    """Names of parts and options of columns that somebody set, and of which the plan does not say who or why."""
    places = [f"{place}.name" for named, place, _ in named_parts(plan) if named["name"] not in (AUTO, "none")]
    options = [
        (f"columns.{name}.options.{o}", value) for name, c in plan.columns.items() for o, value in c.options.items()
    ]
    places += [place for place, value in options if value != AUTO]
    places += ["data.val"] if plan.data.val else []
    return [place for place in places if place not in plan.why]


def unresolved(plan: Plan) -> list[str]:
    """Places that are still "auto", columns of which role and sections differ, and what parts want of columns else."""
    leaves, wanted = plan.leaves(), of_parts(plan)
    places = [
        place
        for place, value in leaves.items()
        if value == AUTO and place.partition(".")[0] in CHOSEN and place not in KEPT
    ]
    places += [place for place, (value, _) in wanted.items() if leaves.get(place, AUTO) != value]
    kept = [*wanted, *(place for place, r in plan.why.items() if r.why in (ASKED, GIVEN))]
    places += [place for place in plan.why if _of_column(place) and place not in kept]
    return places + [f"columns.{name}.role" for name, column in plan.columns.items() if not _agrees(plan, name, column)]


def of_parts(plan: Plan) -> dict[str, tuple[Any, str]]:
    """{place: (value, why)} for options of columns that heads and encoders prefer and nobody set, or heads need."""
    found: dict[str, tuple[Any, str]] = {}
    for name in plan.inputs:
        found |= of_encoder(plan, name)
    for name, target in plan.targets.items():
        if target.head.get("name", AUTO) == AUTO:
            continue
        head = registry.lookup("head", target.head["name"])
        for column in dict.fromkeys([name, *plan.inputs]):
            if column in plan.columns:
                liked = head.prefers(plan.columns[column].type, target.head, target=column == name)
                places = {f"columns.{column}.options.{option}": choice for option, choice in liked.items()}
                found |= {place: choice for place, choice in places.items() if not was_set(plan, place)}
        needed = head.of_target(target.head)
        found |= {f"columns.{name}.options.{option}": choice for option, choice in needed.items()}
    return found


def of_encoder(plan: Plan, name: str) -> dict[str, tuple[Any, str]]:
    """{place: (value, why)} for options of the input's column that its encoder prefers and nobody set."""
    named = plan.inputs[name].encoder
    if name not in plan.columns or named.get("name", AUTO) == AUTO:
        return {}
    liked = registry.lookup("encoder", named["name"]).prefers(plan.columns[name].type, named)
    places = {f"columns.{name}.options.{option}": choice for option, choice in liked.items()}
    return {place: choice for place, choice in places.items() if not was_set(plan, place)}


def given_up(plan: Plan) -> list[str]:
    """What heads would have of columns, where the model to start from has it otherwise."""
    told = []
    for name, target in plan.targets.items():
        head = registry.lookup("head", target.head["name"])
        for column in dict.fromkeys([name, *plan.inputs]):
            liked = head.prefers(plan.columns[column].type, target.head, target=column == name)
            for option, (value, why) in liked.items():
                place = f"columns.{column}.options.{option}"
                own = plan.columns[column].options.get(option, AUTO)
                if place in plan.why and plan.why[place].why == GIVEN and own not in (AUTO, value):
                    told.append(f"{place} = {own!r} as in what it starts from; else it were {value!r}: {why}")
    return told


def was_set(plan: Plan, place: str) -> bool:
    """Whether a person, or what the plan starts from, has set the place."""
    return place in plan.why and plan.why[place].why in (ASKED, GIVEN)


def _of_column(place: str) -> bool:
    return place.startswith("columns.") and ".options." in place


def _agrees(plan: Plan, name: str, column: ColumnPlan) -> bool:
    if (name in plan.targets) != (column.role == "target"):
        return False
    return column.role == "target" or (name in plan.inputs) == (column.role == "input")


def release(plan: Plan) -> None:
    """Makes every network and training choice that nobody edited "auto" again, and brings roles and sections together.

    What was edited stays, "as asked"; what columns are and are for stays, but for options that heads asked of them.
    """
    changed, leaves = edited(plan), plan.leaves()
    for named, place, kind in named_parts(plan):
        changed += _given_anew(plan, named, place, kind)
        _forget_defaults(plan, named, place, kind)
    for place in changed:
        plan.why.pop(place, None)
        if leaves.get(place, AUTO) != AUTO:
            because(plan, place, leaves[place], ASKED)
    for place, reason in list(plan.why.items()):
        chosen = place.partition(".")[0] in CHOSEN or _of_column(place)
        if chosen and place not in KEPT and reason.why != ASKED:
            _reset(plan, place)
    roles = {place.removeprefix("columns.").removesuffix(".role") for place in changed if place.endswith(".role")}
    for name, column in plan.columns.items():
        _agree(plan, name, column, role_was_edited=name in roles)


def confirm(plan: Plan, place: str) -> None:
    """Marks as asked for what was set at the place, or in the part there, to what the planner had chosen.

    A person who names the planner's own choice wants it kept, though nothing about the plan has changed.
    """
    leaves = plan.leaves()
    for at, reason in plan.why.items():
        if (at == place or at.startswith(f"{place}.")) and at in leaves and leaves[at] == reason.value:
            because(plan, at, reason.value, ASKED)


def note_names(plan: Plan) -> None:
    """Gives what a person set its reason, so that a later change of it is seen."""
    leaves = plan.leaves()
    for place in unexplained(plan):
        because(plan, place, leaves[place], ASKED)


def named_parts(plan: Plan) -> list[tuple[dict[str, Any], str, str]]:
    """Every named part of the plan, its place and its kind in the registry."""
    found = [(plan.fuse, "fuse", "fuse")]
    for name, chosen in plan.inputs.items():
        found.append((chosen.encoder, f"inputs.{name}.encoder", "encoder"))
        found.append((chosen.augment, f"inputs.{name}.augment", "augment"))
    found += [(target.head, f"targets.{name}.head", "head") for name, target in plan.targets.items()]
    found += [
        (plan.train.optimizer, "train.optimizer", "optimizer"),
        (plan.train.schedule, "train.schedule", "schedule"),
        (plan.train.mix, "train.mix", "mix"),
    ]
    return found


def _given_anew(plan: Plan, named: dict[str, Any], place: str, kind: str) -> list[str]:
    """Places of the options of a part that was put in another's stead, even where they equal what that one had.

    If only the name was changed, the other's options are still there, all of them; and nobody asked for those.
    """
    reason = plan.why.get(f"{place}.name")
    if reason is None or reason.value == named["name"] or reason.value not in registry.names(kind):
        return []
    before = defaults_of(registry.lookup(kind, reason.value))
    return [] if all(option in named for option in before) else [f"{place}.{o}" for o in named if o != "name"]


def _forget_defaults(plan: Plan, named: dict[str, Any], place: str, kind: str) -> None:
    """Drops options that stand as the part the planner chose has them by default: another part may not know them."""
    reason = plan.why.get(f"{place}.name")
    if reason is None or reason.value not in registry.names(kind):
        return
    defaults = defaults_of(registry.lookup(kind, reason.value))
    for option in [o for o in named if o != "name" and f"{place}.{o}" not in plan.why]:
        now = registry.renamed(kind, {"name": reason.value, option: named[option]})
        if any(o in defaults and value == defaults[o] for o, value in now.items()):
            del named[option]


def _agree(plan: Plan, name: str, column: ColumnPlan, role_was_edited: bool) -> None:
    """Role and sections say the same: the role where it was edited, else the sections."""
    if role_was_edited:
        if column.role == "input":
            plan.inputs.setdefault(name, InputPlan())
        else:
            plan.inputs.pop(name, None)
        if column.role == "target":
            plan.targets.setdefault(name, TargetPlan())
        else:
            plan.targets.pop(name, None)
        return
    role = "target" if name in plan.targets else "input" if name in plan.inputs else column.role
    if role in ("input", "target") and name not in {**plan.inputs, **plan.targets}:
        role = "ignore"
    if role != column.role:
        column.role = role
        because(plan, f"columns.{name}.role", role, "as the plan's inputs and targets have it")


def _reset(plan: Plan, place: str) -> None:
    """One place back to "auto", if it can be; its reason goes."""
    holder, key = locate(plan, place)
    if isinstance(holder, Section):
        default = type(holder).model_fields[key].get_default(call_default_factory=True)
        if default != AUTO:
            return  # a reason that a person wrote, for what is not chosen
        setattr(holder, key, AUTO)
    elif key == "name":
        holder[key] = AUTO
    else:
        del holder[key]
    del plan.why[place]


def locate(plan: Plan, place: str) -> tuple[Any, str]:
    """The section or dictionary that holds a plain value, and the value's name there. Column names may hold dots.

    Raises KeyError if the plan has no such place.
    """
    found = _locate(plan, place)
    if found is None:
        raise KeyError(place)
    return found


def _locate(here: Any, rest: str) -> tuple[Any, str] | None:
    inner = {name: getattr(here, name) for name in type(here).model_fields} if isinstance(here, Section) else here
    for name, value in inner.items():
        holds_more = isinstance(value, Section | dict)
        if rest == name and not holds_more:
            return here, name
        if holds_more and rest.startswith(f"{name}."):
            found = _locate(value, rest[len(name) + 1 :])
            if found is not None:
                return found
    return None
