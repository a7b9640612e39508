"""What every bench is told, and the small data that `--quick` runs on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from bench.child import KEPT

T = TypeVar("T")

PARTS = {"fashion": (1_500, 500), "newsgroups": (600, 300), "snippets": (600, 300)}
TABLES = {"wine.parquet": 178, "autos.parquet": 201, "penguins.parquet": 344, "nhefs.parquet": 300}


@dataclass(frozen=True)
class Job:
    """data: the folder of the data sets. quick: only check that it runs; the figures mean nothing."""

    data: Path
    quick: bool = False

    def pick(self, whole: T, quick: T) -> T:
        """One of the two."""
        return quick if self.quick else whole


def small(data: Path) -> Path:
    """A folder with the first rows of the sets that the benches use, made anew from the folder of whole ones."""
    folder = KEPT / "quick"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in PARTS.items():
        for part, count in zip(("train", "test"), rows, strict=True):
            file = f"{name}_{part}.parquet"
            _shuffled(data / file, count).write_parquet(folder / file)
    known = json.loads((data / "tabular.json").read_text())
    for file, count in TABLES.items():
        _shuffled(data / file, count).write_parquet(folder / file)
    listed = {file: known[file] for file in TABLES}
    (folder / "tabular.json").write_text(json.dumps(listed))
    return folder


def _shuffled(path: Path, count: int) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    return frame.sample(min(count, frame.height), seed=0, shuffle=True)
