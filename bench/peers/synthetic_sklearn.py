"""Judges rows of a table that were drawn: a forest learns from them, and from true rows; prints a JSON line each.

Usage: python synthetic_sklearn.py --known FILE --held FILE --drawn FILE ... --target COLUMN --classes 0|1
       [--seeds N]

The score is the share of the true rows held out whose class is right, or R squared, of a random forest of 300 trees,
the mean over seeds, of the rows known and of those in each file drawn. Distances are to the closest row known,
Euclidean on standardised numbers and indicators of categories over the square root of 2; missing numbers are the mean.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.neighbors import NearestNeighbors


def numbers(frame: pd.DataFrame, like: pd.DataFrame) -> np.ndarray:
    """(N, D): the columns as numbers."""
    found = []
    for name in like:
        if pd.api.types.is_numeric_dtype(like[name]) and not pd.api.types.is_bool_dtype(like[name]):
            spread = like[name].std() or 1.0
            found.append(((frame[name].astype(float) - like[name].mean()) / spread).fillna(0.0).to_numpy()[:, None])
        else:
            known, asked = (f[name].astype(object).fillna("").astype(str) for f in (like, frame))
            found.append(asked.to_numpy()[:, None] == np.array(sorted(known.unique())))
    return np.concatenate([part / np.sqrt(2) if part.dtype == bool else part for part in found], 1)


def score(train: pd.DataFrame, held: pd.DataFrame, like: pd.DataFrame, target: str, classes: bool, seeds: int) -> float:
    """The mean score over the seeds."""
    kind = RandomForestClassifier if classes else RandomForestRegressor
    train = train[train[target].notna()]
    x, z = (numbers(frame.drop(columns=target), like.drop(columns=target)) for frame in (train, held))
    y, w = (frame[target].astype(str) if classes else frame[target] for frame in (train, held))
    made = (kind(300, random_state=seed, n_jobs=-1).fit(x, y).score(z, w) for seed in range(seeds))
    return float(np.mean(list(made)))


def main() -> None:
    """Prints a line for each file of rows drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("known", "held", "target"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--drawn", nargs="+", required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    known, held = (pd.read_csv(file) for file in (args.known, args.held))
    how = (held, known, args.target, bool(args.classes), args.seeds)
    near = NearestNeighbors(n_neighbors=1).fit(numbers(known, known))
    true = score(known, *how)
    for drawn in map(pd.read_csv, args.drawn):
        apart = {n: near.kneighbors(numbers(f, known))[0][:, 0] for n, f in (("held", held), ("drawn", drawn))}
        told = {n: {"median": float(np.median(d)), "least": float(np.quantile(d, 0.05))} for n, d in apart.items()}
        print(json.dumps({"true": true, "synthetic": score(drawn, *how), "apart": told}), flush=True)


if __name__ == "__main__":
    main()
