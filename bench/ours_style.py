"""Pictures painted as others are, in a process of its own; prints a JSON line for each pair.

Usage: python -m bench.ours_style SEED --data FOLDER --out FOLDER --pairs CONTENT:STYLE,... --size N --epochs N

Distances before and after are told by random filters of another seed, and by the encoder of a model that has learnt
masks of composed scenes: neither has painted.
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
from ranvier.model.style import distances

ROWS = 600  # composed scenes that the judge learns


def main() -> None:
    """Reads the command line and prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--epochs", type=float, required=True)
    args = parser.parse_args()
    scenes = pl.read_parquet(args.data / "objects_train.parquet").head(ROWS)
    how: dict[str, Any] = {"inputs": ["image"], "size": "s", "epochs": args.epochs, "progress": False}
    judges = {"filters": None, "scenes": rv.fit(scenes, "mask", **how)}
    for pair in args.pairs.split(","):
        content, style = (str(args.data / "wallpapers" / f"{name}.jpg") for name in pair.split(":"))
        begun, worked = time.perf_counter(), time.process_time()
        made = rv.style(content, style, size=args.size, seed=args.seed)
        line: dict[str, Any] = {"pair": pair, "seconds": time.perf_counter() - begun}
        line["processor"] = time.process_time() - worked
        (args.out / f"{pair.replace(':', '-')}.png").write_bytes(made)
        for name, judge in judges.items():
            told = {"size": args.size, "features": judge, "seed": args.seed + 1}
            line[name] = {
                "before": distances(content, content, style, **told),
                "after": distances(made, content, style, **told),
                "other": distances(style, content, style, **told),
            }
        print(json.dumps({**line, "rss": peak()}), flush=True)


if __name__ == "__main__":
    main()
