"""Boosted trees and RealMLP-TD at their defaults on every fold of the tables; prints a JSON line each.

Usage: python tables_more.py MODEL --data FOLDER [--folds N] [--repeats N] [--epochs N] [--table NAME], with MODEL one
of catboost, lightgbm, xgboost, realmlp, in the environment of that name. --epochs: RealMLP's, only to see that it runs.
--table: that one only.

Defaults of the scikit-learn interfaces, with the fold's seed. Categories are told to each in the way it documents:
catboost gets their names (missing is a category), lightgbm and xgboost pandas categories. RealMLP-TD (pytabkit, "tuned
defaults", Holzmueller et al. 2024, arXiv:2407.04491) refuses missing numbers: it gets the training medians. Seconds are
those of fit and predict, without imports.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import LabelEncoder
from tables_sklearn import Table, categories, score, split, tables

MISSING = "missing"


class Encoded:
    """A classifier that is given class numbers, for one that takes no others."""

    def __init__(self, estimator: Any) -> None:
        self.estimator, self.codes = estimator, LabelEncoder()

    def fit(self, inputs: pd.DataFrame, y: np.ndarray) -> None:
        """Fits on the codes."""
        self.estimator.fit(inputs, self.codes.fit_transform(y))

    def predict_proba(self, inputs: pd.DataFrame) -> np.ndarray:
        """(N, classes), in the order of `classes_`."""
        return np.asarray(self.estimator.predict_proba(inputs))

    @property
    def classes_(self) -> np.ndarray:
        """The classes themselves."""
        return np.asarray(self.codes.classes_)


def catboost(classes: bool, texts: list[str], seed: int, epochs: int = 0) -> Any:
    """CatBoost."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    made = CatBoostClassifier if classes else CatBoostRegressor
    return made(cat_features=texts, random_seed=seed, verbose=False, allow_writing_files=False)


def lightgbm(classes: bool, texts: list[str], seed: int, epochs: int = 0) -> Any:
    """LightGBM."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if classes else LGBMRegressor)(random_state=seed, verbose=-1)


def xgboost(classes: bool, texts: list[str], seed: int, epochs: int = 0) -> Any:
    """XGBoost."""
    from xgboost import XGBClassifier, XGBRegressor

    how = {"random_state": seed, "enable_categorical": True}
    return Encoded(XGBClassifier(**how)) if classes else XGBRegressor(**how)


def realmlp(classes: bool, texts: list[str], seed: int, epochs: int = 0) -> Any:
    """RealMLP-TD."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    how = {"random_state": seed, "device": "cpu", "verbosity": 0} | ({"n_epochs": epochs} if epochs else {})
    return Encoded(RealMLP_TD_Classifier(**how)) if classes else RealMLP_TD_Regressor(**how)


MODELS = {"catboost": catboost, "lightgbm": lightgbm, "xgboost": xgboost, "realmlp": realmlp}


def prepared(model: str, frame: pd.DataFrame, texts: list[str], train: np.ndarray) -> pd.DataFrame:
    """The inputs as the model takes them."""
    if model in ("lightgbm", "xgboost"):
        return categories(frame, train)
    out = frame.copy()
    for name in out:
        if name in texts:
            out[name] = out[name].astype(object).where(out[name].notna(), MISSING).astype(str)
        elif model == "realmlp":
            out[name] = out[name].astype(float).fillna(out[name].iloc[train].median())
    return categories(out, train) if model == "realmlp" else out


def run(table: Table, model: str, fold: int, repeat: int, folder: Path, epochs: int = 0) -> dict[str, Any]:
    """Fits on the fold's training rows and scores on its test rows."""
    frame = pd.read_parquet(table.path(folder))
    y = frame.pop(table.target).to_numpy()
    train, test = split(y, table.classes, fold, repeat)
    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    frame = prepared(model, frame, texts, train)
    estimator = MODELS[model](table.classes, texts, repeat * 100 + fold, epochs)
    y = y if table.classes else y.astype(float)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(frame.iloc[train], y[train])
        figures = score(estimator, frame.iloc[test], y[test], table.classes)
    seconds = time.perf_counter() - start
    return {"dataset": table.name, "model": model, "fold": fold, "repeat": repeat, "seconds": seconds, **figures}


def main() -> None:
    """Runs the folds in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5, help="of the 5, how many to run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=0, help="of RealMLP, 0 = its default")
    parser.add_argument("--table", default="")
    args = parser.parse_args()
    for table in (each for each in tables(args.data) if args.table in ("", each.name)):
        for repeat in range(args.repeats):
            for fold in range(args.folds):
                print(json.dumps(run(table, args.model, fold, repeat, args.data, args.epochs)), flush=True)


if __name__ == "__main__":
    main()
