"""The verb that draws: sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.edit import parse
from ranvier.cli.show import as_json
from ranvier.cli.train import check_output
from ranvier.cli.use import preview, warnings_as_notes
from ranvier.core.errors import DataError, PlanError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from ranvier.model.model import Model

GRID = ".png"
PARSED = (".csv", ".tsv", ".jsonl")  # files of text, which hold no pictures


def sample(
    model: o.ModelFile,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="So many rows, for each value given.")] = 1,
    output: o.RowsOut = None,
    given: o.Given = None,
    seed: Annotated[int, typer.Option(help="The same gives the same rows.")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="How it is drawn: temperature=0.8, steps=40, guidance=3.", metavar="WAY=VALUE"),
    ] = None,
    json: o.Json = False,
) -> None:
    """Draw new rows, such as pictures, from what a model has learnt.

    Without -o the first rows are shown.

    Example:  ranvier sample clothes.rv -n 8 --given kind=Shirt --given kind=Bag -o grid.png
    """
    from ranvier.model.model import load
    from ranvier.model.sample import check_draws

    loaded = load(model)
    check_draws(loaded.plan)
    values = given_values(given or [], loaded)
    kinds = max(map(len, values.values()), default=1)
    write = None if output is None else writer_for(output, loaded, count if kinds > 1 else 0, model)
    with warnings_as_notes():
        drawn = loaded.sample(count, given=values or None, seed=seed, **parse(set_ or ()))
    hand_over(drawn, "drawn", write, loaded, json)


def hand_over(
    rows: pl.DataFrame, name: str, write: Callable[[pl.DataFrame], Path] | None, model: Model, json: bool
) -> None:
    """Writes the rows, prints them as JSON by this name, or shows the first."""
    if write is not None:
        written = write(rows)
        as_json({"file": str(written), "rows": rows.height}) if json else print(f"saved: {written}")
    elif json:
        as_json({"rows": rows.height, name: rows.to_dicts()})
    else:
        preview(rows, list(model.plan.targets), "-o grid.png" if pictures_of(model) else "-o FILE.csv")


def given_values(texts: Sequence[str], model: Model) -> dict[str, list[str]]:
    """{column: values} as many of each. Raises PlanError for what the model cannot be given, or needs as well."""
    from ranvier.model.sample import fields_of

    inputs, found = list(model.plan.inputs), dict[str, list[str]]()
    able = [*inputs, *fields_of(model.plan)]
    for text in texts:
        if "=" not in text:
            raise typer.BadParameter(f"--given {text!r}: expected COLUMN=VALUE, such as --given kind=Shirt")
        fitting = [name for name in able if text.startswith(f"{name}=")]  # a name may hold "="
        name = max(fitting, key=len) if fitting else text.partition("=")[0]
        found.setdefault(name, []).append(text[len(name) + 1 :])
    strange = [name for name in found if name not in able]
    if strange:
        nothing = "this model was trained without inputs" if not able else did_you_mean(strange[0], able)
        raise PlanError(f"--given {strange[0]}: there is no such {'input' if able == inputs else 'column'}; {nothing}")
    lacking = [name for name in inputs if name not in found]
    if lacking:
        raise PlanError(f"this model needs {', '.join(inputs)}; add --given {lacking[0]}=VALUE")
    most = max(map(len, found.values()), default=1)
    for name, values in found.items():
        if len(values) not in (1, most):
            raise PlanError(f"--given {name} has {len(values)} values, where another has {most}; give one, or as many")
        _check(model, name, values)
    return {name: values * (most // len(values)) for name, values in found.items()}


def _check(model: Model, name: str, texts: list[str]) -> None:
    """Raises DataError for a text that the column cannot read."""
    import polars as pl

    from ranvier.model.sample import readable

    for text, able in zip(texts, readable(model.networks[0], pl.Series(name, texts, dtype=pl.String)), strict=True):
        if not able:
            kind = model.plan.columns[name].type if name in model.plan.columns else "number"
            raise DataError(f"--given {name}={text}: no {kind} can be read from this")


def writer_for(output: str, model: Model, across: int, read: Path) -> Callable[[pl.DataFrame], Path]:
    """A function that writes what is drawn; across: pictures side by side. Raises DataError before any work."""
    from ranvier.model.pictures import check_new, to_folder, to_grid
    from ranvier.model.write import WRITERS, writer

    path, pictures = Path(output), pictures_of(model)
    ending = path.suffix.lower()
    if path.is_dir() or output.endswith("/"):
        if not pictures:
            raise DataError(f"cannot write {output}: a folder is for pictures, and this model draws none; name a .csv")
        check_new(path)
        return lambda frame: to_folder(frame, list(pictures), path, model.joints)
    if ending not in (GRID, *WRITERS):
        others = ", ".join(WRITERS)
        raise DataError(f"cannot write {path.name!r}: expected a .png, a folder ending in '/', or one of {others}")
    check_output(path, read)
    if ending == GRID:
        if len(pictures) != 1:
            told = f"draws {', '.join(pictures)}; name a folder, as 'drawn/'" if pictures else "draws no pictures"
            raise DataError(f"cannot write {path.name!r}: it is for one column of pictures, and this model {told}")
        ((name, column),) = pictures.items()
        return lambda frame: to_grid(frame[name], column, path, across)
    if ending in PARSED and pictures:
        raise DataError(f"cannot write {path.name!r}: it holds no pictures; name a .png, a folder/ or a .parquet")
    write = writer(path, model.joints)
    return lambda frame: write([frame])


def pictures_of(model: Model) -> Mapping[str, Any]:
    """The targets that are pictures, with their columns."""
    columns = model.columns
    return {name: columns[name] for name in model.plan.targets if model.plan.columns[name].type == "image"}
