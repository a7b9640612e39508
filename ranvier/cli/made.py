"""From the options of a command to a plan that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ranvier.cli.edit import change, parse
from ranvier.cli.options import given, pairs, words
from ranvier.core.errors import DataError, PlanError

if TYPE_CHECKING:
    from ranvier.core.plan import Plan
    from ranvier.lexicon.vectors import Embeddings
    from ranvier.model.model import Model

# option -> its place in the plan
PLACES = {
    "test": "data.test",
    "val": "data.val",
    "split": "data.split",
    "fraction": "data.fraction",
    "folds": "data.folds",
    "balance": "data.balance",
    "size": "size",
    "time": "train.time",
    "epochs": "train.epochs",
    "batch": "train.batch",
    "optimizer": "train.optimizer",
    "rate": "train.rate",
    "seed": "train.seed",
    "device": "train.device",
    "threads": "train.threads",
    "precision": "train.precision",
}
COLUMNS = {"target": "--target", "inputs": "--input", "roles": "--roles", "types": "--types"}


def begin(path: Path | None) -> Model | Embeddings | None:
    """The model, or the vectors of words, in a file to start from, if there is one."""
    if path is None:
        return None
    from ranvier.model.start import opened

    return opened(path)


def make(options: Mapping[str, Any], init: Any = None) -> Plan:
    """The settled plan that the options of `plan` or `fit` describe, from data or from a plan file.

    init: what the run is to start from. Raises PlanError, DataError.
    """
    edits = parse(options["set_"] or ())
    path = options["data"]
    plan = _from_file(Path(path), options) if path.endswith(".toml") else _from_data(path, options, edits)
    return _edited(plan, edits, init)


def pretraining_plan(options: Mapping[str, Any], init: Any = None) -> Plan:
    """The settled plan that the options of `pretrain` describe. Raises PlanError, DataError."""
    from ranvier.planning.pretrain import pretraining

    settings = given(options, [*PLACES, "column", "kind", "encoder"])
    plan = pretraining(options["data"], types=pairs(options["types"], "--types"), init=init, **settings)
    return _edited(plan, parse(options["set_"] or ()), init)


def _edited(plan: Plan, edits: Mapping[str, Any], init: Any) -> Plan:
    """The plan with the places of `--set` changed, settled."""
    from ranvier.planning.settle import settle

    for place, value in sorted(edits.items(), key=_whole_first):
        change(plan, place, value)
    return settle(plan, init)


def _whole_first(edit: tuple[str, Any]) -> tuple[int, bool]:
    """Parts and their names before their options, in whatever order they were given."""
    place, _ = edit
    return place.count("."), not place.endswith(".name")


def _from_data(path: str, options: Mapping[str, Any], edits: dict[str, Any]) -> Plan:
    """A plan for the data. Edits of places that have an option of their own are used up here."""
    from ranvier.planning.make import make_plan

    if "data.source" in edits:
        raise PlanError(f"--set data.source: the data are {path}; name others in its place")
    settings = given(options, list(PLACES))
    settings |= {name: edits.pop(place) for name, place in PLACES.items() if place in edits}
    return make_plan(
        path,
        words(options["target"]) or (),
        inputs=words(options["inputs"]) if options["inputs"] else None,
        roles=pairs(options["roles"], "--roles"),
        types=pairs(options["types"], "--types"),
        **settings,
    )


def _from_file(path: Path, options: Mapping[str, Any]) -> Plan:
    """The plan in a file, changed as the options say."""
    from ranvier.core.plan import Plan
    from ranvier.planning.make import seconds

    named = [flag for name, flag in COLUMNS.items() if options[name]]
    if named:
        raise PlanError(f"{path} says already what the columns are; change them there, not by {named[0]}")
    plan = Plan.from_toml(read_text(path))
    settings = given(options, list(PLACES))
    if "time" in settings:
        settings["time"] = seconds(settings["time"])
    for name, value in settings.items():
        change(plan, PLACES[name], value)
    return plan


def read_text(path: Path) -> str:
    """The file's text. Raises DataError if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8") from None
