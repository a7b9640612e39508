"""Ranvier's side of the benches of memory and scaling, in a process of its own; prints one JSON line.

Usage: python -m bench.ours_grow parts DATASET --data FOLDER --target COLUMN [--fit NAME=VALUE ...]
       python -m bench.ours_grow fold DATASET --data FOLDER [--fit NAME=VALUE ...]
       python -m bench.ours_grow file PATH --target COLUMN [--fit NAME=VALUE ...]

parts: trains on DATASET_train.parquet, evaluates on DATASET_test.parquet. fold: the first fold of a table. file: trains
on a file. base: gigabytes after imports; peak: at most; seconds: of fit; encoded: bytes of a row as the network has it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import polars as pl

import ranvier as rv
from bench.clock import held, peak, since_start
from bench.folds import split, tables
from bench.ours_reach import settings
from ranvier.core import registry

LOOKED_AT = 10_000  # rows encoded to see what a row takes


def import_all() -> None:
    """Everything that a fit may import: the whole registry, torch and polars."""
    for kind in registry.TABLES:
        for name in registry.names(kind):
            registry.lookup(kind, name)
    assert rv.fit
    assert rv.load


def row_bytes(model: rv.Model, frame: pl.DataFrame) -> float:
    """Bytes of an encoded row: data and what tells which values are observed."""
    network = model.networks[0]
    table = network.layout.encode(frame[:LOOKED_AT], [])
    arrays = [a for e in (*table.inputs.values(), *table.targets.values()) for a in (e.data, e.observed, e.offsets)]
    return float(sum(a.nbytes for a in arrays if a is not None) / table.size)


def main() -> None:
    """Reads the command line, trains, tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("parts", "fold", "file"))
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--target", default="")
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    import_all()
    answer: dict[str, Any] = {"dataset": args.dataset, "base": held()}
    start = time.perf_counter()
    given: dict[str, Any] = {"progress": False, **settings(args.fit)}
    if args.kind == "parts":
        train, test = (args.data / f"{args.dataset}_{part}.parquet" for part in ("train", "test"))
        rv.fit(train, args.target, **given).evaluate(test, show=False)
    elif args.kind == "fold":
        table = next(t for t in tables(args.data) if t.name == args.dataset)
        frame = pl.read_parquet(table.path(args.data))
        rows, others = split(frame[table.target].to_numpy(), table.classes, 0, 0)
        rv.fit(frame[rows], table.target, **given).evaluate(frame[others], show=False)
    else:
        model = rv.fit(args.dataset, args.target, **given)
    answer |= {"seconds": time.perf_counter() - start, "whole": since_start(), "peak": peak()}
    if args.kind == "file":
        answer["encoded"] = row_bytes(model, pl.scan_parquet(args.dataset).head(LOOKED_AT).collect())
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
