"""Ranvier's side of the bench `bound`, in a process of its own; prints one JSON line.

Usage: python -m bench.ours_bound SEED --data FOLDER [--rows N] [--fit NAME=VALUE ...]

A VAE at its defaults learns pictures of black and white, of which the head is told, and gives the importance-weighted
bound of the test pictures. rows: of the training rows, 0 = all. --fit: a setting of `ranvier.fit`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import polars as pl
import torch

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings

PICTURE = "image"
HEAD = {"name": "vae", "likelihood": "bernoulli"}


def main() -> None:
    """Reads, trains, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    train, test = (pl.read_parquet(args.data / f"fashion_{part}.parquet").select(PICTURE) for part in ("train", "test"))
    begun, worked = time.perf_counter(), time.process_time()
    known = train.head(args.rows or train.height)
    plan = rv.plan(known, PICTURE, inputs=[], seed=args.seed, **settings(args.fit))
    plan.targets[PICTURE].head = dict(HEAD)
    model = rv.fit(plan, progress=False)
    fitted, worked = time.perf_counter() - begun, time.process_time() - worked
    report = model.evaluate(test, show=False)
    told = {name: report[name] for name in ("bound", "elbo")}
    told |= {"fitted": fitted, "worked": worked, "epochs": model.history[-1]["rows"] / (0.9 * known.height)}
    print(json.dumps(told | {"parameters": model.parameters, "rss": peak(), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
