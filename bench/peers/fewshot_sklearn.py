"""Five pictures of each of five classes, by their pixels: nearest class mean, and logistic regression; a JSON line.

Usage: python fewshot_sklearn.py FASHION.npz [--draws N] [--splits N]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from shots import SHOTS, halves, shots


def main() -> None:
    """Reads the command line and prints a line for every split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--splits", type=int, default=10)
    args = parser.parse_args()
    data = np.load(args.file)
    x, x_test = (data[name].reshape(len(data[name]), -1).astype(np.float32) / 255 for name in ("x", "x_test"))
    for split, (_, novel) in list(enumerate(halves()))[: args.splits]:
        asked = np.isin(data["y_test"], novel)
        rows, truth = x_test[asked], data["y_test"][asked]
        found: dict[str, list[float]] = {"mean": [], "cosine": [], "logistic": []}
        for draw in range(args.draws):
            chosen = shots(data["y"], novel, split, draw).ravel()
            few, classes = x[chosen], np.repeat(novel, SHOTS)
            said = {
                "mean": np.array(novel)[nearest(few, rows)],
                "cosine": np.array(novel)[nearest(unit(few), unit(rows))],
                "logistic": LogisticRegression(max_iter=1000).fit(few, classes).predict(rows),
            }
            for name, answer in said.items():
                found[name].append(float((answer == truth).mean()))
        print(json.dumps({"split": split, **{name: float(np.mean(each)) for name, each in found.items()}}), flush=True)


def nearest(few: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,) which of the means of each SHOTS rows, in their order, is nearest to each of the rows."""
    means = few.reshape(-1, SHOTS, few.shape[1]).mean(1)
    return ((rows**2).sum(1)[:, None] - 2 * rows @ means.T + (means**2).sum(1)).argmin(1)


def unit(rows: np.ndarray) -> np.ndarray:
    """Each row with length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
