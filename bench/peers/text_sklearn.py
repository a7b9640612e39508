"""TF-IDF and logistic regression on a set of texts; prints one JSON line.

Usage: python text_sklearn.py DATASET SEED --data FOLDER, with DATASET one of newsgroups, snippets.

Both at their defaults but for `max_iter=1000`, with which the solver converges. They have no random choice: SEED is
only repeated in the answer, which also tells which test rows were right (a string of 0 and 1), for a paired comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

TARGETS = {"newsgroups": "label", "snippets": "sentiment"}


def main() -> None:
    """Trains on NAME_train.parquet and scores on NAME_test.parquet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=sorted(TARGETS))
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    args = parser.parse_args()
    train, test = (pd.read_parquet(args.data / f"{args.dataset}_{part}.parquet") for part in ("train", "test"))
    target = TARGETS[args.dataset]
    start = time.perf_counter()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    model.fit(train["text"], train[target])
    right = np.asarray(model.predict(test["text"]) == test[target])
    answer = {
        "dataset": args.dataset,
        "model": "tf-idf + logistic regression",
        "seed": args.seed,
        "accuracy": float(right.mean()),
        "seconds": time.perf_counter() - start,
        "right": "".join("01"[int(r)] for r in right),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
