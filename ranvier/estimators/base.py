"""What the classifier and the regressor share: rows in scikit-learn's forms to a model's, and its answers back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.errors import MissingExtra, RanvierError
from ranvier.core.unknown import strict
from ranvier.data.memory import read_memory
from ranvier.data.table import Table
from ranvier.model.fit import fit
from ranvier.model.frames import tell
from ranvier.planning.make import make_plan

try:  # all that is taken from it, here and in the files beside, so that its lack is told in one place
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_consistent_length,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ModuleNotFoundError:
    raise MissingExtra("scikit-learn", "sklearn") from None

__all__ = [
    "ClassifierMixin",
    "Estimator",
    "RegressorMixin",
    "check_array",
    "check_classification_targets",
    "column_or_1d",
    "required",
]

SEEDS = 2**31  # those that a random state may give


class Estimator(BaseEstimator):
    """A model that scikit-learn can fit, clone, search over and put into pipelines.

    Frames (pandas, polars) keep their columns, each recognised as `fit` does: numbers, categories, dates, texts; all
    columns of an array of numbers are numbers. Missing values are welcome. size, time, balance, folds, types: as of
    `ranvier.plan`; epochs, batch, optimizer, rate, device, threads: settings of training. encoder, fuse: of all inputs,
    a name or {"name": ..., option: value}; "auto" = as the plan has it. random_state: the seed; None = another each
    time. verbose: show how training goes. After `fit`: model_, a `ranvier.Model`, whose notes say what was repaired.
    What is wrong in what is given is a ValueError.
    """

    @strict
    def __init__(
        self,
        *,
        size: str = "m",
        time: float | str = 0.0,
        epochs: float | str = "auto",
        batch: int | str = "auto",
        optimizer: Any = "auto",
        rate: float | str = "auto",
        encoder: Any = "auto",
        fuse: Any = "auto",
        balance: str = "none",
        folds: int = 0,
        types: Mapping[str, str] | None = None,
        device: str = "auto",
        threads: int | str = "auto",
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.size, self.time, self.epochs, self.batch = size, time, epochs, batch
        self.optimizer, self.rate, self.encoder, self.fuse = optimizer, rate, encoder, fuse
        self.balance, self.folds, self.types = balance, folds, types
        self.device, self.threads, self.random_state, self.verbose = device, threads, random_state, verbose

    def __sklearn_tags__(self) -> Any:
        """What it takes: missing values, categories and texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    # ---- small parts

    def _learn(self, x: Any, targets: Mapping[str, np.ndarray], kind: str, weight: Any) -> None:
        """Fits model_ to rows and their targets, whose names may be those of columns: `_targets` has the ones taken."""
        rows, told = self._rows(x, reset=True)
        frame, types = rows.frame, dict(told) | dict(self.types or {})
        self._names = frame.columns
        self._targets = [_free(name, frame.columns) for name in targets]
        check_consistent_length(frame, *targets.values())
        frame = frame.with_columns(pl.Series(n, v) for n, v in zip(self._targets, targets.values(), strict=True))
        types |= dict.fromkeys(self._targets, kind)
        roles = dict.fromkeys(told, "input")
        if weight is not None:
            name = _free("weight", frame.columns)
            roles[name] = "weight"
            frame = frame.with_columns(pl.Series(name, _check_sample_weight(weight, np.empty((frame.height, 1)))))
        train = {name: getattr(self, name) for name in ("epochs", "batch", "optimizer", "rate", "device", "threads")}
        with _as_value_errors():
            plan = make_plan(
                frame,
                self._targets,
                roles=roles,
                types=types,
                balance=self.balance,
                folds=self.folds,
                size=self.size,
                time=self.time,
                seed=self._seed(),
                **train,
            )
            for each in plan.inputs.values() if self.encoder != "auto" else ():
                each.encoder = self.encoder
            if self.fuse != "auto":
                plan.fuse = self.fuse
            if not self.verbose:
                tell(plan.warnings)
            self.model_ = fit(plan, progress=self.verbose)

    def _said(self, x: Any) -> pl.DataFrame:
        """What the model predicts of rows."""
        check_is_fitted(self)
        rows, _ = self._rows(x, reset=False)
        named = rows.frame.rename(dict(zip(rows.frame.columns, self._names, strict=True)))  # by their places, where an
        with _as_value_errors():  # array follows a frame or the reverse
            said: pl.DataFrame = self.model_.predict(Table(named, rows.notes))
        return said

    def _rows(self, x: Any, *, reset: bool) -> tuple[Table, dict[str, str]]:
        """The rows, and the types of columns that are known before they are looked at."""
        least = 2 if reset else 1
        if hasattr(x, "columns"):
            validate_data(self, x, reset=reset, skip_check_array=True)
            with _as_value_errors():
                return read_memory(x), {}
        array = validate_data(self, x, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=least)
        columns = {f"x{place}": column for place, column in enumerate(np.asfortranarray(array).T)}
        if array.dtype.kind in "biuf":  # where NaN is missing, which is not worth telling here
            frame = pl.DataFrame([pl.Series(name, column, nan_to_null=True) for name, column in columns.items()])
            return Table(frame), dict.fromkeys(columns, "number")
        with _as_value_errors():
            return read_memory(columns), {}

    def _seed(self) -> int:
        given = self.random_state
        return int(given) if isinstance(given, int | np.integer) else check_random_state(given).randint(SEEDS)


def required(y: Any, name: str) -> None:
    """Raises ValueError where there is nothing to learn."""
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None")


def _free(name: str, taken: list[str]) -> str:
    """The name, with as many underscores as make it none of those taken."""
    return name if name not in taken else _free(f"{name}_", taken)


@contextmanager
def _as_value_errors() -> Iterator[None]:
    try:
        yield
    except RanvierError as error:
        raise ValueError(str(error)) from error
