"""Networks and training settings for a plan whose columns are known: every "auto" gets a value and a reason."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns._numbers import parse
from ranvier.columns.category import as_labels
from ranvier.columns.identity import too_few
from ranvier.columns.mask import LIKE_MASKS, blurred
from ranvier.core import registry
from ranvier.core.column import Column
from ranvier.core.device import fast_bf16
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Plan
from ranvier.core.rng import seed_of
from ranvier.core.rows import numbered
from ranvier.core.schema import AUTO, check_options, defaults_of, options_of
from ranvier.core.spec import Encoded, Spec
from ranvier.data.leak import leaks
from ranvier.data.roles import ONLY_ONE, check_classes, check_varies, check_weight, missing_targets, thin_classes
from ranvier.data.together import APART
from ranvier.lexicon.vectors import Embeddings
from ranvier.planning.about import device_of, facts_of
from ranvier.planning.agree import (
    agree,
    agree_on_copies,
    agree_with_optimizer,
    check_inputs,
    check_without,
    share_pieces,
)
from ranvier.planning.defaults import OF_THE_OPTIMIZER, OVERRULED, frozen_recipe, train_defaults
from ranvier.planning.frames import Frames, fold_rows, load, training_rows
from ranvier.planning.reasons import because, given_up, of_encoder, of_parts, put
from ranvier.planning.rows import choose_rows
from ranvier.planning.start import Start, frozen, starts, take_over
from ranvier.tasks.build import carried, check_places, groups, joined_spec, of_itself, placed

CERTAIN = 0.5  # how well an augmentation has to suit a column to be chosen by itself
SAMPLE = 2_000  # training rows that specs are learnt from while planning; `fit` learns from all of them


def resolve(plan: Plan, start: Start | None = None) -> None:
    """Chooses all that is "auto", in place; start: see `start_of`. Raises PlanError, DataError."""
    check_threads(plan)
    frames = load(plan)
    check_names(plan, frames)
    if isinstance(start, Plan):
        take_over(plan, start)
    choose_rows(plan, frames)
    train, _ = training_rows(plan, frames)
    parts = [rows for rows, _ in fold_rows(plan, frames)] if plan.data.folded else [train]
    for name in plan.targets:
        if plan.columns[name].type == "category":
            for rows in parts:
                check_classes(name, frames.given[name][rows], f" in the {len(rows)} training rows")
    rows = _sample(plan, train)
    sample = frames.given[rows]
    columns = make_columns(plan)
    with numbered(rows):
        specs, ragged = _learn(columns, sample)
    facts = facts_of(plan, specs, max(map(len, parts)), ragged, sample)
    for name, target in plan.targets.items():
        own = replace(facts, given=name in plan.inputs)
        _choose_part(plan, "head", f"targets.{name}.head", target.head, specs[name], own)
    check_inputs(plan)
    if isinstance(start, Embeddings):  # what reads by them has to give what the heads ask for
        take_over(plan, start)
    heads = [*plan.heads().values()]
    facts = replace(facts, views=frozenset().union(*(head.needs for head in heads)))
    itself = {head.itself for head in heads}
    if len(itself) == 1 and itself != {""}:
        facts = replace(facts, outcome=itself.pop())
    restores = {*plan.inputs} == {*plan.targets} and not any(head.itself for head in heads)
    still = restores or len(placed(plan, specs)) > sum(map(len, carried(plan, specs).values()))
    facts = replace(facts, restores=restores, still=still, averages=all(head.averages for head in heads))
    recipes: list[tuple[str, Choices]] = []
    for name in share_pieces(plan):
        specs[name] = make_columns(plan)[name].learn([sample[name]])
    for name, chosen in plan.inputs.items():
        place = f"inputs.{name}.encoder"
        _choose_part(plan, "encoder", place, chosen.encoder, specs[name], facts)
        if _choose_of_columns(plan, of_encoder(plan, name)):
            specs[name] = make_columns(plan)[name].learn([sample[name]])
        _choose_augment(plan, name, specs[name], _of_start(facts, plan, start, name))
    agree_on_copies(plan)
    check_without(plan)
    facts = replace(facts, tells=all(registry.lookup("encoder", i.encoder["name"]).tells for i in plan.inputs.values()))
    for members in groups(plan).values():
        encoder = plan.inputs[members[0]].encoder
        asked = replace(_of_start(facts, plan, start, members[0]), options=encoder)
        recipe = registry.lookup("encoder", encoder["name"]).recipe(joined_spec(plan, members, specs), asked)
        recipes.append((f"encoder {encoder['name']!r}", recipe))
    inputs = Spec("row", parts=tuple(specs[name] for name in plan.inputs))
    _choose_part(plan, "fuse", "fuse", plan.fuse, inputs, facts)
    recipes.append((f"fuse {plan.fuse['name']!r}", registry.lookup("fuse", plan.fuse["name"]).recipe(inputs, facts)))
    _choose_mix(plan, inputs, facts)
    check_places(plan, specs)
    if any(head.itself for head in heads):
        _check_itself(plan, facts)
    leading = 0
    if {*frozen(plan, start)} == {*plan.inputs} != set():
        recipes.insert(0, ("frozen encoders", frozen_recipe(facts)))
        leading = 1
    for head, (name, target) in zip(heads, plan.targets.items(), strict=True):
        recipe = head.recipe(specs[name], replace(facts, options=target.head))
        leads = head.leads and (facts.tells or bool(head.itself))
        recipes.insert(leading if leads else len(recipes), (f"head {target.head['name']!r}", recipe))
        leading += leads
        if plan.data.folded and (head.alone or not head.averages):
            why = f"its answers cannot be averaged over {plan.data.folds} networks; use folds=0"
            raise PlanError(f"targets.{name}.head: head {target.head['name']!r} makes no folds: {why}")
    _choose_of_columns(plan, of_parts(plan))
    _choose_training(plan, frames, facts, recipes, leading=leading)
    plan.warnings = _warnings(plan, frames, frames.given[train])


def _of_start(facts: Facts, plan: Plan, start: Start | None, name: str) -> Facts:
    """What its encoder may know of the model that it starts from, if from any."""
    begun = starts(plan, start, name)
    return replace(facts, started=begun, frozen=begun and plan.train.frozen)


def _check_itself(plan: Plan, facts: Facts) -> None:
    """Raises PlanError where a column cannot be learnt from itself: it is alone, and nothing stands before the head."""
    named = ", ".join(dict.fromkeys([*plan.inputs, *plan.targets]))
    head = next(t.head["name"] for t in plan.targets.values() if of_itself(t))
    if len(plan.inputs) != 1 or len(plan.targets) != 1:
        raise PlanError(f"head {head!r} restores a single column from itself, and the plan has the columns {named}")
    if head == "masked" and not facts.tells:
        encoder = plan.inputs[named].encoder["name"]
        raise PlanError(f"head 'masked': encoder {encoder!r} gives no token for each that it reads; use 'transformer'")
    if plan.train.mix["name"] != "none":
        raise PlanError(
            f"train.mix = {plan.train.mix['name']!r}: head {head!r} learns of one row, and rows are not mixed"
        )
    if of_itself(plan.targets[named]) != "view":
        return
    if plan.inputs[named].augment["name"] == "none":
        raise PlanError(f"inputs.{named}.augment = 'none': head {head!r} compares views, which augmentation makes")
    if plan.fuse["name"] != "concat":
        raise PlanError(f"fuse {plan.fuse['name']!r}: head {head!r} teaches the encoder alone; leave it out")


def make_columns(plan: Plan) -> dict[str, Column]:
    """A fresh column for every input and target."""
    used = dict.fromkeys([*plan.inputs, *plan.targets])
    made = {}
    for name in used:
        column = plan.columns[name]
        kind = registry.lookup("column", column.type)
        column.options = check_options(kind, column.options, f"columns.{name}.options")
        made[name] = kind(name, **column.options)
    return made


def check_names(plan: Plan, frames: Frames) -> None:
    """Raises PlanError if the plan names a column that the data lack, DataError if there is nothing to learn."""
    used = [n for n, column in plan.columns.items() if column.role not in ("id", "ignore")]
    for what, names in (("columns", used), ("inputs", plan.inputs), ("targets", plan.targets)):
        for name in names:
            if name not in frames.given.columns:
                raise PlanError(f"{what}.{name}: no such column; {did_you_mean(name, frames.given.columns)}")
    for role in ONLY_ONE:
        same = [name for name, column in plan.columns.items() if column.role == role]
        if len(same) > 1:
            raise PlanError(f"columns {same[0]!r} and {same[1]!r} have the role {role}; only one can have it")
        for name in same if role == "weight" else ():
            check_weight(frames.given[name])
    if not plan.targets:
        raise PlanError("no target: name the column to predict, such as target='label'")
    for name in dict.fromkeys([*plan.inputs, *plan.targets]):
        if frames.val is not None and name not in frames.val.columns:
            raise DataError(f"the validation rows lack column {name!r}; {did_you_mean(name, frames.val.columns)}")
    for one in plan.targets:
        for other in plan.targets:
            ends = "|start|end" if plan.columns[one].type == "span" else ""
            if re.fullmatch(rf"{re.escape(one)}_(confidence|p_.*|q[\d.]+{ends})", other):
                raise PlanError(f"targets {one!r} and {other!r}: predictions of the first have such names; rename one")
    types = {name: plan.columns[name].type for name in plan.targets}
    for name, kind in types.items():
        missing_targets(frames.given, [name])
        if kind == "category":
            check_classes(name, frames.given[name], "")
        counts = as_labels(frames.given[name]).drop_nulls().value_counts()["count"] if kind == "identity" else None
        if counts is not None and (why := too_few(counts.to_numpy(), frames.given.height)):
            raise DataError(f"target {name!r}: {why}")
        if kind == "number" and name not in plan.inputs:
            check_varies(name, frames.given[name])
    whose = [name for name, kind in types.items() if kind == "identity"]
    if len(whose) > 1:
        raise PlanError(f"targets {whose[0]!r} and {whose[1]!r} are both of the type identity; a model learns one")
    if plan.data.balance != "none" and "category" not in types.values():
        raise PlanError(f"data.balance = {plan.data.balance!r} needs a target that is a category; they are {types}")


def _sample(plan: Plan, train: np.ndarray) -> np.ndarray:
    if len(train) <= SAMPLE:
        return train
    random = np.random.default_rng(seed_of(plan.train.seed, "sample"))
    return np.sort(random.choice(train, SAMPLE, replace=False))


def _learn(columns: Mapping[str, Column], sample: pl.DataFrame) -> tuple[dict[str, Spec], dict[str, Encoded]]:
    """Specs from a sample of the training rows, and what becomes of it in the ragged columns."""
    specs, ragged = {}, {}
    for name, column in columns.items():
        specs[name] = column.learn([sample[name]])
        if None in specs[name].shape:
            ragged[name] = column.encode(sample[name])
    return specs, ragged


def check_threads(plan: Plan) -> None:
    """Raises PlanError for more threads than any use; far too many would end the process."""
    most = max(64, 4 * (os.cpu_count() or 1))
    if isinstance(plan.train.threads, int) and plan.train.threads > most:
        raise PlanError(f"train.threads = {plan.train.threads}: at most {most} make sense here; 0 = as PyTorch has it")


def _choose_part(plan: Plan, kind: str, place: str, named: dict[str, Any], spec: Spec, facts: Facts) -> None:
    """Completes a part in place: its name if "auto", then every option."""
    if named.setdefault("name", AUTO) == AUTO:
        scores = {name: registry.lookup(kind, name).suits(spec, facts) for name in registry.names(kind)}
        best = max(scores, key=lambda name: scores[name][0])
        if scores[best][0] <= 0:
            raise PlanError(_none_takes(plan, kind, place, spec))
        named["name"] = best
        because(plan, f"{place}.name", best, scores[best][1])
    part = registry.lookup(kind, named["name"])
    score, reason = part.suits(spec, facts)
    if score <= 0:
        able = [n for n in registry.names(kind) if registry.lookup(kind, n).suits(spec, facts)[0] > 0]
        told = f"{reason or f'it takes no column of kind {spec.kind!r}'}; {' or '.join(map(repr, able)) or 'none'} can"
        raise PlanError(f"{place}: {kind} {named['name']!r} cannot serve here: {told}")
    current = registry.renamed(kind, named)
    named.clear()
    named.update(current)
    given = {key: value for key, value in named.items() if key != "name"}
    resolved = defaults_of(part) | check_options(part, given, place)
    for option, (value, why) in part.choose(spec, replace(facts, options=resolved)).items():
        if resolved[option] == AUTO:
            resolved[option] = value
            because(plan, f"{place}.{option}", value, why)
    left = [option for option, value in resolved.items() if value == AUTO and _wants(part, option)]
    if left:
        raise TypeError(f"{kind} {named['name']!r}: choose() leaves {left} open")
    named.update(resolved)


def _choose_of_columns(plan: Plan, wanted: Choices) -> bool:
    """Sets the options that parts want of columns; whether there were any. Raises PlanError if a person set another."""
    leaves, chosen = plan.leaves(), False
    for place, (value, why) in wanted.items():
        if leaves.get(place, value) != value:
            raise PlanError(f"{place} = {leaves[place]!r}: {why}; leave it out, or choose another loss")
        if place not in leaves:
            name, _, option = place.removeprefix("columns.").rpartition(".options.")
            plan.columns[name].options[option] = value
            because(plan, place, value, why)
            chosen = True
    return chosen


def _none_takes(plan: Plan, kind: str, place: str, spec: Spec) -> str:
    if kind != "head":
        return f"{place}: no {kind} takes a column of kind {spec.kind!r}; leave it out of the inputs"
    name = place.removeprefix("targets.").removesuffix(".head")
    able = ", ".join(registry.names("head"))
    return (
        f"target {name!r} is a column of type {plan.columns[name].type!r}; this version predicts columns of the types "
        f"{able}. Name another target, or say what it is: types={{{name!r}: 'category'}}"
    )


def _wants(part: Any, option: str) -> bool:
    """Whether "auto" is the mark of a choice not made, rather than one of the option's own words."""
    return options_of(part)[option].default == AUTO


