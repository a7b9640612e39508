"""The rows of every fold of the table benches, so that ours and the peers train and test on the same ones.

numpy and the standard library only: it runs in each peer's own environment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDS = 5
REPEATS = 3


@dataclass(frozen=True)
class Table:
    """One of the benches' tables. classes: whether the target is a class (else a number)."""

    name: str
    target: str
    classes: bool

    def path(self, folder: Path) -> Path:
        """Where its Parquet file lies in the data folder."""
        return folder / f"{self.name}.parquet"


def tables(folder: Path) -> list[Table]:
    """The tables of `tabular.json` that are to be predicted (the causal one is left out)."""
    entries = json.loads((folder / "tabular.json").read_text())
    kinds = {"classification": True, "regression": False}
    return [
        Table(name.removesuffix(".parquet"), entry["target"], kinds[entry["task"]])
        for name, entry in entries.items()
        if entry["task"] in kinds
    ]


def split(
    targets: np.ndarray, classes: bool, fold: int, repeat: int, folds: int = FOLDS
) -> tuple[np.ndarray, np.ndarray]:
    """(training rows, test rows) of one fold, each sorted; a pure function of the arguments.

    targets: (N,), read only if `classes`: then every fold holds its share of each class. Raises ValueError for
    a fold that is not in [0, folds).
    """
    if not 0 <= fold < folds:
        raise ValueError(f"fold is {fold}; expected 0 to {folds - 1}")
    order = np.random.default_rng([20_260_101, repeat]).permutation(len(targets))
    if classes:  # stable, so that rows stay shuffled inside a class
        _, codes = np.unique(np.asarray(targets), return_inverse=True)
        order = order[np.argsort(codes[order], kind="stable")]
    held = np.zeros(len(targets), bool)
    held[order[fold::folds]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
