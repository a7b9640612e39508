"""Figures of a predicted set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ranvier.core.protocols import Value
from ranvier.ops.streams import EPSILON, NO_ROWS, Spoilt, amounts, ratio


class MultiLabel:
    """Figures of a predicted set, from {"probs": (B, C)} and 0/1 (B, C).

    f1_micro, precision_micro and recall_micro count single labels; f1_macro is the mean over the labels in the truth
    or among the predictions (scikit-learn's zero_division=nan); subset_accuracy is the share of rows with every label
    right; log_loss (nats) the mean over rows and labels. A label is predicted at a probability >= threshold.
    """

    def __init__(self, labels: int, threshold: float = 0.5) -> None:
        """labels: C >= 1."""
        self.labels, self.threshold = labels, threshold
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._counts: Tensor | None = None  # (3, C): hits, true, predicted
        self._rows: Tensor | None = None  # weight, of it rows all right, surprise

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: probs (B, C), y.data (B, C), weight (B,) or None for ones.

        y.data may have one more column than probs: how many of the row's true labels were not seen in training.
        They count as not found: in recall_micro, f1_micro and subset_accuracy, but not in f1_macro and log_loss.
        """
        amount = amounts(y, weight, prediction["probs"].device)
        said = self.spoilt.add({"probs": prediction["probs"]}, amount)["probs"]
        probs = said.double()
        truth, unseen = y.data[:, : self.labels] > 0, y.data[:, self.labels :].double().sum(1)
        guess = said >= self.threshold  # in its own precision, as the column that decodes it compares
        if self._counts is None or self._rows is None:
            self._counts, self._rows = amount.new_zeros(3, self.labels), amount.new_zeros(4)
        self._counts += torch.stack([amount @ part.double() for part in (truth & guess, truth, guess)])
        exact = (truth == guess).all(1) & (unseen == 0)
        hit = torch.where(truth, probs, 1 - probs).clamp(EPSILON, 1 - EPSILON)
        rows = torch.stack([torch.ones_like(amount), exact.double(), -hit.log().sum(1), unseen])
        self._rows += rows @ amount

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        if self._counts is None or self._rows is None or not self._rows[0] > 0:
            self.notes["all"] = NO_ROWS
            return {}
        hits, true, predicted = self._counts.cpu()
        total, exact, surprise, unseen = self._rows.tolist()
        found = {
            "f1_micro": (2 * hits.sum(), true.sum() + unseen + predicted.sum()),
            "precision_micro": (hits.sum(), predicted.sum()),
            "recall_micro": (hits.sum(), true.sum() + unseen),
        }
        figures = {"subset_accuracy": exact / total, "log_loss": surprise / (total * self.labels)}
        for name, (part, whole) in found.items():
            if whole > 0:
                figures[name] = float(part / whole)
            else:
                self.notes[name] = "no row has a label in the truth, or none is predicted"
        there = (true + predicted) > 0
        if there.any():
            figures["f1_macro"] = float(ratio(2 * hits, true + predicted)[there].mean())
        else:
            self.notes["f1_macro"] = "no row has a label in the truth, and none is predicted"
        return self.spoilt.shown(figures, self.notes)
