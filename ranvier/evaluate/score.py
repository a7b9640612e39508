"""From predictions and truth to a report: figures, confusion, and what was set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from ranvier.columns.mask import UNSEEN as UNSEEN_CLASS
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.html import card, lines
from ranvier.core.protocols import Value
from ranvier.evaluate.figures import headline
from ranvier.evaluate.notebook import target_html
from ranvier.evaluate.text import explained, target_text
from ranvier.ops.metrics import Classification, Detections, Masks, MultiLabel, Pictures, Regression, Tagging, Vectors

Kind = Literal[
    "category",
    "number",
    "set",
    "vector",
    "tags",
    "text",
    "masked",
    "span",
    "image",
    "mask",
    "boxes",
    "drawn",
    "identity",
    "views",
    "squares",
]
RAW = ("number", "vector", "image", "mask")  # kinds of which a value is predicted, and no probabilities
SAID: dict[str, str] = {
    "category": "probs",
    "number": "value",
    "set": "probs",
    "vector": "value",
    "tags": "tags",
    "image": "pixels",
    "mask": "classes",
    "boxes": "boxes",
}
Rows = Literal["test", "validation", "out of fold", "training"]
ROWS: dict[Rows, str] = {
    "test": "test",
    "validation": "validation (used for selection)",
    "out of fold": "out of fold (each row judged by a network that never saw it)",
    "training": "training (seen while learning)",
}


UNSEEN: dict[str, str] = {
    "category": "row|rows holds|hold a class that training never saw; it|they counts|count as wrong",
    "set": "label|labels in the truth was|were never seen in training; it|they counts|count as not found",
    "tags": "word|words has|have a label that training never saw; it|they counts|count as wrong",
    "mask": "mask|masks holds|hold classes that training never saw; its|their pixels count as wrong",
    "boxes": "box|boxes has|have a label that training never saw; map50_any alone counts it|them",
}


@dataclass(frozen=True)
class TargetReport:
    """The figures of one target column.

    kind: what was predicted. metrics: name -> figure, in raw units for numbers and vectors. rows: those scored.
    missing: rows set aside for want of a truth (or of weight). unseen: rows (for a set: labels) in the truth that
    training never saw; they count as wrong. labels: class names in order. confusion: truth by predicted, summed
    weights; one row more than there are labels if some truth was unseen. positive: the class that the `_positive`
    figures are of. notes: name -> why a figure is absent, or what it leaves out. Where the prediction of any row is
    infinite or not a number, all figures are not-a-number, a note says of how many rows, and there is no confusion.
    """

    kind: Kind
    metrics: dict[str, float]
    rows: int
    missing: int = 0
    unseen: int = 0
    labels: list[str] = field(default_factory=list)
    confusion: list[list[float]] = field(default_factory=list)
    positive: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> dict[str, float]:
        """The figures that a report begins with."""
        return {name: self.metrics[name] for name in headline(self.kind, self.metrics)}

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """The figures of a model on some rows: one `TargetReport` per target column.

    on: which rows: "test" were never used before, "validation" chose among weights or plans, "out of fold" were each
    held out from one network, which alone is asked of them, "training" were learnt.
    notes: what was repaired or not recognised in the rows.
    """

    targets: dict[str, TargetReport]
    on: Rows
    notes: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float]:
        """All figures: by their names for one target, as "column.name" for several."""
        return self._named({name: target.metrics for name, target in self.targets.items()})

    @property
    def headline(self) -> dict[str, float]:
        """The figures that the text begins with, named as in `metrics`."""
        return self._named({name: target.headline for name, target in self.targets.items()})

    def explain(self) -> str:
        """Every figure of every target with what it means, one a line."""
        return "\n\n".join(f"{name}\n{explained(target.to_dict())}" for name, target in self.targets.items())

    def _named(self, figures: dict[str, dict[str, float]]) -> dict[str, float]:
        if len(figures) == 1:
            return dict(next(iter(figures.values())))
        return {f"{name}.{key}": x for name, own in figures.items() for key, x in own.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON values: {"on", "label", "targets": {column: {...}}, "notes"}."""
        targets = {name: target.to_dict() for name, target in self.targets.items()}
        return {"on": self.on, "label": ROWS[self.on], "targets": targets, "notes": self.notes}

    def _repr_html_(self) -> str:
        """For notebooks: a table of figures with what they mean, the confusion at a click, and notes."""
        targets = [target_html(name, target.to_dict()) for name, target in self.targets.items()]
        return card(f"Figures: {ROWS[self.on]}", *targets, lines(f"note: {note}" for note in self.notes))

    def __str__(self) -> str:
        fair = " (a fair one, if training never saw these rows)" if self.on == "test" else ""
        parts = [f"figures: {ROWS[self.on]}{fair}"]
        parts += [target_text(name, target.to_dict()) for name, target in self.targets.items()]
        if self.notes:
            parts.append("\n".join(f"note: {note}" for note in self.notes))
        return "\n\n".join(parts)


