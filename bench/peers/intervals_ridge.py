"""Split-conformal ridge regression on every fold of one table; prints a JSON line for each.

Usage: python intervals_ridge.py DATASET --data FOLDER [--level LEVEL] [--folds N]

RidgeCV chooses its penalty by leave-one-out errors on three quarters of the training rows; the absolute errors at the
others, which of them drawn by chance, give half the width of all intervals (Lei et al. 2018, arXiv:1604.04173).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from figures import held
from folds import Table, split, tables

SHARE = 0.25  # of the training rows, held out
PENALTIES = np.logspace(-3, 3, 13)


def build(inputs: pd.DataFrame) -> Any:
    """An unfitted pipeline."""
    texts = [name for name in inputs if not pd.api.types.is_numeric_dtype(inputs[name])]
    numbers = [name for name in inputs if name not in texts]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore"), texts),
        ]
    )
    return make_pipeline(prepare, RidgeCV(PENALTIES))


def run(table: Table, level: float, folds: int, folder: Path) -> Iterator[dict[str, Any]]:
    """A line for every fold."""
    frame = pd.read_parquet(table.path(folder))
    y = frame.pop(table.target).to_numpy(dtype=float)
    for fold in range(folds):
        train, test = split(y, table.classes, fold, 0)
        order = np.random.default_rng([20_260_103, fold]).permutation(train)
        apart, learnt = np.split(order, [round(SHARE * len(order))])
        start = time.perf_counter()
        model = build(frame).fit(frame.iloc[learnt], y[learnt])
        away = np.sort(np.abs(y[apart] - model.predict(frame.iloc[apart])))
        half = away[math.ceil((len(away) + 1) * level - 1e-9) - 1]
        said = model.predict(frame.iloc[test])
        seconds = time.perf_counter() - start
        where = {"dataset": table.name, "model": "ridge", "fold": fold, "seconds": seconds}
        yield where | held(said - half, said + half, y[test], level)


def main() -> None:
    """Reads the command line and prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--folds", type=int, default=5)
    args = parser.parse_args()
    table = next(t for t in tables(args.data) if t.name == args.dataset)
    for line in run(table, args.level, args.folds, args.data):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
