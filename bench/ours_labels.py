"""Ranvier's side of the bench of few labels, in a process of its own; prints JSON lines.

Usage: python -m bench.ours_labels KIND --data FOLDER [--rows N] [--time SECONDS] [--labels N ...] [--draws N]
       [--tested ROWS] [--fit NAME=VALUE ...]

The first line tells of the pretraining of KIND (contrastive or masked) on the first N pictures of fashion_train.parquet
without their labels. Then a line for each number of labels, draw and start: "scratch", "probe" (the pretrained encoder
frozen), "tuned". Labels are as many of each class, of all training rows; draw d is of the same rows for all, and its
seed too. The figures are of fashion_test.parquet. --fit: a setting of the pretraining and of all fits (size, threads).
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

CLASSES = 10
STARTS: dict[str, dict[str, Any]] = {"scratch": {}, "probe": {"frozen": True}, "tuned": {}}


def lines(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The pretraining's line, and those of the fits."""
    train, test = (pl.read_parquet(args.data / f"fashion_{part}.parquet") for part in ("train", "test"))
    test = test.head(args.tested) if args.tested else test
    how, begun = settings(args.fit), time.perf_counter()
    pictures = train.head(args.rows).select("image")
    base = rv.pretrain(pictures, kind=args.kind, time=args.time, progress=False, **how)
    told = {name: float(figure) for name, figure in base.report.metrics.items()}
    yield {"rows": pictures.height, "seconds": time.perf_counter() - begun, "rss": peak(), **told}
    for labels in args.labels:
        for draw in range(args.draws):
            rows = drawn(train, labels, draw)
            for start, own in STARTS.items():
                begun = time.perf_counter()
                init = None if start == "scratch" else base
                few = {"inputs": ["image"], "init": init, "seed": draw, "progress": False, **own, **how}
                model = rv.fit(rows, target="label", **few)
                accuracy = float(model.evaluate(test, show=False)["accuracy"])
                seconds = time.perf_counter() - begun
                yield {"labels": labels, "draw": draw, "start": start, "accuracy": accuracy, "seconds": seconds}


def drawn(train: pl.DataFrame, labels: int, seed: int) -> pl.DataFrame:
    """As many rows of each class, in random order."""
    mixed = train.sample(fraction=1.0, shuffle=True, seed=seed)
    some = mixed.group_by("label", maintain_order=True).head(labels // CLASSES)
    return some.sample(fraction=1.0, shuffle=True, seed=seed)


def main() -> None:
    """Reads the command line and prints a line for every answer, as soon as there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["contrastive", "masked"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--time", type=float, default=300.0)
    parser.add_argument("--labels", type=int, nargs="*", default=[10, 100, 1_000])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--tested", type=int, default=0, help="test rows, 0 = all")
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    for line in lines(args):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
