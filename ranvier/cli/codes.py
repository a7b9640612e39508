"""The verbs of models that pass rows through few numbers: compress, decompress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.sample import hand_over, writer_for
from ranvier.cli.show import as_json
from ranvier.cli.train import check_output
from ranvier.cli.use import warnings_as_notes
from ranvier.core.errors import DataError

if TYPE_CHECKING:
    from ranvier.model.model import Model


def compress(
    model: o.ModelFile,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...", help="Files or a folder with the columns of the model, or pictures.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    bits: Annotated[int, typer.Option(min=1, max=16, help="Of each number of a row's code.")] = 8,
    json: o.Json = False,
) -> None:
    """Write rows, such as pictures, as the few numbers that a model passes them through.

    Example:  ranvier compress restorer.rv shoes/*.png --bits 4 -o shoes.codes
    """
    from ranvier.model.model import load

    check_output(output, model, *data)
    loaded = load(model)
    with warnings_as_notes():
        content = loaded.compress(rows_of(data, loaded), bits)
    output.write_bytes(content)
    if json:
        as_json({"file": str(output), "bytes": len(content)})
    else:
        print(f"saved: {output}, {len(content):,} bytes")


def decompress(
    model: o.ModelFile,
    codes: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `ranvier compress` wrote by this model.", show_default=False)
    ],
    output: o.RowsOut = None,
    json: o.Json = False,
) -> None:
    """Give back the rows that `compress` wrote, as far as their codes tell.

    Without -o the first rows are shown.

    Example:  ranvier decompress restorer.rv shoes.codes -o shoes/
    """
    from ranvier.model.model import load

    loaded = load(model)
    write = None if output is None else writer_for(output, loaded, 0, codes)
    rows = loaded.decompress(codes.read_bytes())
    hand_over(rows, "restored", write, loaded, json)


def rows_of(data: Sequence[str], model: Model) -> Any:
    """What a model reads: a table's files, or of files of pictures a table of them. Raises DataError."""
    import polars as pl

    from ranvier.columns.pixels import names_picture
    from ranvier.data.files import expand

    if not all(map(names_picture, data)):
        return list(data) if len(data) > 1 else data[0]
    inputs = [name for name in model.plan.inputs if model.plan.columns[name].type == "image"]
    if len(inputs) != 1 or len(model.plan.inputs) > 1:
        raise DataError(
            f"this model takes {', '.join(model.plan.inputs) or 'no inputs'}; name a table with those columns"
        )
    return pl.DataFrame({inputs[0]: [str(path) for name in data for path in expand(Path(name))]})
