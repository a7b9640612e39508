"""The verbs that use a trained model: evaluate, predict, anomalies, embed, show."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json, choices, fold_table, short, table, warn
from ranvier.cli.train import check_output
from ranvier.core.errors import DataError, RanvierWarning

PREVIEW = 20  # rows shown on a terminal
Seed = Annotated[int | None, typer.Option(help="Of what is drawn; 0 without it.", rich_help_panel=o.TEXTS)]


def evaluate(
    model: o.ModelFile,
    data: o.Rows,
    beam: o.Beam = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    min_p: o.MinP = None,
    repetition: o.Repetition = None,
    no_repeat: o.NoRepeat = None,
    avoid: o.Avoid = None,
    avoid_run: o.AvoidRun = None,
    longest: o.Longest = None,
    seed: Seed = None,
    json: o.Json = False,
) -> None:
    """Score a model on rows whose targets are known.

    Use rows that it has not been trained on.

    Example:  ranvier evaluate reviews.rv test.csv

    Of texts, in one way instead of by a search:  ranvier evaluate french.rv test.csv --beam 1
    """
    from ranvier.model.model import load

    how = o.given(locals(), [*o.WAYS, "seed"])
    report = load(model).judge(data, **how)
    if json:
        as_json(report.to_dict())
    else:
        print(report)


def predict(
    model: o.ModelFile,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...", help="Files or a folder with the columns of the model, or pictures.", show_default=False
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Write here (.csv, .tsv, .jsonl, .parquet, .arrow), a chunk of rows at a time (CSV and Parquet are "
            "read so, too); masks and pictures into a folder/, named as those given, where nothing is written over.",
        ),
    ] = None,
    keep: o.Keep = None,
    uncertainty: Annotated[
        float | None,
        typer.Option(
            metavar="LEVEL",
            help="Also how sure: of numbers an interval that holds the truth in such a share of rows (0.9), and a "
            "deviation; of categories a set of classes.",
        ),
    ] = None,
    beam: o.Beam = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    min_p: o.MinP = None,
    repetition: o.Repetition = None,
    no_repeat: o.NoRepeat = None,
    avoid: o.Avoid = None,
    avoid_run: o.AvoidRun = None,
    longest: o.Longest = None,
    seed: Seed = None,
    least: o.Least = None,
    most: o.Most = None,
    overlap: o.Overlap = None,
    json: o.Json = False,
) -> None:
    """Predict the target of every row.

    Without -o a terminal shows the first rows, and a pipe gets all of them as CSV.

    Example:  ranvier predict reviews.rv new.csv -o predictions.csv

    Masks of pictures:  ranvier predict scenes.rv photos/*.jpg -o masks/

    With intervals:  ranvier predict prices.rv new.csv --uncertainty 0.9

    Texts, in one way instead of by a search:  ranvier predict french.rv new.csv --beam 1
    """
    how: dict[str, Any] = {"keep": o.words(keep) or (), "uncertainty": False if uncertainty is None else uncertainty}
    how |= o.given(locals(), [*o.WAYS, "seed", "least", "most", "overlap"])
    from ranvier.model.model import load
    from ranvier.model.pictures import predict_to_folder

    rows = data[0] if len(data) == 1 else data
    if output is not None:
        folder = output.endswith("/") or Path(output).is_dir()
        if not folder:
            check_output(Path(output), model, *data)
        loaded = load(model)
        with warnings_as_notes():
            if folder:
                written = predict_to_folder(loaded, rows, Path(output), **how)
            else:
                written = loaded.predict(rows, to=output, **how)
        as_json({"file": str(written)}) if json else print(f"saved: {written}")
        return
    loaded = load(model)
    with warnings_as_notes():
        answers = loaded.predict(rows, **how)
    _print(answers, loaded, json=json)


def _print(answers: Any, model: Any, *, json: bool) -> None:
    """Predictions as JSON, as a table on a terminal, or as CSV."""
    from ranvier.model.write import flat

    if json:
        as_json({"rows": answers.height, "predictions": answers.to_dicts()})
    elif sys.stdout.isatty():
        preview(answers, list(model.plan.targets))
    else:
        print(flat(answers, model.joints).write_csv(), end="")


def anomalies(
    model: o.ModelFile,
    data: o.Rows,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write all rows here (.csv, .tsv, .jsonl, .parquet, .arrow)."
        ),
    ] = None,
    clean: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Rows without anomalies that training has not seen; without it those held out from training are taken "
            "for such.",
        ),
    ] = None,
    share: Annotated[float, typer.Option(help="Of clean rows so many may be taken for anomalies.")] = 0.01,
    keep: o.Keep = None,
    json: o.Json = False,
) -> None:
    """Tell how strange each row is to a model that restores rows or draws them, and which are anomalies.

    Without -o a terminal shows the strangest rows, and a pipe gets all of them as CSV.

    Example:  ranvier anomalies restorer.rv new.parquet --share 0.02 -o strange.csv
    """
    from ranvier.model.model import load
    from ranvier.model.write import flat, writer

    if output is not None:
        check_output(output, data, model, clean)
    write = None if output is None else writer(output, {})
    loaded = load(model)
    with warnings_as_notes():
        found = loaded.anomalies(data, clean, share, keep=o.words(keep) or ())
    if write is not None:
        written, many = write([found]), int(found["anomaly"].sum())
        as_json({"file": str(written), "rows": found.height, "anomalies": many}) if json else print(
            f"saved: {written}, {many:,} of {found.height:,} rows are anomalies"
        )
    elif json:
        as_json({"rows": found.height, "anomalies": found.to_dicts()})
    elif sys.stdout.isatty():
        numbered = found.with_row_index("row")
        preview(numbered.sort("strangeness", descending=True, nulls_last=True), [])
    else:
        print(flat(found, {}).write_csv(), end="")


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """What the call inside warns of, as notes on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RanvierWarning)
        yield
    for warning in caught:
        if isinstance(warning.message, RanvierWarning):
            warn(str(warning.message).splitlines())
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)


def preview(answers: Any, targets: list[str], where: str = "-o FILE.csv") -> None:
    """Prints the first rows, without the probabilities of single classes; where: the option that gives all of them."""
    single = tuple(f"{name}_p_" for name in targets)
    shown = [name for name in answers.columns if not name.startswith(single)]
    rows = [[short(value) for value in row] for row in answers.select(shown).head(PREVIEW).rows()]
    table("", shown, rows)
    if answers.height > PREVIEW or len(shown) < answers.width:
        print(f"{answers.height:,} rows, {answers.width} columns; all of them: {where}")


def embed(
    model: o.ModelFile,
    data: o.Rows,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .npy file to write.")],
    json: o.Json = False,
) -> None:
    """Write the vector that the network makes of each row: (rows, width) float32, for search or plots.

    Example:  ranvier embed reviews.rv new.csv -o vectors.npy
    """
    if output.suffix != ".npy":
        raise DataError(f"cannot write {output.name!r}: vectors go to a .npy file")
    check_output(output, data, model)
    import numpy as np

    from ranvier.model.model import load

    loaded = load(model)
    with warnings_as_notes():
        vectors = loaded.embed(data)
    np.save(output, vectors)
    if json:
        as_json({"file": str(output), "shape": list(vectors.shape)})
    else:
        print(f"saved: {output}, {vectors.shape[0]:,} rows of {vectors.shape[1]:,} numbers")


def show(
    model: o.ModelFile,
    toml: Annotated[bool, typer.Option("--plan", help="Print the whole plan, as TOML.")] = False,
    json: o.Json = False,
) -> None:
    """Show what is in a model file: its plan, with reasons, and its figures.

    Example:  ranvier show reviews.rv

    To train again by the same plan:  ranvier show reviews.rv --plan > plan.toml
    """
    from ranvier.model.model import load
    from ranvier.model.origin import told

    loaded = load(model, device="cpu")
    report = loaded.report
    if json:
        as_json(
            {
                "plan": loaded.plan.model_dump(),
                "parameters": loaded.parameters,
                "report": report.to_dict() if report else None,
                "folds": loaded.fold_figures,
                "test_report": loaded.test_report.to_dict() if loaded.test_report else None,
                "history": loaded.history,
                "provenance": loaded.provenance,
                "notes": loaded.notes,
            }
        )
    elif toml:
        print(loaded.plan.to_toml(), end="")
    else:
        print(f"{model}: {loaded!r}")
        for line in told(loaded.provenance):
            print(line)
        choices(loaded.plan, everything=True)
        warn(loaded.notes)
        print(report if report else "no figures: there were no validation rows")
        fold_table(loaded)
        if loaded.test_report:
            print(f"\n{loaded.test_report}")
