"""What a plan takes over from what it starts from: how texts and pictures are read, and what reads or writes them."""

from __future__ import annotations

from typing import Any

from ranvier.core import registry
from ranvier.core.errors import PlanError
from ranvier.core.plan import ColumnPlan, Plan
from ranvier.core.protocols import View
from ranvier.core.schema import AUTO, defaults_of
from ranvier.lexicon.vectors import Embeddings
from ranvier.planning.reasons import ASKED, GIVEN, because

# encoders by the option that says how wide their tokens are; where none is asked for, the first that heads can read
WIDE = {"bag": "width", "lstm": "embedding", "gru": "embedding", "rnn": "embedding", "transformer": "width"}
Start = Plan | Embeddings  # the plan of a model to start from, or vectors of words


def start_of(init: Any) -> Start | None:
    """What of `init`, a model or vectors of words, a plan depends on. Raises PlanError for anything else but None."""
    if init is None or isinstance(init, Embeddings):
        return init
    plan = getattr(init, "plan", None)
    if not isinstance(plan, Plan):
        raise PlanError(
            f"init = {init!r:.60}: expected a model, such as rv.load('old.rv'), or rv.embeddings_from('words.txt'); "
            "fit and pretrain read them from a path too"
        )
    return plan


def take_over(plan: Plan, start: Start) -> None:
    """Sets in place what `taken` finds, with its reason."""
    for place, (named, option, value) in taken(plan, start).items():
        if isinstance(named, ColumnPlan):
            named.type = value
        else:
            named[option] = value
        because(plan, place, value, GIVEN)


def differs(plan: Plan, start: Start) -> bool:
    """Whether the plan has something else than it is to take over."""
    leaves = plan.leaves()
    return any(leaves.get(place) != value for place, (_, _, value) in taken(plan, start).items())


def carried(plan: Plan, start: Plan) -> list[str]:
    """The columns of a resolved plan whose state, and whose encoder or head, are to be those of the other's model."""
    return [name for name in plan.columns if name in _shared(plan, start) and _same_column(plan, start, name)]


def starts(plan: Plan, start: Start | None, name: str) -> bool:
    """Whether the input's encoder, which is chosen, is to have the weights of the other's model."""
    if not isinstance(start, Plan) or name not in plan.inputs or name not in _shared(plan, start):
        return False
    return _same_column(plan, start, name)


def frozen(plan: Plan, start: Start | None) -> list[str]:
    """The inputs of a resolved plan whose encoders stay as they are in the model to start from.

    Raises PlanError where it asks for this (`train.frozen`) and there are none.
    """
    if not plan.train.frozen:
        return []
    if not isinstance(start, Plan):
        raise PlanError("train.frozen = True: encoders stay as they are in a model to start from; give one as init=")
    found = [name for name in plan.inputs if starts(plan, start, name)]
    if not found:
        had = ", ".join(f"{name!r} by {i.encoder['name']!r}" for name, i in start.inputs.items()) or "nothing"
        raise PlanError(
            "train.frozen = True: no encoder of this plan is one of the model to start from (init), which reads "
            f"{had}; name columns as there, of texts, words or pictures"
        )
    return found


def taken(plan: Plan, start: Start) -> dict[str, tuple[Any, str, Any]]:
    """{place: (what holds it, its name there, value)} that the plan takes over, unless a person has set it otherwise.

    Of inputs of texts, words and pictures that the other plan has as well, and of such targets: the options that decide
    the column's state, and the encoder or head with the options that decide what its weights mean. Nothing is taken of
    a column for which a person asked for another state, or for another encoder or head. Of vectors of words their
    width.
    """
    if isinstance(start, Embeddings):
        return _taken_of_vectors(plan, start)
    found: dict[str, tuple[Any, str, Any]] = {}
    for name, (place, kind, mine, theirs) in _shared(plan, start).items():
        column = start.columns[name]
        of_column = registry.lookup("column", column.type)
        settings = defaults_of(of_column) | column.options
        wanted: list[tuple[str, Any, str, Any]] = [(f"columns.{name}.type", plan.columns[name], "type", column.type)]
        options = plan.columns[name].options
        wanted += [(f"columns.{name}.options.{o}", options, o, settings[o]) for o in of_column.carries]
        part = registry.lookup(kind, theirs["name"])
        named = registry.renamed(kind, theirs)
        own = [(f"{place}.{o}", mine, o, named[o]) for o in ("name", *part.carries) if o in named]
        if any(_asked_otherwise(plan, *one) for one in [*wanted, own[0]]):
            continue
        found |= {at: (holder, o, value) for at, holder, o, value in [*wanted, *own] if not _asked(plan, at)}
    return found


def _taken_of_vectors(plan: Plan, words: Embeddings) -> dict[str, tuple[Any, str, Any]]:
    """An encoder whose tokens are as wide as the vectors, of each input of texts or words that is not restored."""
    found: dict[str, tuple[Any, str, Any]] = {}
    needs = _needs(plan)
    fitting = [kind for kind in WIDE if needs <= registry.lookup("encoder", kind).views]
    for name, chosen in plan.inputs.items():
        place, encoder = f"inputs.{name}.encoder", chosen.encoder
        kind = encoder["name"] if _asked(plan, f"{place}.name") else next(iter(fitting), "")
        if plan.columns[name].type not in ("text", "words") or kind not in WIDE or name in plan.targets:
            continue
        for option, value in (("name", kind), (WIDE[kind], words.width)):
            if not _asked(plan, f"{place}.{option}"):
                found[f"{place}.{option}"] = encoder, option, value
    return found


def _needs(plan: Plan) -> frozenset[View]:
    """The views that the heads, which are chosen, ask for."""
    return frozenset().union(*(head.needs for head in plan.heads().values()))


def _shared(plan: Plan, start: Plan) -> dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """{column: (place, kind, part, the other's part)} of texts, words, pictures that both read, or both write."""
    found: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {}
    for name, target in plan.targets.items():
        if name in start.targets and (name in plan.inputs) == (name in start.inputs):  # else restored, or written
            found[name] = (f"targets.{name}.head", "head", target.head, start.targets[name].head)
    for name, chosen in plan.inputs.items():
        if name in start.inputs:
            found[name] = (f"inputs.{name}.encoder", "encoder", chosen.encoder, start.inputs[name].encoder)
    return {
        name: one
        for name, one in found.items()
        if name in plan.columns
        and registry.lookup("column", start.columns[name].type).carries
        and registry.lookup(one[1], one[3]["name"]).carries
    }


def _same_column(plan: Plan, start: Plan, name: str) -> bool:
    """Whether the column, and what reads or writes it, are of the same kind in both."""
    _, _, mine, theirs = _shared(plan, start)[name]
    one, other = plan.columns[name], start.columns[name]
    if mine["name"] != theirs["name"] or one.type != other.type:
        return False
    kind = registry.lookup("column", one.type)
    first, second = (defaults_of(kind) | column.options for column in (one, other))
    return all(first[option] == second[option] for option in kind.carries)


def _asked_otherwise(plan: Plan, place: str, holder: Any, option: str, value: Any) -> bool:
    own = holder.type if isinstance(holder, ColumnPlan) else holder.get(option, AUTO)
    return _asked(plan, place) and own != value


def _asked(plan: Plan, place: str) -> bool:
    return place in plan.why and plan.why[place].why == ASKED
