"""scikit-learn's models at their defaults on one fold of one table; prints one JSON line.

Usage: python tables_sklearn.py DATASET MODEL FOLD REPEAT --data FOLDER, with MODEL one of linear, mlp, hgb.

linear and mlp get the standard preprocessing: medians for missing numbers and a scale of one, one-hot categories
(a missing one is a category). Two settings favour the peers: the linear classifier may take 1,000 iterations, and
MLPRegressor's target is standardised (on raw dollars it does not converge). hgb reads categories natively.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from folds import Table, split, tables

MODELS = ("linear", "mlp", "hgb")


def build(model: str, classes: bool, inputs: pd.DataFrame, seed: int) -> Any:
    """An unfitted estimator for the model's name and the task."""
    texts = [name for name in inputs if not pd.api.types.is_numeric_dtype(inputs[name])]
    numbers = [name for name in inputs if name not in texts]
    if model == "hgb":
        return (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(random_state=seed)
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    )
    if model == "linear":
        return make_pipeline(prepare, LogisticRegression(max_iter=1000) if classes else Ridge())
    if classes:
        return make_pipeline(prepare, MLPClassifier(random_state=seed))
    return TransformedTargetRegressor(
        make_pipeline(prepare, MLPRegressor(random_state=seed)), transformer=StandardScaler()
    )


def categories(inputs: pd.DataFrame, train: np.ndarray) -> pd.DataFrame:
    """Text columns as pandas categories of the training rows (an unseen one becomes missing), for hgb."""
    out = inputs.copy()
    for name in out:
        if not pd.api.types.is_numeric_dtype(out[name]):
            known = sorted(out[name].iloc[train].dropna().unique())
            out[name] = pd.Categorical(out[name].where(out[name].isin(known)), categories=known)
    return out


def score(estimator: Any, inputs: pd.DataFrame, y: np.ndarray, classes: bool) -> dict[str, float]:
    """Figures on the test rows: accuracy, log loss and ROC AUC, or R2, RMSE and MAE."""
    if not classes:
        value = estimator.predict(inputs)
        return {
            "r2": metrics.r2_score(y, value),
            "rmse": metrics.root_mean_squared_error(y, value),
            "mae": metrics.mean_absolute_error(y, value),
        }
    p, known = estimator.predict_proba(inputs), estimator.classes_
    auc = metrics.roc_auc_score(y, p[:, 1]) if len(known) == 2 else metrics.roc_auc_score(y, p, multi_class="ovr")
    return {
        "accuracy": metrics.accuracy_score(y, known[p.argmax(1)]),
        "log_loss": metrics.log_loss(y, p, labels=known),
        "roc_auc": auc,
    }


def run(table: Table, model: str, fold: int, repeat: int, folder: Path) -> dict[str, Any]:
    """Fits on the fold's training rows and scores on its test rows; seconds are those of fit and predict."""
    frame = pd.read_parquet(table.path(folder))
    y = frame.pop(table.target).to_numpy()
    train, test = split(y, table.classes, fold, repeat)
    if model == "hgb":
        frame = categories(frame, train)
    estimator = build(model, table.classes, frame, seed=repeat * 100 + fold)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Found unknown categories")
        estimator.fit(frame.iloc[train], y[train])
        figures = score(estimator, frame.iloc[test], y[test], table.classes)
    seconds = time.perf_counter() - start
    return {"dataset": table.name, "model": model, "fold": fold, "repeat": repeat, "seconds": seconds, **figures}


def main() -> None:
    """Reads the command line and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("fold", type=int)
    parser.add_argument("repeat", type=int)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    table = next((t for t in tables(arguments.data) if t.name == arguments.dataset), None)
    if table is None:
        parser.error(f"no table {arguments.dataset!r} in {arguments.data}")
    print(json.dumps(run(table, arguments.model, arguments.fold, arguments.repeat, arguments.data)))


if __name__ == "__main__":
    main()
