"""One row of a table through a scikit-learn pipeline of HistGradientBoosting; prints one JSON line.

Usage: python onerow_sklearn.py DATASET --data FOLDER [--calls N]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from folds import tables
from timing import median_ms


def main() -> None:
    """Trains on the whole table and times `predict_proba` on its first row as a pandas frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--calls", type=int, default=200)
    args = parser.parse_args()
    table = next(t for t in tables(args.data) if t.name == args.dataset)
    frame = pd.read_parquet(table.path(args.data))
    y = frame.pop(table.target)
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    prepare = make_column_transformer((codes, texts), remainder="passthrough")
    model = make_pipeline(prepare, HistGradientBoostingClassifier(random_state=0)).fit(frame, y)
    row = frame.iloc[:1]
    ms = median_ms(lambda: model.predict_proba(row), args.calls)
    print(json.dumps({"dataset": table.name, "inputs": frame.shape[1], "ms": ms}))


if __name__ == "__main__":
    main()
