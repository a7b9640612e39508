"""Metrics as streaming sums: `update` with batches, `compute` the figures. Shapes: B rows, C classes or labels.

Sums are float64 and stay on the device of the predictions, so that updating does not wait for it. Rows of weight 0
and rows whose truth is missing (`y.observed`) count nowhere. A figure that the data leave undefined is not among
those computed, and `notes` then says why; a figure is never not-a-number unless a prediction is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ranvier.core.protocols import Value
from ranvier.ops.ranking import area_under_precision, area_under_roc, cumulated

EPSILON = torch.finfo(torch.float32).eps  # probabilities are clipped by it before the logarithm
KEPT = 2**26  # at most so many scores (256 MB) are kept for the areas under curves


class Classification:
    """Figures of a predicted category, from {"probs": (B, C)} and class numbers (B,).

    accuracy, balanced_accuracy (mean recall of the classes in the truth), precision_macro, recall_macro, f1_macro
    (mean over the classes in the truth or among the predictions, 0 where undefined), roc_auc, average_precision,
    log_loss (nats). With two classes the second one, number 1, is the positive class: precision_positive,
    recall_positive and f1_positive are its own, and roc_auc and average_precision rank by its probability. With more,
    these two are means of one class against the rest, over the classes for which they are defined.

    A class number >= C is a value not seen in training. Such rows are wrong: they count in accuracy, and in the
    macro figures as one more class that is never right; they have no probability, so that log_loss and the areas
    leave them out. Definitions as in scikit-learn, the predicted class being the first of the most probable ones.
    """

    def __init__(self, classes: int, kept: int = KEPT) -> None:
        """classes: C >= 1. kept: if N * C scores (N for two classes) pass it, the areas under curves are left out."""
        self.classes, self.kept = classes, kept
        self.notes: dict[str, str] = {}
        self._confusion: Tensor | None = None
        self._surprise: Tensor | None = None
        self._scores: list[tuple[Tensor, Tensor, Tensor]] | None = []
        self._held = 0

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: probs (B, C), y.data (B,), weight (B,) or None for ones."""
        probs = prediction["probs"].detach().float()
        truth = y.data.long().clamp(0, self.classes)
        amount = _amount(y, weight, probs.device)
        if self._confusion is None or self._surprise is None:
            self._confusion = amount.new_zeros((self.classes + 1) * self.classes)
            self._surprise = amount.new_zeros(())
        self._confusion.index_add_(0, truth * self.classes + probs.argmax(1), amount)
        seen = truth < self.classes
        hit = probs.gather(1, truth.clamp_max(self.classes - 1)[:, None])[:, 0].double()
        surprise = -hit.clamp(EPSILON, 1 - EPSILON).log()
        self._surprise += (surprise * torch.where(seen, amount, 0.0)).sum()
        self._keep(probs, truth, amount)

    def _keep(self, probs: Tensor, truth: Tensor, amount: Tensor) -> None:
        if self._scores is None or self.classes < 2:
            return
        scores = probs[:, 1:] if self.classes == 2 else probs
        self._held += scores.numel()
        if self._held > self.kept:
            self._scores = None
        else:
            self._scores.append((scores.clone(), truth, amount.clone()))  # callers may reuse their buffers

    def confusion(self) -> Float[Tensor, "truth predicted"]:
        """(C + 1, C) weights, float64 on the CPU: rows are the truth, the last row the values not seen in training."""
        if self._confusion is None:
            return torch.zeros(self.classes + 1, self.classes, dtype=torch.float64)
        return self._confusion.cpu().view(self.classes + 1, self.classes)

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        confusion = self.confusion()
        if not confusion.sum() > 0:
            self.notes["all"] = "no row has a known truth and weight"
            return {}
        right = torch.cat([confusion.diagonal(), confusion.new_zeros(1)])
        true = confusion.sum(1)
        predicted = torch.cat([confusion.sum(0), confusion.new_zeros(1)])
        precision, recall, f1 = _ratio(right, predicted), _ratio(right, true), _ratio(2 * right, true + predicted)
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
        seen = true[:-1].sum()
        if seen > 0 and self._surprise is not None:
            figures["log_loss"] = self._surprise.cpu() / seen
        else:
            self.notes["log_loss"] = "every true value is one not seen in training, and has no probability"
        return {name: float(figure) for name, figure in figures.items()} | self._areas()

    def _areas(self) -> dict[str, float]:
        why = ""
        if self._scores is None:
            why = f"{self._held:,} scores or more would have to be kept, over the limit of {self.kept:,}"
        elif self.classes < 2:
            why = "there is only one class"
        if why or not self._scores:
            self.notes |= {"roc_auc": why, "average_precision": why}
            return {}
        scores, truth, amount = (torch.cat(part).cpu() for part in zip(*self._scores, strict=True))
        rows = (amount > 0) & (truth < self.classes)
        columns, truth, amount = scores[rows].T.contiguous(), truth[rows], amount[rows]
        classes = [1] if self.classes == 2 else list(range(self.classes))
        rocs, precisions = [], []
        for column, code in zip(columns, classes, strict=True):
            positive = truth == code
            if not positive.any():
                continue
            true, false = cumulated(column, positive, amount)  # sorted once, for sorting is all the cost
            precisions.append(area_under_precision(true, false))
            if not positive.all():
                rocs.append(area_under_roc(true, false))
        return self._mean("roc_auc", rocs, len(classes)) | self._mean("average_precision", precisions, len(classes))

    def _mean(self, name: str, areas: list[Tensor], classes: int) -> dict[str, float]:
        if not areas:
            self.notes[name] = "the truth holds rows of one class only"
            return {}
        if len(areas) < classes:
            self.notes[name] = f"mean over {len(areas)} of {classes} classes, for the others have no rows in the truth"
        return {name: float(torch.stack(areas).mean())}


