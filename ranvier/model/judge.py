"""A report from a model's answers and the truth in a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.number import Number
from ranvier.core.column import Column
from ranvier.core.plan import Plan
from ranvier.core.spec import Encoded
from ranvier.evaluate.score import Report, Rows, TargetReport, score
from ranvier.model.layout import weights


def judge(
    plan: Plan,
    columns: Mapping[str, Column],
    frame: pl.DataFrame,
    answers: Mapping[str, Mapping[str, np.ndarray]],
    on: Rows,
    notes: list[str],
    truths: Mapping[str, Encoded] | None = None,
) -> Report:
    """Figures of every target on the frame's rows; numbers in raw units. Raises DataError.

    notes: what is known of the rows already; the report gets them with what the targets have to say. truths: the
    targets as they are to be understood, where that is not how `columns` encode them.
    """
    weight = weights(plan, frame, notes)
    truths = truths or {name: columns[name].encode(frame[name]) for name in plan.targets}
    targets = {n: _one(columns[n], frame[n], truths[n], answers[n], weight) for n in plan.targets}
    notes += [note for truth in truths.values() for note in truth.notes]
    return Report(targets, on, list(dict.fromkeys(notes)))


def _one(
    column: Column, truth: pl.Series, encoded: Encoded, answer: Mapping[str, np.ndarray], weight: np.ndarray | None
) -> TargetReport:
    given: dict[str, Any] = {"observed": encoded.observed, "weight": weight}
    assert column.spec is not None
    if isinstance(column, Number):
        raw = np.where(encoded.observed, column.values(truth), 0.0)
        said = {key: column.decode({"value": part})[column.name].to_numpy() for key, part in answer.items()}
        return score("number", said, raw, **given)
    given["labels"] = getattr(column, "labels", [])
    if column.spec.kind == "index":
        return score("category", answer, encoded.data, **given)
    known, unseen = encoded.data[:, : column.spec.size], encoded.data[:, column.spec.size]
    return score("set", answer, known, unseen=unseen, threshold=column.spec.threshold, **given)
