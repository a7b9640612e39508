"""Ranvier's side of the bench of masks and boxes, in a process of its own; prints a JSON line.

Usage: python -m bench.ours_places mask|boxes|both SEED --data FOLDER [--fit NAME=VALUE ...]
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

TARGETS = {"mask": ["mask"], "boxes": ["boxes"], "both": ["mask", "boxes"]}
KEPT = ("mean_iou", "pixel_accuracy", "foreground_iou", "map50", "map", "map50_any")


def main() -> None:
    """Reads the command line and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*TARGETS])
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    train, test = (pl.read_parquet(args.data / f"objects_{part}.parquet") for part in ("train", "test"))
    held = train.height // 10
    begun = time.perf_counter()
    how = {"inputs": ["image"], "seed": args.seed, **settings(args.fit)}
    model = rv.fit(train[:-held], TARGETS[args.what], val=train[-held:], progress=False, **how)
    fitted = time.perf_counter() - begun
    assert model.report is not None
    line: dict[str, Any] = {"seen": figures(model.report), "test": figures(model.judge(test)), "fitted": fitted}
    last = model.history[-1]
    line |= {"epochs": last["rows"] / (train.height - held), "step": last["seconds"] / last["step"]}
    print(json.dumps({**line, "parameters": model.parameters, "rss": peak()}), flush=True)


def figures(report: Any) -> dict[str, float]:
    """The figures of all targets that the bench tells, by their own names."""
    every = (target.metrics for target in report.targets.values())
    return {name: value for own in every for name, value in own.items() if name in KEPT}


if __name__ == "__main__":
    main()
