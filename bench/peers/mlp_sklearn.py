"""784-256-10 by scikit-learn's MLPClassifier; prints one JSON line.

Usage: python mlp_sklearn.py --file NPZ [--seed N] [--epochs N] [--batch N]

`MLPClassifier(hidden_layer_sizes=(256,), max_iter=5, batch_size=32)`, all else at its default (Adam, rate 1e-3, L2 of
1e-4), pixels in [0, 1]. Its own default of a batch is 200 (`--batch 200`). It is scored once, at the end: `fit` has no
place to look in between, and scoring less often is in its favour.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import Curve, peak, since_start


def main() -> None:
    """Trains and tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    with np.load(args.file) as file:
        x, y, x_test, y_test = (file[name] for name in ("x", "y", "x_test", "y_test"))
    x, x_test = (part.reshape(len(part), -1) / np.float32(255) for part in (x, x_test))
    model = MLPClassifier((256,), max_iter=args.epochs, batch_size=args.batch, random_state=args.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    curve = Curve()
    curve.add(model.score(x_test, y_test))
    answer = curve.answer() | {"test": curve.points[-1][1], "epochs": float(args.epochs), "seconds": since_start()}
    print(json.dumps(answer | {"threads": len(os.sched_getaffinity(0)), "rss": peak()}))


if __name__ == "__main__":
    main()