class Metrics(dict[str, float]):
    """All figures of a report, named as in `Report.metrics`: a dict, and in notebooks the report itself."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.metrics)
        self._html = report._repr_html_()

    def _repr_html_(self) -> str:
        return self._html


def score(
    kind: Kind,
    prediction: Mapping[str, np.ndarray],
    truth: np.ndarray,
    *,
    labels: Sequence[Any] = (),
    observed: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    unseen: np.ndarray | None = None,
    threshold: float = 0.5,
) -> TargetReport:
    """The figures of one target over N rows.

    kind "category": prediction {"probs": (N, C)}, truth (N,) class numbers, where C or more is a class not seen in
    training. "number": prediction {"value": (N,)}, with any quantiles {"q10": (N,)} beside it, and truth (N,), all
    decoded to raw units. "vector": prediction {"value": (N, F)}, truth (N, F), in raw units too. "image": prediction
    {"pixels": (N, H, W, C)}, truth of the same shape, 0 to 255. "mask": prediction {"classes": (N, H, W)}, truth of the
    same shape, 255 where it is not known. "set": prediction {"probs": (N, C)}, truth (N, C) 0/1. For "tags" and
    "boxes" see `Scores`, for "text", "masked" and "span" `evaluate/written.py`, `evaluate/restored.py` and
    `evaluate/answered.py`. labels: the C names. observed: (N,) bool, False where the truth
    is missing. weight: (N,), ones if None. unseen: for a set, (N,) how many labels of the row training never saw.
    threshold: for a set, the probability from which on a label is predicted; that of the column. Raises DataError
    where the lengths differ or no row is left.
    """
    if kind not in RAW and not len(labels):
        labels = range(np.shape(prediction["probs"])[1])
    scores = Scores(kind, labels, threshold)
    scores.add(prediction, truth, observed=observed, weight=weight, unseen=unseen)
    return scores.report()


class Scores:
    """The figures of one target over rows that come a piece at a time; memory does not grow with them."""

    def __init__(self, kind: Kind, labels: Sequence[Any] = (), threshold: float = 0.5) -> None:
        """kind, threshold: see `score`. labels: the C names, for a number or vector none."""
        self.kind, self.labels = kind, [str(label) for label in labels]
        self.metrics = _metrics(kind, self.labels, threshold)
        self.rows = self.missing = self.unseen = 0
        self.weighted = False

    def add(
        self,
        prediction: Mapping[str, np.ndarray],
        truth: np.ndarray,
        *,
        observed: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        unseen: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> None:
        """Adds N rows, all as in `score`; mask: of tags and boxes, (N, T) where there is one. Raises DataError where
        lengths or shapes differ."""
        truth = np.asarray(truth)
        rows = _usable(np.asarray(prediction[SAID[self.kind]]), truth, observed, weight)
        self._check(prediction, truth)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.weighted |= weight is not None
        if not rows.any():
            return
        said = {key: _tensor(np.asarray(part)[rows]) for key, part in prediction.items()}
        there = None if mask is None else np.asarray(mask)[rows]
        known = self._known(truth[rows], None if unseen is None else np.asarray(unseen)[rows], there)
        amount = None if weight is None else _tensor(np.asarray(weight, np.float64)[rows])
        self.metrics.update(said, Value(_tensor(known), _tensor(there)), amount)

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a truth and weight."""
        if not self.rows:
            raise nothing_to_score(self.missing)
        figures = self.metrics.compute()
        notes = dict(self.metrics.notes)
        if self.unseen:
            notes["unseen"] = counted(self.unseen, UNSEEN[self.kind])
        positive = self.labels[1] if self.kind == "category" and len(self.labels) == 2 else ""
        return TargetReport(
            self.kind, figures, self.rows, self.missing, self.unseen, self.labels, self._confusion(), positive, notes
        )

    def _check(self, prediction: Mapping[str, np.ndarray], truth: np.ndarray) -> None:
        """Raises DataError for another number of classes than labels, and for a truth of another shape."""
        if self.kind in ("tags", "boxes"):
            return  # one may be longer than the other
        if self.kind in RAW:
            shape = np.shape(prediction[SAID[self.kind]])
            if self.kind != "number" and truth.shape != shape:
                raise DataError(f"the truth must be of the predictions' shape {shape}, got {truth.shape}")
            return
        shape = np.shape(prediction["probs"])
        if len(self.labels) != shape[1]:
            raise DataError(f"{len(self.labels)} labels were given for {shape[1]} predicted classes; give one for each")
        if self.kind == "set" and truth.shape != shape:
            raise DataError(f"a set's truth must be 0/1 of the predictions' shape {shape}, got {truth.shape}")

    def _known(self, truth: np.ndarray, unseen: np.ndarray | None, mask: np.ndarray | None) -> np.ndarray:
        """The truth as the metrics take it; what training never saw is counted."""
        if self.kind == "mask":
            self.unseen += int((truth == UNSEEN_CLASS).any((1, 2)).sum())
        if self.kind in RAW:
            return truth if self.kind in ("image", "mask") else truth.astype(np.float64)
        if self.kind in ("tags", "boxes"):
            assert mask is not None
            codes = truth if self.kind == "tags" else truth[..., 4]
            self.unseen += int(((codes >= len(self.labels)) & mask).sum())
            return truth.astype(np.int64) if self.kind == "tags" else truth
        if unseen is not None:
            truth = np.column_stack([truth, unseen])
        strange = truth >= len(self.labels) if self.kind == "category" else truth[:, len(self.labels) :]
        self.unseen += int(strange.sum())
        return truth

    def _confusion(self) -> list[list[float]]:
        if not isinstance(self.metrics, Classification) or self.metrics.spoilt.rows:
            return []
        confusion = self.metrics.confusion()
        table: list[list[float]] = (confusion if self.unseen else confusion[:-1]).tolist()
        return table if self.weighted else [[int(x) for x in row] for row in table]


