"""Ranvier's side of `predicting`: many rows of a table, each way in a process of its own; prints JSON lines.

Usage: python -m bench.ours_predicting make DATASET --data FOLDER --folder FOLDER --rows N [--rows N ...]
       python -m bench.ours_predicting {frame,csv,shell} DATASET --folder FOLDER --rows N

make: trains a model and writes rows of the table, over and over. frame: `predict` of a frame in memory. csv: from one
CSV to another. shell: the same by the command line, from the start of the process on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.clock import held, peak, since_start

EPOCHS = 2  # more change the answers, not how long they take


def make(args: argparse.Namespace) -> dict[str, Any]:
    """The model, and files of as many rows as asked for, without the target."""
    import polars as pl

    import ranvier as rv
    from bench.folds import tables

    table = {table.name: table for table in tables(args.data)}[args.dataset]
    frame = pl.read_parquet(table.path(args.data))
    model = rv.fit(frame, target=table.target, epochs=EPOCHS, progress=False)
    model.save(args.folder / "model.rv")
    bare = frame.drop(table.target)
    for rows in args.rows:
        many = pl.concat([bare] * -(-rows // bare.height))[:rows]
        many.write_parquet(args.folder / f"{rows}.parquet")
        many.write_csv(args.folder / f"{rows}.csv")
    return {"inputs": len(model.plan.inputs), "fuse": model.plan.fuse["name"], "parameters": model.parameters}


def frame(args: argparse.Namespace) -> dict[str, Any]:
    """A frame that is in memory, to a frame."""
    import polars as pl

    import ranvier as rv

    model, rows = rv.load(args.folder / "model.rv"), pl.read_parquet(args.folder / f"{args.rows[0]}.parquet")
    model.predict(rows[:1_000])
    return _timed(lambda: model.predict(rows))


def csv(args: argparse.Namespace) -> dict[str, Any]:
    """From a CSV to a CSV."""
    import ranvier as rv

    model = rv.load(args.folder / "model.rv")
    source, answers = _files(args)
    return _timed(lambda: model.predict(source, to=answers))


def shell(args: argparse.Namespace) -> dict[str, Any]:
    """As `csv`, by the command line; starting and importing count."""
    from ranvier.cli.main import main

    source, answers = _files(args)
    with contextlib.redirect_stdout(None):
        code = main(["predict", str(args.folder / "model.rv"), str(source), "-o", str(answers)])
    assert code == 0, f"exit code {code}"
    return {"seconds": since_start(), "cpu": time.process_time(), "before": 0.0, "peak": peak()}


def _timed(call: Callable[[], object]) -> dict[str, Any]:
    before, start, cpu = held(), time.perf_counter(), time.process_time()
    call()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"seconds": seconds, "cpu": cpu, "before": before, "peak": peak()}


def _files(args: argparse.Namespace) -> tuple[Path, Path]:
    return args.folder / f"{args.rows[0]}.csv", args.folder / f"answers-{os.getpid()}.csv"


KINDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "make": make,
    "frame": frame,
    "csv": csv,
    "shell": shell,
}


def main() -> None:
    """Reads the command line and prints the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, action="append", required=True)
    args = parser.parse_args()
    print(json.dumps(KINDS[args.kind](args)))


if __name__ == "__main__":
    main()
