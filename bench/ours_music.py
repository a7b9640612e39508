"""Ranvier's side of the bench of music: learns tunes in ABC notation and writes some; prints one JSON line.

Usage: python -m bench.ours_music alone|rhythm SEED --data FOLDER [--count N] [--held ROWS] [--fit NAME=VALUE]

alone: tunes from nothing, characters in windows, drawn as learnt (PLAIN) and in the manner WILD, which was chosen by
tunes of another seed (bench/NOTES.md, "Tunes").
rhythm: tunes from the column of that name, whose notation tells the metre; `count` of each kind in METRES.
--fit: further settings of `ranvier.plan`; `head` and `column` are options of the target's.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings
from bench.sets import hold_out

PLAIN = {"temperature": 1.0, "top_p": 1.0}
WILD = {"temperature": 2.0, "top_p": 1.0, "min_p": 0.03}
METRES = {"reel": "C C|", "jig": "6/8", "hornpipe": "C C|", "slipjig": "9/8"}
LONGEST = 1_000  # characters; nine tunes in a thousand are longer


def planned(args: argparse.Namespace, inputs: list[str]) -> tuple[rv.Plan, pl.DataFrame]:
    """The plan of a fit on the training tunes, and those held out of it."""
    given = settings(args.fit)
    head, column = given.pop("head", {}), given.pop("column", {})
    frame = pl.read_parquet(args.data / "tunes_train.parquet")
    train, held = (frame[rows] for rows in hold_out(frame.height, args.held))
    plan = rv.plan(train, target="abc", inputs=inputs, val=held, seed=args.seed, **given)
    plan.columns["abc"].options.update(column)
    plan.targets["abc"].head.update(head)
    return plan, held


def alone(args: argparse.Namespace) -> dict[str, Any]:
    """Tunes from nothing."""
    plan, held = planned(args, [])
    model = rv.fit(plan, progress=False)
    fitted = time.perf_counter()
    tunes, bits_of = {}, {"held out": bits(model, held), "test": bits(model, tests(args))}
    start = time.perf_counter()
    for name, how in (("as learnt", PLAIN), ("wild", WILD)):
        tunes[name] = model.generate([""] * args.count, seed=args.seed + 1, longest=LONGEST, **how)
    found = {"tunes": tunes, "bits": bits_of, "write": time.perf_counter() - start}
    return found | {"fitted": fitted, "parameters": model.parameters, "epochs": model.plan.train.epochs}


def tests(args: argparse.Namespace) -> pl.DataFrame:
    """Tunes that training never saw."""
    return pl.read_parquet(args.data / "tunes_test.parquet")


def rhythm(args: argparse.Namespace) -> dict[str, Any]:
    """Tunes of a kind."""
    plan, _ = planned(args, ["rhythm"])
    model = rv.fit(plan, progress=False)
    fitted = time.perf_counter()
    tunes = {}
    for kind in METRES:
        rows = pl.DataFrame({"rhythm": [kind] * args.count})
        how = {"beam": 1, "temperature": 0.8, "top_p": 0.95, "longest": LONGEST, "seed": args.seed}
        tunes[kind] = model.generate(rows, **how)
    return {"tunes": tunes, "fitted": fitted, "parameters": model.parameters, "epochs": model.plan.train.epochs}


def bits(model: rv.Model, tunes: pl.DataFrame) -> float:
    """Of surprise in a character."""
    return float(model.evaluate(tunes, show=False)["bits_per_character"])


def main() -> None:
    """Fits and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("alone", "rhythm"))
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--held", type=int, default=200, help="training tunes held out for validation")
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    start = time.perf_counter()
    answer = alone(args) if args.kind == "alone" else rhythm(args)
    answer["fitted"] -= start
    print(json.dumps(answer | {"seconds": time.perf_counter() - start, "rss": peak()}))


if __name__ == "__main__":
    main()
