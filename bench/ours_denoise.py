"""Ranvier's side of the bench of noisy pictures, in a process of its own; prints a JSON line.

Usage: python -m bench.ours_denoise SEED --data FOLDER --out NPZ --rows N --sigma S [--fit NAME=VALUE ...]

Writes the noisy and clean pictures for the peer as well.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings

KNOWN = 1_000  # training pictures by which the peer chooses its weight


def main() -> None:
    """Reads the command line and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--sigma", type=float, required=True)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    train, test = (pl.read_parquet(args.data / f"fashion_{part}.parquet") for part in ("train", "test"))
    pictures = {"train": pixels(train.head(args.rows)), "test": pixels(test)}
    random = np.random.default_rng(args.seed)
    noisy = {part: spoilt(clean, args.sigma, random) for part, clean in pictures.items()}
    known = {"known_noisy": noisy["train"][:KNOWN], "known_clean": pictures["train"][:KNOWN]}
    np.savez(args.out, noisy=noisy["test"], clean=pictures["test"], **known)
    rows = {part: {"noisy": noisy[part], "clean": pictures[part]} for part in pictures}
    begun = time.perf_counter()
    how = {"inputs": ["noisy"], "seed": args.seed, **settings(args.fit)}
    model = rv.fit(rows["train"], target="clean", progress=False, **how)
    line = {"fitted": time.perf_counter() - begun, "parameters": model.parameters}
    begun = time.perf_counter()
    line |= model.judge(rows["test"]).targets["clean"].metrics
    line |= {"each": (time.perf_counter() - begun) / len(noisy["test"])}
    trained = args.rows * (1 - model.plan.data.fraction)
    print(json.dumps({**line, "epochs": model.history[-1]["rows"] / trained, "rss": peak()}), flush=True)


def pixels(frame: pl.DataFrame) -> np.ndarray:
    """The pictures as uint8 (N, H, W)."""
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in frame["image"]])


def spoilt(clean: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """With noise of this deviation on intensities between 0 and 1, cut off there, as 8-bit pictures hold it."""
    return np.rint((clean + random.normal(0, 255 * sigma, clean.shape)).clip(0, 255)).astype(np.uint8)


if __name__ == "__main__":
    main()
