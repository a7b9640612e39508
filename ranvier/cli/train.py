"""The verbs that train: fit, resume."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time as clock
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json, choices, fold_table, warn
from ranvier.core.errors import DataError, FileError, RunError

if TYPE_CHECKING:
    from ranvier.core.plan import Plan
    from ranvier.lexicon.vectors import Embeddings
    from ranvier.model.model import Model

INTERRUPTED = 130
TABLES = (".csv", ".tsv", ".dat", ".data", ".txt", ".json", ".jsonl", ".parquet", ".arrow", ".toml")


@dataclass
class Run:
    """A finished run: its model, and where it is kept; output: the file that was asked for beside the folder."""

    model: Model
    folder: Path
    output: Path | None
    seconds: float

    @property
    def file(self) -> Path:
        """The model's file."""
        return self.folder / "model.rv" if self.output is None else self.output

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        model = self.model
        return {
            "model": str(self.file),
            "folder": str(self.folder),
            "seconds": round(self.seconds, 2),
            "parameters": model.parameters,
            "interrupted": model.interrupted,
            "validation": model.report.to_dict() if model.report else None,
            "folds": model.fold_figures,
            "test": model.test_report.to_dict() if model.test_report else None,
            "notes": model.notes,
        }


def fit(
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
    folder: o.Folder = None,
    output: o.ModelOut = None,
    progress: o.Bar = True,
    json: o.Json = False,
) -> None:
    """Train a model that predicts the target from the other columns.

    Ctrl-C ends the training well: the best model so far is kept.

    Example:  ranvier fit reviews.csv -t sentiment -i text --time 5m -o reviews.rv

    By a plan:  ranvier fit plan.toml --set inputs.text.encoder=lstm
    """
    from ranvier.cli.made import begin, make
    from ranvier.model.folder import RunFolder

    if output is not None:
        check_output(output, data, test, val)
        check_model_name(output)
    where = folder if folder is not None else run_folder(Path(data).name)
    if folder is not None:
        RunFolder(folder).check_free()  # before anything is shown
    start = begin(init)
    plan = make(ctx.params, start)
    if not json:
        choices(plan)
    tell(plan, progress)
    finish(train(plan, where, init=start, output=output, progress=progress), json, told=progress)


def resume(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a run.", show_default=False)],
    inexact: Annotated[
        bool, typer.Option("--inexact", help="Go on even where threads or versions differ from the start.")
    ] = False,
    output: o.ModelOut = None,
    progress: o.Bar = True,
    json: o.Json = False,
) -> None:
    """Go on with a run that was stopped, from its last checkpoint.

    On the same machine the weights end as if it had never been stopped.

    Example:  ranvier resume runs/reviews-20260131-142500
    """
    from ranvier.model.folder import RunFolder

    if output is not None:
        check_output(output)
    if not (folder / "plan.toml").is_file():
        raise RunError(f"{folder} is no folder of a run: it holds no plan.toml")
    plan = RunFolder(folder).plan()
    tell(plan, progress)
    finish(train(plan, folder, output=output, progress=progress, resume=True, inexact=inexact), json, told=progress)


def train(
    plan: Plan, folder: Path, *, init: Model | Embeddings | None = None, output: Path | None = None, **how: Any
) -> Run:
    """Runs a plan in a folder. how: progress, resume, inexact of `fit`."""
    from ranvier.model.fit import fit as run_plan
    from ranvier.model.folder import RunFolder

    started = clock.perf_counter()
    try:
        model = run_plan(plan, folder=folder, init=init, **how)
    except KeyboardInterrupt:
        if RunFolder(folder).begun():
            print(_to_go_on(folder, output), file=sys.stderr)
        raise
    if output is not None:
        model.save(output)
    return Run(model, folder, output, clock.perf_counter() - started)


def finish(run: Run, json: bool, *, told: bool) -> None:
    """Prints what a run has come to; a run that was interrupted ends with exit code 130. told: its notes were."""
    if json:
        as_json(run.to_dict())
    else:
        if not told:
            warn(note for note in run.model.notes if note not in run.model.plan.warnings)  # those were, at the start
        for report in (run.model.report, run.model.test_report):
            if report is not None:
                print(f"{report}\n")
        fold_table(run.model)
        print(f"{run.model!r}, {run.seconds:.0f} s\nsaved: {run.file}   the run: {run.folder}")
    if run.model.interrupted:
        how = _to_go_on(run.folder, run.output)
        print(f"interrupted: the best model so far is saved; {how}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


def _to_go_on(folder: Path, output: Path | None) -> str:
    """How an interrupted run is ended, with its model in the same file."""
    asked = [] if output is None else ["-o", str(output)]
    return f"to go on: {shlex.join(['ranvier', 'resume', str(folder), *asked])}"


def tell(plan: Plan, progress: bool) -> None:
    """Prints the plan's warnings on standard error, unless `fit` will, which does so along with its progress."""
    if not progress:
        warn(plan.warnings)


def run_folder(name: str) -> Path:
    """A new folder for a run: runs/NAME-DATE-TIME, where NAME is that of the data without endings and wildcards."""
    plain = re.sub(r"[^\w-]+", "", name.partition(".")[0]) or "run"
    base = Path("runs") / f"{plain}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def check_model_name(path: Path) -> None:
    """Raises DataError for the name of a table, which a model would be taken for."""
    if path.suffix.lower() in TABLES:
        raise DataError(f"cannot write {path}: a model is no table; name it {path.with_suffix('.rv')}")


def check_output(path: Path, *read: object) -> None:
    """Raises FileError or DataError before any work if a file cannot be written there, or is one that is `read`."""
    if any(one is not None and path.exists() and path.resolve() == Path(str(one)).resolve() for one in read):
        raise FileError(f"{path} is read by this very command, and would be lost; name another file to write")
    if path.is_dir():
        raise FileError(f"cannot write {path}: it is a folder; name a file, such as {path / 'model.rv'}")
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"cannot write {path}: nothing may be written in {path.parent}; name another folder")