def _choose_augment(plan: Plan, name: str, spec: Spec, facts: Facts) -> None:
    place, named = f"inputs.{name}.augment", plan.inputs[name].augment
    if named.get("name") == AUTO:
        offers = {n: registry.lookup("augment", n).suits(spec, facts) for n in registry.names("augment")}
        best = max(offers, key=lambda n: offers[n][0])
        named["name"] = best if offers[best][0] >= CERTAIN and not (facts.still or facts.frozen) else "none"
        if named["name"] != "none":
            because(plan, f"{place}.name", best, offers[best][1])
        elif facts.frozen:
            because(plan, f"{place}.name", "none", "what is frozen is computed once for each row")
    _choose_options(plan, "augment", place, named, spec, facts)


def _choose_mix(plan: Plan, inputs: Spec, facts: Facts) -> None:
    """Whether rows are blended with one another: where it surely helps, or a person asks for it."""
    if plan.train.mix.get("name") == AUTO:
        offers = {n: registry.lookup("mix", n).suits(inputs, facts) for n in registry.names("mix")}
        best = max(offers, key=lambda n: offers[n][0])
        plan.train.mix["name"] = best if offers[best][0] >= CERTAIN else "none"
        if plan.train.mix["name"] != "none":
            because(plan, "train.mix.name", best, offers[best][1])
    _choose_options(plan, "mix", "train.mix", plan.train.mix, inputs, facts)


