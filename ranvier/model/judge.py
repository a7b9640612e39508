"""A report from a model's answers and the truth in a frame, a piece of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.identity import Identity
from ranvier.columns.image import Image
from ranvier.columns.number import Number
from ranvier.columns.span import Span, cut
from ranvier.columns.text import Text
from ranvier.columns.vector import Vector
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.core.plan import Plan
from ranvier.core.spec import Encoded
from ranvier.evaluate.answered import SpanScores
from ranvier.evaluate.drawn import DrawnScores
from ranvier.evaluate.pretrained import SquareScores, ViewScores
from ranvier.evaluate.restored import MaskedScores
from ranvier.evaluate.score import Report, Rows, Scores
from ranvier.evaluate.verified import IdentityScores
from ranvier.evaluate.written import TextScores
from ranvier.model.network import Answer, Answers
from ranvier.model.shared import in_raw_units

AnyScores = Scores | TextScores | MaskedScores | SpanScores | DrawnScores | IdentityScores | ViewScores | SquareScores
OWN: dict[str, Any] = {
    "masked": MaskedScores,
    "contrastive": ViewScores,
    "squares": SquareScores,
}  # heads of columns learnt by itself


class Judge:
    """Figures of every target over rows that come a piece at a time, numbers and vectors in raw units; keeps no row.

    columns: by name, having learnt. weight: of all rows that will come, in their order; None = 1 each.
    """

    def __init__(self, plan: Plan, columns: Mapping[str, Column], weight: np.ndarray | None) -> None:
        self.columns = {name: columns[name] for name in plan.targets}
        self.passages = {name: target.head.get("of", "") for name, target in plan.targets.items()}
        drawn = {name for name, head in plan.heads().items() if head.draws}
        self.scores: dict[str, AnyScores] = {
            n: OWN[plan.targets[n].head["name"]]()
            if plan.targets[n].head["name"] in OWN
            else DrawnScores()
            if n in drawn
            else _scores(column)
            for n, column in self.columns.items()
        }
        self.weight = weight
        self.rows = 0

    def add(self, frame: pl.DataFrame, answers: Answers, truths: Mapping[str, Encoded]) -> None:
        """Adds the next rows. answers: what is said of them. truths: their targets, as they are to be understood."""
        stop = self.rows + frame.height
        weight = None if self.weight is None else self.weight[self.rows : stop]
        self.rows = stop
        for name, column in self.columns.items():
            raw = frame[self.passages[name] if isinstance(column, Span) else name]
            _add(self.scores[name], column, raw, truths[name], answers[name], weight)

    def report(self, on: Rows, notes: list[str]) -> Report:
        """The report on all rows so far, each note once. Raises DataError if no row has a truth and weight."""
        try:
            targets = {name: scores.report() for name, scores in self.scores.items()}
        except DataError as error:  # what was found of the rows is why
            raise DataError("; ".join([str(error), *dict.fromkeys(notes)])) from None
        return Report(targets, on, list(dict.fromkeys(notes)))


def _scores(column: Column) -> Scores | TextScores | SpanScores | IdentityScores:
    assert column.spec is not None
    if isinstance(column, Identity):
        return IdentityScores(column.spec.size)
    if isinstance(column, Span):
        return SpanScores()
    if isinstance(column, Text):
        return TextScores()
    if isinstance(column, Number | Vector):
        return Scores("number" if isinstance(column, Number) else "vector")
    if isinstance(column, Image):
        return Scores("image")
    labels = column.spec.labels or getattr(column, "labels", [])
    if column.spec.kind == "tags":
        return Scores("tags", labels)
    if column.spec.kind in ("mask", "boxes"):
        return Scores("mask" if column.spec.kind == "mask" else "boxes", labels)
    return Scores("category", labels) if column.spec.kind == "index" else Scores("set", labels, column.spec.threshold)


def _add(
    scores: AnyScores,
    column: Column,
    raw: pl.Series,
    truth: Encoded,
    answer: Answer,
    weight: np.ndarray | None,
) -> None:
    """raw: the target's values; of answers within a text, that text."""
    given: dict[str, Any] = {"observed": truth.observed, "weight": weight}
    if isinstance(scores, SpanScores):
        answers = cut(raw, truth.data[:, 0], truth.data[:, 1])
        scores.add(answer["text"].tolist(), answers.tolist(), answer["confidence"], **given)
    elif isinstance(scores, IdentityScores):
        scores.add(answer["vector"], truth.data, **given)
    elif isinstance(scores, DrawnScores | ViewScores | SquareScores):
        scores.add(answer, **given)
    elif isinstance(scores, MaskedScores):
        scores.add(answer["nats"], answer["count"], answer["right"], **given)
    elif isinstance(scores, TextScores):
        assert isinstance(column, Text)
        said = column.decode(answer)[column.name].to_list() if "tokens" in answer else None
        true = raw.cast(pl.String).fill_null("").to_list()
        scores.add(answer["nats"], answer["count"], column.texts(truth), true, said, **given)
    elif isinstance(column, Number):
        values = np.where(truth.observed, column.values(raw), 0.0)
        scores.add({key: in_raw_units(part, column) for key, part in answer.items()}, values, **given)
    elif scores.kind in ("image", "mask"):
        scores.add(answer, truth.data, **given)
    elif scores.kind == "vector":
        scores.add({"value": in_raw_units(answer["value"], column)}, in_raw_units(truth.data, column), **given)
    elif scores.kind == "category":
        scores.add(answer, truth.data, **given)
    elif scores.kind in ("tags", "boxes"):
        padded, mask = truth.padded()
        scores.add(answer, padded, mask=mask, **given)
    else:
        size = len(scores.labels)
        scores.add(answer, truth.data[:, :size], unseen=truth.data[:, size], **given)
