"""Ranvier's side of the bench of few labels beside MiniLM, in a process of its own; prints a JSON line for every draw.

Usage: python -m bench.ours_minilm DATASET --data FOLDER --model FOLDER --target COLUMN [how]
       how: [--labels N] [--draws N] [--fit NAME=VALUE ...]

Defaults alone, with RANVIER_PRETRAINED naming the model's folder, and so from a table with nothing but text and target.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings
from bench.shots import labelled


def main() -> None:
    """Reads the command line and prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    os.environ["RANVIER_PRETRAINED"] = str(args.model)
    read = (pl.read_parquet(args.data / f"{args.dataset}_{part}.parquet") for part in ("train", "test"))
    train, test = (frame.select("text", args.target) for frame in read)
    for draw in range(args.draws):
        rows = train[labelled(train.height, args.labels, draw)]
        begun = time.perf_counter()
        model = rv.fit(rows, args.target, seed=draw, progress=False, **settings(args.fit))
        fitted = time.perf_counter() - begun
        encoder = model.plan.inputs["text"].encoder["name"]
        right = float(model.evaluate(test, show=False)["accuracy"])
        line = {"draw": draw, "encoder": encoder, "accuracy": right, "fitted": fitted, "rss": peak()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