def _choose_options(plan: Plan, kind: str, place: str, named: dict[str, Any], spec: Spec, facts: Facts) -> None:
    """Completes a part that may be "none", which has no options. Raises PlanError."""
    if named["name"] != "none":
        _choose_part(plan, kind, place, named, spec, facts)
    elif len(named) > 1:
        raise PlanError(f"{place}: {kind} 'none' has no options, but {sorted({*named} - {'name'})} are set")


def _choose_training(
    plan: Plan, frames: Frames, facts: Facts, recipes: list[tuple[str, Choices]], *, leading: int
) -> None:
    """Training settings: a head that leads, then the most careful part (of the lowest rate), then what others add."""
    train = plan.train
    led = [r for r in recipes[leading:] if r[1]]
    careful = recipes[:leading] + sorted(led, key=lambda r: r[1].get("rate", (float("inf"), ""))[0])
    chosen: dict[str, tuple[Any, str]] = {}
    for who, recipe in careful:
        for key, (value, why) in recipe.items():
            chosen.setdefault(key, (value, f"{why} ({who})"))
    optimizer = train.optimizer["name"]
    if optimizer != AUTO and optimizer != _named(chosen.get("optimizer", ("", ""))[0])["name"]:
        registry.lookup("optimizer", optimizer)
        for key in OF_THE_OPTIMIZER:  # they suit the optimizer that the part names
            chosen.pop(key, None)
    elif "optimizer" in chosen:
        optimizer = _named(chosen["optimizer"][0])["name"]
    for key in OVERRULED.get(optimizer, ()):
        chosen.pop(key, None)
    for key, choice in train_defaults(optimizer, facts).items():
        chosen.setdefault(key, choice)
    for key in ("optimizer", "schedule"):
        _choose_named(plan, key, *chosen.pop(key))
    for key, (value, why) in chosen.items():
        if getattr(train, key) == AUTO:
            put(plan, f"train.{key}", value, why)
    if "train.precision" in plan.why and train.precision == "bf16" and not fast_bf16(device_of(plan)):
        put(plan, "train.precision", "fp32", "this processor has no fast bf16")
    split_off = plan.data.split != "none"
    agree(plan, split_off=split_off, held=split_off or frames.val is not None)
    agree_with_optimizer(plan, frames.given.height if train.refit else facts.rows)


