"""Ranvier's side of the benches: its public functions at their defaults, in a process of its own; prints JSON lines.

Usage: python -m bench.ours parts DATASET SEED --data FOLDER --target COLUMN [--inputs COLUMN ...] [how]
       python -m bench.ours folds DATASET SEED --data FOLDER [--folds N] [--repeats N] [how]
       python -m bench.ours intervals DATASET SEED --data FOLDER [--level LEVEL] [--folds N] [how]
       python -m bench.ours onerow DATASET SEED --data FOLDER [--calls N]

parts: trains on DATASET_train.parquet, evaluates on DATASET_test.parquet. folds: a line for every fold of a table.
intervals: the same of how often intervals of numbers hold the truth, how wide they are, and their score.
onerow: a line for every form that one row may come in. SEED is fit's own seed; 0 is its default.
how: [--time SECONDS] [--fit NAME=VALUE ...], further settings of fit, their values as JSON or as texts.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.figures import held
from bench.folds import Table, split, tables
from bench.ours_reach import settings as words
from bench.timing import median_ms


def parts(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One line: accuracy on the test part, seconds of fit and of all, which test rows were right (a string of 0, 1)."""
    train, test = (args.data / f"{args.dataset}_{part}.parquet" for part in ("train", "test"))
    start = time.perf_counter()
    model = rv.fit(train, target=args.target, progress=False, **settings(args))
    fitted = time.perf_counter()
    accuracy = model.evaluate(test, show=False)["accuracy"]
    end = time.perf_counter()
    answer = {"dataset": args.dataset, "seed": args.seed, "accuracy": accuracy, "fit": fitted - start}
    answer |= {"seconds": end - start, "threads": threads(), "rss": peak()}
    if args.rows:
        truth = pl.read_parquet(test, columns=[args.target])[args.target]
        right = model.predict(test)[args.target].cast(pl.String) == truth.cast(pl.String)
        answer["right"] = "".join("01"[bool(r)] for r in right)
    yield answer


def folds(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A line for every repeat and fold: the score on its test rows, and the seconds of fit and evaluate."""
    table = table_of(args)
    frame = pl.read_parquet(table.path(args.data))
    targets = frame[table.target].to_numpy()
    for repeat in range(args.repeats):
        for fold in range(args.folds):
            train, test = split(targets, table.classes, fold, repeat)
            start = time.perf_counter()
            model = rv.fit(frame[train], target=table.target, progress=False, **settings(args))
            figures = model.evaluate(frame[test], show=False)
            seconds = time.perf_counter() - start
            name = "accuracy" if table.classes else "r2"
            where = {"dataset": table.name, "model": "ours", "fold": fold, "repeat": repeat}
            yield {**where, "seconds": seconds, name: figures[name], "threads": threads()}


def intervals(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A line for every fold: what `held` says of the intervals of its test rows, and the seconds of fit and predict."""
    table = table_of(args)
    frame = pl.read_parquet(table.path(args.data))
    targets = frame[table.target].to_numpy()
    for fold in range(args.folds):
        train, test = split(targets, table.classes, fold, 0)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rv.RanvierWarning)  # categories that training rows do not have
            model = rv.fit(frame[train], target=table.target, progress=False, **settings(args))
            out = model.predict(frame[test].drop(table.target), uncertainty=args.level)
        seconds = time.perf_counter() - start
        low, high = (out[f"{table.target}_{end}"].to_numpy() for end in ("low", "high"))
        where = {"dataset": table.name, "model": "ours", "fold": fold, "seconds": seconds, "threads": threads()}
        yield where | held(low, high, targets[test].astype(float), args.level)


def onerow(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A line for a dict, a polars and a pandas frame of one row: median ms of `predict` after the first call.

    The model is trained for two epochs only: that changes what it answers, not how long it takes.
    """
    table = table_of(args)
    frame = pl.read_parquet(table.path(args.data))
    model = rv.fit(frame, target=table.target, epochs=2, progress=False)
    row = frame[:1].drop(table.target)
    forms = {"dict": {name: row[name].to_list() for name in row.columns}, "polars": row, "pandas": row.to_pandas()}
    for form, value in forms.items():
        ms = median_ms(lambda value=value: model.predict(value), args.calls)  # type: ignore[misc]
        yield {"dataset": table.name, "form": form, "inputs": len(model.plan.inputs), "ms": ms, "threads": threads()}


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What fit is given beside data and target: only what the command line says."""
    given: dict[str, Any] = {"time": args.time} if args.time else {}
    if args.inputs:
        given["inputs"] = args.inputs
    return given | ({"seed": args.seed} if args.seed else {}) | words(args.fit)


def table_of(args: argparse.Namespace) -> Table:
    """The table that the command line names. Raises KeyError for one that is not there."""
    return {table.name: table for table in tables(args.data)}[args.dataset]


def threads() -> int:
    """Threads that torch computes with."""
    import torch

    return int(torch.get_num_threads())


KINDS: dict[str, Callable[[argparse.Namespace], Iterator[dict[str, Any]]]] = {
    "parts": parts,
    "folds": folds,
    "intervals": intervals,
    "onerow": onerow,
}


def main() -> None:
    """Reads the command line and prints a line for every answer, as soon as there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("dataset")
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--target", default="")
    parser.add_argument("--inputs", nargs="*", default=[])
    parser.add_argument("--time", type=float, default=0.0)
    parser.add_argument("--fit", action="append", default=[])
    parser.add_argument("--rows", action="store_true", help="tell which test rows were right")
    parser.add_argument("--folds", type=int, default=5, help="of the 5, how many to run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--level", type=float, default=0.9, help="of intervals")
    parser.add_argument("--calls", type=int, default=200)
    args = parser.parse_args()
    for answer in KINDS[args.kind](args):
        print(json.dumps({k: float(v) if isinstance(v, np.floating) else v for k, v in answer.items()}), flush=True)


if __name__ == "__main__":
    main()
