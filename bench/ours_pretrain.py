"""Ranvier's side of the bench of pretraining, in a process of its own; prints JSON lines.

Usage: python -m bench.ours_pretrain DATASET --data FOLDER --column COLUMN --target COLUMN [--input COLUMN] [how]
       how: [--kind masked|next] [--time SECONDS] [--labels N ...] [--draws N] [--tested ROWS] [--fit NAME=VALUE ...]

The first line tells of the pretraining on the column of DATASET_train.parquet, all rows and no label. Then a line for
each number of labels, draw and start: "pretrained", "anew" (the same encoder or decoder, from random weights and with
a vocabulary of the labelled rows), "default" (what the planner takes by itself; of classes alone). Draw d is of the
same rows for all. The figures are of DATASET_test.parquet. --fit: a setting of the pretraining.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings

Line = dict[str, Any]


def lines(args: argparse.Namespace) -> Iterator[Line]:
    """The pretraining's line, and those of the fits."""
    train, test = (pl.read_parquet(args.data / f"{args.dataset}_{part}.parquet") for part in ("train", "test"))
    if args.tested:
        test = test.sample(min(args.tested, test.height), seed=0)
    begun = time.perf_counter()
    how = {"kind": args.kind, "time": args.time} | settings(args.fit)
    base = rv.pretrain(train.select(args.column), column=args.column, progress=False, **how)
    told = {name: float(figure) for name, figure in base.evaluate(test, show=False).items()}
    yield {"rows": train.height, "seconds": time.perf_counter() - begun, "rss": peak(), **told}
    starts = ("pretrained", "anew", *(("default",) if args.kind == "masked" else ()))
    for labels in args.labels:
        for draw in range(args.draws):
            rows = train.sample(labels, seed=draw, shuffle=True)
            for start in starts:
                yield {"labels": labels, "draw": draw, "start": start, **fitted(args, rows, test, base, start, draw)}


def fitted(args: argparse.Namespace, rows: pl.DataFrame, test: pl.DataFrame, base: Any, start: str, seed: int) -> Line:
    """The test figures and the seconds of one fit."""
    begun = time.perf_counter()
    init = base if start == "pretrained" else None
    types = {args.target: base.plan.columns[args.column].type} if args.target == args.column else {}
    plan = rv.plan(rows, args.target, inputs=[args.input], types=types, seed=seed, init=init)
    if start == "anew":
        alike(plan, base.plan, args)
    model = rv.fit(plan, init=init, progress=False)
    figures = model.evaluate(test, show=False)
    wanted = ("accuracy", "rouge_l", "bits_per_character")
    return {n: float(figures[n]) for n in wanted if n in figures} | {"seconds": time.perf_counter() - begun}


def alike(plan: Any, other: Any, args: argparse.Namespace) -> None:
    """Gives the plan the encoder or decoder of the other, of the same size; the planner sees to the rest."""
    if args.kind == "masked":
        part, options = other.inputs[args.column].encoder, ("name", "width", "depth", "heads", "layers", "embedding")
        plan.inputs[args.input].encoder = {name: part[name] for name in options if name in part}
        return
    part = other.targets[args.column].head
    plan.targets[args.target].head.update({name: part[name] for name in ("decoder", "layer_width", "depth", "heads")})


def main() -> None:
    """Reads the command line and prints a line for every answer, as soon as there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--column", required=True, help="what is pretrained on")
    parser.add_argument("--target", required=True)
    parser.add_argument("--input", default="")
    parser.add_argument("--kind", choices=["masked", "next"], default="masked")
    parser.add_argument("--time", type=float, default=600.0)
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 1_000])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--tested", type=int, default=0, help="test rows, 0 = all")
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    args.input = args.input or args.column
    for line in lines(args):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