def _choose_named(plan: Plan, key: str, offered: Any, why: str) -> None:
    """The optimizer or the schedule, with all its options: those set, then those offered, then its defaults."""
    place, named, offer = f"train.{key}", getattr(plan.train, key), _named(offered)
    if named["name"] == AUTO:
        named["name"] = offer["name"]
        because(plan, f"{place}.name", named["name"], why)
    if named["name"] == offer["name"]:
        for option, value in offer.items():
            if option not in named:
                named[option] = value
                because(plan, f"{place}.{option}", value, why)
    function = registry.lookup(key, named["name"])
    given = {k: v for k, v in named.items() if k != "name"}
    named.update(defaults_of(function) | check_options(function, given, place))
    if key == "schedule":
        function(**{k: v for k, v in named.items() if k != "name"})  # raises for options that contradict one another


def _named(value: Any) -> dict[str, Any]:
    return {"name": value} if isinstance(value, str) else dict(value)


def _warnings(plan: Plan, frames: Frames, train: pl.DataFrame) -> list[str]:
    """What the user should know before training."""
    types = {name: column.type for name, column in plan.columns.items()}
    inputs = [name for name in plan.inputs if name not in plan.targets]
    written = [n for n in [*inputs, *plan.targets] if types[n] == "number" and train[n].dtype == pl.String]
    train = train.with_columns(pl.Series(name, parse(train[name])[0]).fill_nan(None) for name in written)
    told = [leak.sentence for leak in leaks(train, inputs, list(plan.targets), types)]
    told += missing_targets(frames.given, list(plan.targets))
    classes = [name for name in plan.targets if types[name] == "category"]
    told += thin_classes(frames.given, classes, [name for name, c in plan.columns.items() if c.role == "weight"])
    told += [f"{name!r} {LIKE_MASKS}" for name in plan.targets if types[name] == "image" and blurred(train[name])]
    told += [
        f"{name!r} is input and target at once: right where it is to be restored, else leave it out of the inputs"
        for name in plan.targets
        if name in plan.inputs and plan.fuse["name"] != "bottleneck" and not of_itself(plan.targets[name])
    ]
    whys = {name: plan.why.get(f"columns.{name}.role") for name in plan.columns}
    told += [f"{name!r} is left out: {APART}" for name, why in whys.items() if why and why.why == APART]
    return [*frames.notes, *told, *given_up(plan)]
