"""The verb demo: the main job, from files to a tested model, on samples inside the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.show import choices
from ranvier.cli.train import Run, finish, run_folder, tell, train
from ranvier.core.errors import PlanError, did_you_mean


@dataclass(frozen=True)
class Demo:
    """about: what is learnt. files: the folder of the run to (training file, test file). time: its budget."""

    about: str
    files: Callable[[Path], tuple[Path, Path]]
    target: str
    inputs: list[str] | None
    time: str


def _images(folder: Path) -> tuple[Path, Path]:
    from ranvier.samples import path

    return path("fashion_train"), path("fashion_test")


def _reviews(folder: Path) -> tuple[Path, Path]:
    from ranvier.samples import path

    return path("snippets_train"), path("snippets_test")


def _table(folder: Path) -> tuple[Path, Path]:
    """Every fifth penguin is kept for the test."""
    import polars as pl

    from ranvier.samples import path

    frame = pl.read_csv(path("penguins"), null_values="").with_row_index("row")
    folder.mkdir(parents=True)
    train_file, test_file = folder / "penguins_train.csv", folder / "penguins_test.csv"
    frame.filter(pl.col("row") % 5 != 0).drop("row").write_csv(train_file)
    frame.filter(pl.col("row") % 5 == 0).drop("row").write_csv(test_file)
    return train_file, test_file


DEMOS = {
    "images": Demo("5,000 pictures of clothes: which of ten kinds is it?", _images, "label", None, "60s"),
    "reviews": Demo("8,482 snippets of film reviews: do they praise?", _reviews, "sentiment", ["text"], "45s"),
    "table": Demo("275 penguins, their measures and island: which species?", _table, "species", None, "20s"),
}


def demo(
    what: Annotated[str, typer.Argument(metavar="images|reviews|table", help="Which samples.")] = "images",
    time: o.Time = None,
    folder: o.Folder = None,
    progress: o.Bar = True,
    json: o.Json = False,
) -> None:
    """Train and test a model on samples that come with the package, in about a minute.

    Example:  ranvier demo reviews
    """
    from ranvier.planning.make import make_plan

    if what not in DEMOS:
        raise PlanError(f"unknown demo {what!r}; {did_you_mean(what, DEMOS)}")
    chosen = DEMOS[what]
    where = folder if folder is not None else run_folder(f"demo-{what}")
    train_file, test_file = chosen.files(where)
    settings: dict[str, Any] = {"inputs": chosen.inputs, "test": test_file, "time": time or chosen.time}
    plan = make_plan(train_file, chosen.target, **settings)
    if not json:
        print(f"{chosen.about}\n{train_file}\n")
        choices(plan)
    tell(plan, progress)
    run = train(plan, where, progress=progress)
    finish(run, json, told=progress)
    if not json:
        print(_next(run, test_file))


def _next(run: Run, test_file: Path) -> str:
    """What to type next."""
    return f"""
What to type next:
  ranvier show {run.file}
  ranvier predict {run.file} {test_file} -o predictions.csv
  ranvier columns your.csv --target y
  ranvier fit your.csv --target y --time 5m -o model.rv"""
