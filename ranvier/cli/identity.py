"""The verbs of models that tell identities apart: verify, identify, learn."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ranvier.cli import options as o
from ranvier.cli.codes import rows_of
from ranvier.cli.show import as_json
from ranvier.cli.train import check_output
from ranvier.cli.use import preview, warnings_as_notes

_THING = "A picture, or a file of rows with the inputs of the model."
Threshold = Annotated[
    float | None,
    typer.Option(
        min=-1,
        max=1,
        metavar="COSINE",
        help="The similarity from which on two are the same; without it that of the equal error rate of rows held out.",
    ),
]


def verify(
    model: o.ModelFile,
    a: Annotated[str, typer.Argument(metavar="A", help=_THING, show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another; of files as many rows.", show_default=False)],
    threshold: Threshold = None,
    json: o.Json = False,
) -> None:
    """Tell whether two rows, such as pictures, are of the same identity.

    Example:  ranvier verify faces.rv a.jpg b.jpg
    """
    from ranvier.model.model import load

    loaded = load(model)
    with warnings_as_notes():
        told = loaded.verify(rows_of([a], loaded), rows_of([b], loaded), threshold)
    least = loaded.gallery.threshold if threshold is None and loaded.gallery else threshold
    if json:
        as_json({"rows": told.height, "threshold": least, "pairs": told.to_dicts()})
    elif told.height == 1:
        (alike, same) = told.row(0)
        print(f"{'the same' if same else 'not the same'}: similarity {alike:.3f}, from {least:.3f} on the same")
    else:
        preview(told, [], "--json")


def identify(
    model: o.ModelFile,
    data: Annotated[
        list[str], typer.Argument(metavar="DATA...", help="Pictures, or files of rows.", show_default=False)
    ],
    gallery: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Rows with their names, to look among; without it the identities the model knows."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here (.csv, .tsv, .jsonl, .parquet, .arrow)."),
    ] = None,
    threshold: Threshold = None,
    json: o.Json = False,
) -> None:
    """Name who or what each row shows, and leave those unnamed whom nobody is near enough.

    Without -o a terminal shows the first rows, and a pipe gets all of them as CSV.

    Example:  ranvier identify faces.rv new.csv --gallery known.csv -o named.csv
    """
    from ranvier.model.model import load
    from ranvier.model.write import flat, writer

    if output is not None:
        check_output(output, model, gallery, *data)
    write = None if output is None else writer(output, {})
    loaded = load(model)
    with warnings_as_notes():
        found = loaded.identify(rows_of(data, loaded), gallery, threshold)
    if write is not None:
        written = write([found])
        as_json({"file": str(written), "rows": found.height}) if json else print(f"saved: {written}")
    elif json:
        as_json({"rows": found.height, "identities": found.to_dicts()})
    elif sys.stdout.isatty():
        preview(found, [])
    else:
        print(flat(found, {}).write_csv(), end="")


def learn(
    model: o.ModelFile,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new identity.", show_default=False)],
    examples: Annotated[
        list[str],
        typer.Argument(metavar="EXAMPLES...", help="Pictures of it, or files of rows; five do.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="The model file to write.")],
    replace: Annotated[bool, typer.Option("--replace", help="Take these in the place of what it knows.")] = False,
    json: o.Json = False,
) -> None:
    """Let a model know one identity more by a few examples, without training.

    Example:  ranvier learn faces.rv "Ada" ada/*.jpg -o faces.rv
    """
    from ranvier.model.model import load

    check_output(output, *examples)  # the model itself may be written anew
    loaded = load(model)
    with warnings_as_notes():
        loaded.learn(name, rows_of(examples, loaded), replace=replace)
    loaded.save(output)
    assert loaded.gallery is not None
    many, rows = len(loaded.gallery.names), int(loaded.gallery.counts[-1])
    if json:
        as_json({"file": str(output), "name": name, "examples": rows, "identities": many})
    else:
        print(f"saved: {output}, which knows {name} by {rows} examples, and {many:,} identities in all")
