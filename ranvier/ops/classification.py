"""Figures of a predicted category."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ranvier.core.protocols import Value
from ranvier.ops.curves import KEPT, Curves
from ranvier.ops.streams import EPSILON, NO_ROWS, Spoilt, amounts, ratio

TOP = 5  # the guesses of top5_accuracy
BINS = 15  # of confidence (Guo et al. 2017, table 1)


class Classification:
    """Figures of a predicted category, from {"probs": (B, C)} and class numbers (B,).

    accuracy, balanced_accuracy (mean recall of the classes in the truth), precision_macro, recall_macro, f1_macro
    (mean over the classes in the truth or among the predictions, 0 where undefined), roc_auc, average_precision,
    log_loss (nats). With two classes the second one, number 1, is the positive class: precision_positive,
    recall_positive and f1_positive are its own, and roc_auc and average_precision rank by its probability. With more,
    these two are means of one class against the rest, over the classes for which they are defined.

    top5_accuracy, for more than five classes: the truth is among the five most probable ones.
    mcc: Matthews' correlation of truth and prediction, (c s - sum_k t_k p_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum
    t_k^2)) with c right of s rows, t_k true and p_k predicted of class k (Gorodkin 2004,
    doi:10.1016/j.compbiolchem.2004.09.006).
    calibration_error: sum_b (n_b / n) |accuracy_b - confidence_b| over 15 bins of equal width of the highest
    probability (the expected calibration error of Guo et al. 2017, arXiv:1706.04599, equation 3).
    brier_score: mean of sum_c (p_c - [c is true])^2, and with two classes half of it, which is (p_1 - [1 is true])^2
    (Brier 1950; scaled as in scikit-learn).

    A class number >= C is a value not seen in training. Such rows are wrong: they count in the accuracies, the
    calibration and mcc, and in the macro figures as one more class that is never right; they have no probability, so
    that log_loss, brier_score and the areas leave them out. Definitions as in scikit-learn, the predicted class being
    the first of the most probable ones. Areas beyond `kept` scores come from histograms (`ops.curves`), and a note says
    how far off they are at most. Memory: C^2 sums, those, and one batch.
    """

    def __init__(self, classes: int, kept: int = KEPT) -> None:
        """classes: C >= 1. kept: scores (N * C, N for two classes) up to which areas are exact."""
        self.classes = classes
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._curves = Curves(1 if classes == 2 else classes, kept)
        self._confusion: Tensor | None = None
        self._sums: Tensor | None = None  # weight of rows seen in training, their surprise and Brier score; top 5
        self._bins: Tensor | None = None  # (15 * 2,): confidence and right rows

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: probs (B, C), y.data (B,), weight (B,) or None for ones."""
        amount = amounts(y, weight, prediction["probs"].device)
        probs = self.spoilt.add({"probs": prediction["probs"].float()}, amount)["probs"]
        truth = y.data.long().clamp(0, self.classes)
        if self._confusion is None or self._sums is None or self._bins is None:
            self._confusion = amount.new_zeros((self.classes + 1) * self.classes)
            self._sums, self._bins = amount.new_zeros(4), amount.new_zeros(2 * BINS)
        confidence, guess = probs.max(1)
        self._confusion.index_add_(0, truth * self.classes + guess, amount)
        seen = truth < self.classes
        own = truth.clamp_max(self.classes - 1)[:, None]
        hit = probs.gather(1, own)
        known = torch.where(seen, amount, 0.0)
        surprise = -hit[:, 0].double().clamp(EPSILON, 1 - EPSILON).log()
        brier = probs.scatter(1, own, hit - 1).square().sum(1)
        top = self._placed(probs, hit, own)
        self._sums += torch.stack([known.sum(), surprise @ known, brier.double() @ known, top @ known])
        bin_ = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
        self._bins.index_add_(0, bin_, amount * confidence)
        self._bins.index_add_(0, bin_ + BINS, amount * (seen & (guess == truth)))
        if self.classes == 2:
            self._curves.add(probs[:, 1:], torch.where(seen, truth - 1, -1), known)
        elif self.classes > 2:
            self._curves.add(probs, torch.where(seen, truth, -1), known)

    def _placed(self, probs: Tensor, hit: Tensor, own: Tensor) -> Tensor:
        """(B,) 1 where fewer than five classes are more probable than the truth, the first of equals leading."""
        if self.classes <= TOP:
            return torch.ones(len(probs), dtype=torch.float64, device=probs.device)
        first = torch.arange(self.classes, device=probs.device) < own
        ahead = (probs > hit) | ((probs == hit) & first)
        return (ahead.sum(1) < TOP).double()

    def confusion(self) -> Float[Tensor, "truth predicted"]:
        """(C + 1, C) weights, float64 on the CPU: rows are the truth, the last row the values not seen in training."""
        if self._confusion is None:
            return torch.zeros(self.classes + 1, self.classes, dtype=torch.float64)
        return self._confusion.cpu().view(self.classes + 1, self.classes)

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        confusion = self.confusion()
        if not confusion.sum() > 0 or self._sums is None or self._bins is None:
            self.notes["all"] = NO_ROWS
            return {}
        right = torch.cat([confusion.diagonal(), confusion.new_zeros(1)])
        true = confusion.sum(1)
        predicted = torch.cat([confusion.sum(0), confusion.new_zeros(1)])
        precision, recall, f1 = ratio(right, predicted), ratio(right, true), ratio(2 * right, true + predicted)
        there = (true > 0) | (predicted > 0)
        figures = {
            "accuracy": right.sum() / true.sum(),
            "balanced_accuracy": recall[true > 0].mean(),
            "precision_macro": precision[there].mean(),
            "recall_macro": recall[there].mean(),
            "f1_macro": f1[there].mean(),
        }
        if self.classes == 2:
            figures |= {"precision_positive": precision[1], "recall_positive": recall[1], "f1_positive": f1[1]}
        figures |= self._correlation(right, true, predicted)
        seen, surprise, brier, top = self._sums.cpu()
        if self.classes > TOP:
            figures["top5_accuracy"] = top / true.sum()
        confident, correct = self._bins.cpu().view(2, BINS)
        figures["calibration_error"] = (confident - correct).abs().sum() / true.sum()
        if seen > 0:
            figures |= {"log_loss": surprise / seen, "brier_score": brier / seen / (2 if self.classes == 2 else 1)}
        else:
            why = "every true value is one not seen in training, and has no probability"
            self.notes |= dict.fromkeys(("log_loss", "brier_score", "roc_auc", "average_precision"), why)
        areas = self._areas() if seen > 0 else {}
        return self.spoilt.shown({name: float(figure) for name, figure in figures.items()} | areas, self.notes)

    def _correlation(self, right: Tensor, true: Tensor, predicted: Tensor) -> dict[str, Tensor]:
        total = true.sum()
        spread = (total**2 - predicted @ predicted) * (total**2 - true @ true)
        if not spread > 0:
            self.notes["mcc"] = "the truth, or what is predicted, is of one class only"
            return {}
        return {"mcc": (right.sum() * total - true @ predicted) / spread.sqrt()}

    def _areas(self) -> dict[str, float]:
        found = self._curves.areas()
        if found is None or self.classes < 2:
            self.notes |= dict.fromkeys(("roc_auc", "average_precision"), "there is only one class")
            return {}
        return self._mean("roc_auc", found.roc, found.roc_error) | self._mean(
            "average_precision", found.precision, found.precision_error
        )

    def _mean(self, name: str, areas: Tensor, errors: Tensor) -> dict[str, float]:
        defined = ~areas.isnan()
        if not defined.any():
            self.notes[name] = "the truth holds rows of one class only"
            return {}
        notes = []
        if not defined.all():
            count = int(defined.sum())
            notes.append(f"mean over {count} of {len(areas)} classes, for the others have no rows in the truth")
        if not self._curves.exact:
            off = _rounded_up(float(errors[defined].mean()))
            notes.append(f"from {self._curves.held:,} scores counted in bins, and at most {off:.1g} off")
        if notes:
            self.notes[name] = "; ".join(notes)
        return {name: float(areas[defined].mean())}


def _rounded_up(x: float) -> float:
    """To one digit."""
    unit = 10.0 ** math.floor(math.log10(x)) if x > 0 else 1.0
    return math.ceil(x / unit) * unit