class Regression:
    """Figures of a predicted number, from {"value": (B,)} and (B,), or (B, 2) with the value at [:, 0].

    mae and rmse are in the unit of what is given (a head's is the scaled one), r2 = 1 - sum w (y - p)^2 / sum w
    (y - mean)^2 has none. The spread of y is summed as deviations from the running mean and batches are joined by
    their means (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115), so that large offsets lose nothing.
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self._sums: Tensor | None = None  # weight, mean of y, spread of y, absolute errors, squared errors

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: value (B,), y.data (B,) or (B, 2), weight (B,) or None for ones."""
        value = prediction["value"].detach().double()
        amount = _amount(y, weight, value.device)
        truth = (y.data if y.data.ndim == 1 else y.data[:, 0]).double()
        truth = torch.where(amount > 0, truth, 0.0)  # a missing truth may be not-a-number
        error = torch.where(amount > 0, value - truth, 0.0)
        total = amount.sum()
        mean = (amount * truth).sum() / total.clamp_min(torch.finfo(torch.float64).tiny)
        spread = (amount * (truth - mean).square()).sum()
        errors = (amount * error.abs()).sum(), (amount * error.square()).sum()
        if self._sums is None:
            self._sums = amount.new_zeros(5)
        self._sums = _joined(self._sums, torch.stack([total, mean, spread, *errors]))

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        total, _, spread, absolute, squared = [0.0] * 5 if self._sums is None else self._sums.tolist()
        if not total > 0:
            self.notes["all"] = "no row has a known truth and weight"
            return {}
        figures = {"mae": absolute / total, "rmse": (squared / total) ** 0.5}
        if spread > 0:
            figures["r2"] = 1 - squared / spread
        else:
            self.notes["r2"] = "the truth does not vary"
        return figures


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
        self._counts: Tensor | None = None  # (3, C): hits, true, predicted
        self._rows: Tensor | None = None  # weight, of it rows all right, surprise

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: probs (B, C), y.data (B, C), weight (B,) or None for ones.

        y.data may have one more column than probs: how many of the row's true labels were not seen in training.
        They count as not found: in recall_micro, f1_micro and subset_accuracy, but not in f1_macro and log_loss.
        """
        probs = prediction["probs"].detach().double()
        amount = _amount(y, weight, probs.device)
        truth, unseen = y.data[:, : self.labels] > 0, y.data[:, self.labels :].double().sum(1)
        guess = prediction["probs"] >= self.threshold  # in its own precision, as the column that decodes it compares
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
            self.notes["all"] = "no row has a known truth and weight"
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
            figures["f1_macro"] = float(_ratio(2 * hits, true + predicted)[there].mean())
        else:
            self.notes["f1_macro"] = "no row has a label in the truth, and none is predicted"
        return figures


def _amount(y: Value, weight: Tensor | None, device: torch.device) -> Tensor:
    """Each row's weight, 0 where the truth is missing: (B,) float64."""
    rows = len(y.data)
    amount = torch.ones(rows, dtype=torch.float64, device=device) if weight is None else weight.double()
    return amount if y.observed is None else torch.where(y.observed, amount, 0.0)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where whole is 0."""
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1.0), 0.0)


def _joined(a: Tensor, b: Tensor) -> Tensor:
    """The sums of two sets of rows as those of both."""
    total = a[0] + b[0]
    share = b[0] / total.clamp_min(torch.finfo(torch.float64).tiny)
    apart = b[1] - a[1]
    mean = a[1] + share * apart
    spread = a[2] + b[2] + apart.square() * a[0] * share
    return torch.stack([total, mean, spread, a[3] + b[3], a[4] + b[4]])