def amounts(observed: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(N,) which rows have a truth and weight, and how much each counts: its weight, else 1, and 0 for all others."""
    rows = observed if weight is None else observed & (weight > 0)
    return rows, rows.astype(np.float64) if weight is None else np.where(rows, weight, 0.0)


def nothing_to_score(missing: int) -> DataError:
    """What is raised where none of so many rows counts."""
    return DataError(f"none of the {missing} rows has a truth (and weight) to score against; check the target column")


def _metrics(
    kind: Kind, labels: list[str], threshold: float
) -> Classification | MultiLabel | Regression | Vectors | Tagging | Pictures | Masks | Detections:
    if kind == "image":
        return Pictures()
    if kind == "mask":
        return Masks(labels)
    if kind in RAW:
        return Regression() if kind == "number" else Vectors()
    if kind in ("tags", "boxes"):
        return Tagging(labels) if kind == "tags" else Detections(labels)
    return Classification(len(labels)) if kind == "category" else MultiLabel(len(labels), threshold)


def _usable(answer: np.ndarray, truth: np.ndarray, observed: Any, weight: Any) -> np.ndarray:
    """(N,) bool: rows with a truth and weight. Raises DataError where lengths differ."""
    lengths = {len(part) for part in (answer, truth, observed, weight) if part is not None}
    if len(lengths) > 1:
        raise DataError(f"predictions, truth, observed and weight must have one entry per row, got lengths {lengths}")
    rows = np.ones(len(truth), bool) if observed is None else np.array(observed, bool)
    return rows if weight is None else rows & (np.asarray(weight) > 0)


def _tensor(array: Any) -> Any:
    return None if array is None else torch.from_numpy(np.ascontiguousarray(array))
