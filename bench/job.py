"""What every bench is told, and the small data that `--quick` runs on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from bench.child import KEPT

T = TypeVar("T")

PARTS = {
    "fashion": (1_500, 500),
    "newsgroups": (600, 300),
    "snippets": (600, 300),
    "brown": (600, 100),
    "ddtp_en_fr": (400, 20),
    "summaries": (400, 20),
    "tunes": (200, 40),
    "chat": (300, 100),
    "objects": (120, 40),
}
LINES = {"kjv_train.txt": 400, "kjv_val.txt": 50}
PICTURES = "wallpapers"
TABLES = {"wine.parquet": 178, "autos.parquet": 201, "penguins.parquet": 344, "nhefs.parquet": 300}


class OptionError(ValueError):
    """An option that the bench does not have, or a value that it cannot be."""


@dataclass(frozen=True)
class Job:
    """data: the folder of the data sets. quick: only check that it runs; the figures mean nothing.

    options: what `--set NAME=VALUE` says; a name with a dot, such as ours.epochs, is a setting of ranvier's own side.
    """

    data: Path
    quick: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def pick(self, whole: T, quick: T) -> T:
        """One of the two."""
        return quick if self.quick else whole

    def settings(self, whole: Mapping[str, Any], quick: Mapping[str, Any], *sides: str) -> dict[str, Any]:
        """The bench's options: their defaults, with --quick some others, and over them what was set.

        A value is read as its default's type is. sides: the names that may stand before a dot. Raises OptionError for
        a name that is not among the defaults, nor a side's.
        """
        found = {**whole, **(quick if self.quick else {})}
        for name, text in self.options.items():
            side, dot, _ = name.partition(".")
            if dot and side in sides:
                continue
            if name not in whole:
                known = ", ".join([*whole, *(f"{side}.NAME" for side in sides)])
                raise OptionError(f"there is no option {name!r}; expected one of {known}")
            try:
                found[name] = type(whole[name])(text)
            except ValueError:
                kind = type(whole[name]).__name__
                raise OptionError(f"{name} = {text!r}: expected a value of type {kind}") from None
        return found

    def fit(self, side: str = "ours", **usual: Any) -> list[str]:
        """`--fit NAME=VALUE` words that tell ranvier's own side how to fit: the usual, and over it what was set."""
        dotted = f"{side}."
        given = {n.removeprefix(dotted): text for n, text in self.options.items() if n.startswith(dotted)}
        words = {name: json.dumps(value) for name, value in usual.items()} | given
        return [word for name, text in words.items() for word in ("--fit", f"{name}={text}")]


def small(data: Path) -> Path:
    """A folder with the first rows of the sets that the benches use, made anew from the folder of whole ones."""
    folder = KEPT / "quick"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in PARTS.items():
        for part, count in zip(("train", "test"), rows, strict=True):
            file = f"{name}_{part}.parquet"
            _shuffled(data / file, count).write_parquet(folder / file)
    for file, count in LINES.items():
        lines = (data / file).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / file).write_text("".join(lines[:count]), encoding="utf-8")
    shutil.copytree(data / PICTURES, folder / PICTURES, dirs_exist_ok=True)
    known = json.loads((data / "tabular.json").read_text())
    for file, count in TABLES.items():
        _shuffled(data / file, count).write_parquet(folder / file)
    listed = {file: known[file] for file in TABLES}
    (folder / "tabular.json").write_text(json.dumps(listed))
    return folder


def _shuffled(path: Path, count: int) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    return frame.sample(min(count, frame.height), seed=0, shuffle=True)
