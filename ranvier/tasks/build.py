"""From a resolved plan and the columns' specs to a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranvier.core import registry
from ranvier.core.errors import PlanError
from ranvier.core.plan import Plan, TargetPlan
from ranvier.core.protocols import Encoder, Fuse, Head
from ranvier.core.spec import Given, Spec
from ranvier.tasks.columns import ColumnsTask

PLACES = ("pixels", "mask", "boxes")  # kinds of targets that have places in a picture
MOVES = {"flip": False, "shift": 0, "crop": 1.0, "rotate": 0.0}  # what moves pictures, and its value where it does not


def groups(plan: Plan) -> dict[str, list[str]]:
    """{input of the network: its columns}: columns whose encoder joins, with equal options, travel together."""
    found: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}  # type and options of a joining encoder -> the group's name
    for name, chosen in plan.inputs.items():
        if not registry.lookup("encoder", chosen.encoder["name"]).joins:
            found[name] = [name]
            continue
        kind = repr(sorted(chosen.encoder.items()))
        if kind not in kinds:
            kinds[kind] = _free(f"[{chosen.encoder['name']}]", [*plan.inputs, *found])
        found.setdefault(kinds[kind], []).append(name)
    return found


def joined_spec(plan: Plan, names: list[str], specs: Mapping[str, Spec]) -> Spec:
    """The spec of one network input: its only column's, or that of columns side by side."""
    if not registry.lookup("encoder", plan.inputs[names[0]].encoder["name"]).joins:
        return specs[names[0]]
    first = specs[names[0]]
    return Spec(first.kind, first.shape, first.size, first.unit, tuple(specs[name] for name in names))


def carried(plan: Plan, specs: Mapping[str, Spec]) -> dict[str, list[str]]:
    """{input: targets that have places in it, and move with it}: what the head's `of` names, or the only picture."""
    pictures = [name for name in plan.inputs if specs[name].kind == "pixels"]
    found: dict[str, list[str]] = {}
    for name in placed(plan, specs):
        of = plan.targets[name].head.get("of") or (pictures[0] if len(pictures) == 1 else "")
        if of in pictures:
            found.setdefault(of, []).append(name)
    return found


def placed(plan: Plan, specs: Mapping[str, Spec]) -> list[str]:
    """The targets that have places in a picture, but for those made of the picture as it is moved already."""
    return [name for name, t in plan.targets.items() if specs[name].kind in PLACES and not of_itself(t)]


def of_itself(target: TargetPlan) -> str:
    """Whether the target's truth is made of its own column as an input, and how: see `Head.itself`."""
    kind: str = registry.lookup("head", target.head["name"]).itself
    return kind


def check_places(plan: Plan, specs: Mapping[str, Spec]) -> None:
    """Raises PlanError where targets with places in a picture would not be moved or blended as the picture is."""
    names = placed(plan, specs)
    mix = plan.train.mix["name"]
    if names and mix != "none" and not registry.lookup("mix", mix).joint:
        raise PlanError(f"train.mix = {mix!r}: {names[0]!r} has places, and rows are not blended there")
    if not names and mix != "none" and registry.lookup("mix", mix).joint:
        raise PlanError(f"train.mix = {mix!r}: it moves masks and boxes along, and neither is wanted")
    others = [name for name in plan.targets if specs[name].kind not in ("mask", "boxes")]
    if others and mix != "none" and registry.lookup("mix", mix).joint:
        raise PlanError(
            f"train.mix = {mix!r}: things of one picture are laid over another, with their masks and boxes, and "
            f"{others[0]!r} would no longer be true of that; use 'none', or learn {others[0]!r} apart"
        )
    sure = {target for targets in carried(plan, specs).values() for target in targets}
    for name, chosen in plan.inputs.items():
        moves = specs[name].kind == "pixels" and any(chosen.augment.get(way, low) != low for way, low in MOVES.items())
        if moves and not sure.issuperset(names):
            lost = next(target for target in names if target not in sure)
            raise PlanError(
                f"inputs.{name}.augment moves pictures, and {lost!r} has places in one of several: name it by the "
                "head's option `of`, or move nothing"
            )


def build(plan: Plan, specs: Mapping[str, Spec]) -> ColumnsTask:
    """The task that a resolved plan describes, its weights drawn from torch's random state."""
    encoders: dict[str, Encoder] = {}
    shapes: dict[str, tuple[int | None, ...]] = {}
    for name, members in groups(plan).items():
        spec = joined_spec(plan, members, specs)
        encoders[name] = part("encoder", plan.inputs[members[0]].encoder, spec)
        shapes[name] = spec.shape
    widths = {name: encoder.width for name, encoder in encoders.items()}
    fuse: Fuse = part("fuse", plan.fuse, widths)
    beside = {} if fuse.narrows else {name: _given(encoder, shapes[name]) for name, encoder in encoders.items()}
    heads: dict[str, Head] = {}
    for name, target in plan.targets.items():
        kind = registry.lookup("head", target.head["name"])
        if kind.encodes_target:
            raise PlanError(f"head {target.head['name']!r} needs an encoder of its own target")
        own = encoders[name] if kind.itself else None
        heads[name] = part("head", target.head, specs[name], fuse.width, own, *([beside] if kind.welcomes else []))
    shares = {name: target.weight for name, target in plan.targets.items()}
    monitor = next(iter(heads.values())).monitor if len(heads) == 1 else "loss:min"
    return ColumnsTask(encoders, fuse, heads, shares, monitor)


def part(kind: str, named: Mapping[str, Any], *given: Any) -> Any:
    """The registered part of that name, made with what the house gives and the plan's options.

    Raises PlanError for options of the right type that no network can have, such as a width of 0.
    """
    options = registry.renamed(kind, dict(named))
    name = options.pop("name")
    try:
        return registry.lookup(kind, name)(*given, **options)
    except PlanError as error:
        raise PlanError(f"{kind} {name!r}: {error}") from None
    except (ValueError, RuntimeError) as error:
        raise PlanError(f"{kind} {name!r} cannot be made with {options}: {error}") from None


def _given(encoder: Encoder, shape: tuple[int | None, ...]) -> Given:
    return Given(encoder.width if "tokens" in encoder.views else 0, encoder.grids, shape)


def _free(name: str, taken: list[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free
