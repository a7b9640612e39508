"""A report from a model's answers and the truth in a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import polars as pl

from ranvier.columns.number import Number
from ranvier.core.column import Column
from ranvier.core.plan import Plan
from ranvier.evaluate.score import Report, TargetReport, score
from ranvier.model.layout import weights


def judge(
    plan: Plan,
    columns: Mapping[str, Column],
    frame: pl.DataFrame,
    answers: Mapping[str, Mapping[str, np.ndarray]],
    on: Literal["test", "validation", "training"],
    notes: list[str],
) -> Report:
    """Figures of every target on the frame's rows; numbers in raw units. Raises DataError.

    notes: what is known of the rows already; the report gets them with what the targets have to say.
    """
    weight = weights(plan, frame, notes)
    targets = {name: _one(columns[name], frame[name], answers[name], weight, notes) for name in plan.targets}
    return Report(targets, on, list(dict.fromkeys(notes)))


def _one(
    column: Column, truth: pl.Series, answer: Mapping[str, np.ndarray], weight: np.ndarray | None, notes: list[str]
) -> TargetReport:
    encoded = column.encode(truth)
    notes += encoded.notes
    given: dict[str, Any] = {"observed": encoded.observed, "weight": weight}
    assert column.spec is not None
    if isinstance(column, Number):
        raw = np.where(encoded.observed, column.values(truth), 0.0)
        value = column.decode({"value": answer["value"]})[column.name].to_numpy()
        return score("number", {"value": value}, raw, **given)
    given["labels"] = getattr(column, "labels", [])
    if column.spec.kind == "index":
        return score("category", answer, encoded.data, **given)
    known, unseen = encoded.data[:, : column.spec.size], encoded.data[:, column.spec.size]
    return score("set", answer, known, unseen=unseen, threshold=column.spec.threshold, **given)
