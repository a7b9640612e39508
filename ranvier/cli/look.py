"""The verbs that look before training: columns, plan."""

from __future__ import annotations

from typing import Any

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json, short, table, warn

EXAMPLES = 3  # values shown of each column


def columns(
    data: o.Table,
    target: o.Targets = None,
    inputs: o.Inputs = None,
    roles: o.Roles = None,
    types: o.Types = None,
    json: o.Json = False,
) -> None:
    """Show what each column is taken for, in which role, and why.

    Nothing is trained. Say --types or --roles where it is mistaken.

    Example:  ranvier columns penguins.csv -t species --types year=category
    """
    from ranvier.data.read import read_parts

    source = read_parts(data)["train"]
    found = describe(source.frame, o.words(target) or [], o.words(inputs), roles, types)
    if json:
        as_json({"rows": source.frame.height, "columns": found, "notes": source.notes})
        return
    head = ("column", "type", "role", "because", "examples")
    rows = [(c["column"], c["type"], c["role"], c["reason"], ", ".join(c["examples"])) for c in found]
    table(f"{data}: {source.frame.height:,} rows", head, rows)
    warn(source.notes)


def describe(
    frame: Any, target: list[str], inputs: list[str] | None, roles: list[str] | None, types: list[str] | None
) -> list[dict[str, Any]]:
    """{column, type, role, reason, missing, examples} of every column, in the frame's order; needs no torch."""
    from ranvier.columns.recognise import recognise_all
    from ranvier.columns.row import KINDS
    from ranvier.data.roles import assign_roles
    from ranvier.data.together import ALL, roles_of_all

    every, asked = target == [ALL], o.pairs(roles, "--roles")
    found = recognise_all(frame, frame.columns if every else target, o.pairs(types, "--types"))
    kinds = {name: kind for name, (kind, _) in found.items()}
    for_what = (
        roles_of_all(frame, kinds, KINDS, inputs or [], asked)
        if every
        else assign_roles(frame, kinds, target, inputs, asked)
    )
    rows = []
    for name, (kind, why) in found.items():
        role = for_what[name]
        both = why if role.reason == "a column like any other" else f"{why}; {role.reason}"
        values = frame[name].drop_nulls()
        rows.append(
            {
                "column": name,
                "type": kind,
                "role": role.role + (" + input" if role.also_input else ""),
                "reason": both,
                "missing": frame[name].null_count(),
                "examples": examples(values),
            }
        )
    return rows


def examples(values: Any) -> list[str]:
    """A few different values of a column, as short texts."""
    texts = [short(value, 24) for value in values.head(200).to_list()]
    return list(dict.fromkeys(texts))[:EXAMPLES]


def plan(
    ctx: typer.Context,
    data: o.Data,
    target: o.Targets = None,
    inputs: o.Inputs = None,
    roles: o.Roles = None,
    types: o.Types = None,
    test: o.Test = None,
    val: o.Val = None,
    split: o.Split = None,
    fraction: o.Fraction = None,
    folds: o.Folds = None,
    balance: o.Balance = None,
    size: o.Size = None,
    set_: o.Sets = None,
    time: o.Time = None,
    epochs: o.Epochs = None,
    batch: o.BatchSize = None,
    optimizer: o.Optimizer = None,
    rate: o.Rate = None,
    seed: o.Seed = None,
    device: o.Device = None,
    threads: o.Threads = None,
    precision: o.Precision = None,
    init: o.Init = None,
    json: o.Json = False,
) -> None:
    """Write what `fit` would do, every choice with its reason, as TOML.

    Edit the file and train by it; what you leave alone follows your changes.

    Example:  ranvier plan reviews.csv --target sentiment > plan.toml

    Then:  ranvier fit plan.toml (with the same --init, if there was one)
    """
    from ranvier.cli.made import begin, make

    made = make(ctx.params, begin(init))
    if json:
        as_json(made.model_dump())
    else:
        print(made.to_toml(), end="")
    warn(made.warnings)
