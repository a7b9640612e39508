"""A classifier for scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.estimators.base import (
    ClassifierMixin,
    Estimator,
    check_classification_targets,
    column_or_1d,
    required,
)

TARGET = "target"


class Classifier(ClassifierMixin, Estimator):
    """A network that tells classes, as a classifier of scikit-learn: see `Estimator` for its parameters.

    After `fit`: classes_, sorted; model_; n_features_in_, and of frames feature_names_in_.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Learns classes y (N,) of rows X, an array (N, F) or a frame. Raises ValueError."""
        required(y, type(self).__name__)
        y = column_or_1d(y, warn=True)
        if y.dtype == object and (missing := [row for row, label in enumerate(y) if label is None or label != label]):
            raise ValueError(f"y: expected a class in every row, and row {missing[0]} has none; leave out such rows")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"expected two classes or more in y, got {len(self.classes_)} class: {self.classes_}")
        self._words = _words(self.classes_)
        self._learn(X, {TARGET: np.array(self._words)[codes]}, "category", sample_weight)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, classes) float64: how likely each class is, in the order of classes_."""
        said = self._said(X)
        name = self._targets[0]
        chances = said.select(f"{name}_p_{word}" for word in self._words).to_numpy().astype(np.float64)
        return chances / chances.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the likeliest class of each row."""
        likeliest = self.predict_proba(X).argmax(1)
        return self.classes_[likeliest]


def _words(classes: np.ndarray) -> list[str]:
    """What each class is called in the model, and so in what it tells; with its number where its text would not do."""
    texts = [str(label) for label in classes]
    if len({text.strip() for text in texts} - {""}) == len(texts):
        return [text.strip() for text in texts]
    return [f"{label!r} ({number})" for number, label in enumerate(classes.tolist())]
