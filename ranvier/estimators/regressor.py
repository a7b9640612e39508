"""A regressor for scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.estimators.base import Estimator, RegressorMixin, check_array, required

TARGET = "target"


class Regressor(RegressorMixin, Estimator):
    """A network that tells numbers, one or several a row, as a regressor of scikit-learn: see `Estimator`.

    After `fit`: model_; n_features_in_, and of frames feature_names_in_.
    """

    def __sklearn_tags__(self) -> Any:
        """Several targets at once as well."""
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output, tags.target_tags.multi_output = True, True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """Learns numbers y (N,) or (N, T) of rows X, an array (N, F) or a frame. Raises ValueError."""
        required(y, type(self).__name__)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        self._flat = y.ndim == 1
        columns = [y] if self._flat else list(y.T)
        names = [TARGET] if len(columns) == 1 else [f"{TARGET}{place}" for place in range(len(columns))]
        self._learn(X, dict(zip(names, columns, strict=True)), "number", sample_weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(N,) or (N, T) float64, as y was."""
        said = self._said(X).select(self._targets).to_numpy().astype(np.float64)
        return said[:, 0] if self._flat else said
