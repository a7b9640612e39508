"""The verb that looks for a learning rate: lr."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json, warn
from ranvier.cli.train import check_output
from ranvier.core.errors import DataError, FileError


def lr(
    ctx: typer.Context,
    data: o.Data,
    target: o.Targets = None,
    inputs: o.Inputs = None,
    roles: o.Roles = None,
    types: o.Types = None,
    val: o.Val = None,
    split: o.Split = None,
    fraction: o.Fraction = None,
    balance: o.Balance = None,
    size: o.Size = None,
    set_: o.Sets = None,
    batch: o.BatchSize = None,
    optimizer: o.Optimizer = None,
    seed: o.Seed = None,
    device: o.Device = None,
    threads: o.Threads = None,
    precision: o.Precision = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the curve as a picture.", metavar="SVG")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Write the plan with this rate here; may be the plan read.", metavar="PLAN")
    ] = None,
    json: o.Json = False,
) -> None:
    """Find a learning rate: train for a moment at ever higher rates and see where the loss falls.

    Nothing is kept of that training.

    Example:  ranvier lr reviews.csv --target sentiment -o lr.svg

    For a plan:  ranvier lr plan.toml --into plan.toml && ranvier fit plan.toml
    """
    from ranvier.cli.made import make

    if output is not None:
        check_output(output, data, val)
        if output.suffix.lower() != ".svg":
            raise DataError(f"cannot write {output.name!r}: the picture is an SVG; name it such as 'lr.svg'")
    if into is not None:
        _check_into(into, data)
    plan = make(ctx.params)
    warn(plan.warnings)
    from ranvier.model.find_lr import find_lr
    from ranvier.planning.settle import settle

    found = find_lr(plan)
    if output is not None:
        found.save(output)
    if not json:
        print(found)
    plan.train.rate = found.rate
    if into is not None:
        into.write_text(settle(plan).to_toml(), encoding="utf-8")
    if json:
        files = {"picture": str(output) if output else None, "plan": str(into) if into else None}
        as_json({"rate": found.rate, "start": found.start, "rates": found.rates, "losses": found.losses, **files})
        return
    if output is not None:
        print(f"saved: {output}")
    print(f"saved: {into}; train by it: ranvier fit {into}" if into else f"train with it: --rate {found.rate:g}")


def _check_into(path: Path, data: str) -> None:
    """Raises FileError or DataError where a plan cannot be written, or would replace what is not the plan read."""
    if path.resolve() != Path(data).resolve():
        check_output(path)
        if path.exists():
            raise FileError(f"{path} is there already, and is not the plan that was read; name another file for --into")
    elif path.suffix != ".toml":
        raise FileError(f"{path} is the data; name a new file for --into, such as plan.toml")
