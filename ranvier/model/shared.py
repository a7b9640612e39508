"""What several networks say of one target, in common words: the same classes in the same order, values in raw units.

Each network's columns have learnt from other rows, so that one may know a class that another does not, and scale
numbers differently. Classes and labels are brought together by name, where a network gives 0 to what it never saw.
Numbers and vectors are averaged in raw units: the figures are in these, and by Jensen's inequality the mean of several
numbers is then never further from the truth, absolute or squared, than they are on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.category import in_natural_order
from ranvier.core.column import Column
from ranvier.core.plan import Plan
from ranvier.core.spec import Encoded
from ranvier.model.network import Answer, Answers
from ranvier.planning.choose import make_columns

NAMED = ("index", "khot")  # kinds whose columns have labels
SCALED = ("scalar", "vector")  # kinds whose columns have a scale of their own


def shared_columns(plan: Plan, each: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """The columns of the first network, its targets knowing the labels of all networks."""
    return {name: _shared([columns[name] for columns in each], plan) for name in each[0]}


def _shared(columns: list[Column], plan: Plan) -> Column:
    first = columns[0]
    if first.name not in plan.targets or _kind(first) not in NAMED or all(_same(first, one) for one in columns):
        return first
    made = make_columns(plan)[first.name]
    labels = in_natural_order(list(dict.fromkeys(label for column in columns for label in _labels(column))))
    made.load_state({**first.state(), "labels": labels})
    made.raw = first.raw
    return made


def to_shared(answers: Answers, own: Mapping[str, Column], shared: Mapping[str, Column]) -> Answers:
    """What a network with columns `own` says, as one with the shared columns would say it."""
    return {name: _moved(answer, own[name], shared[name]) for name, answer in answers.items()}


def _moved(answer: Answer, own: Column, shared: Column) -> Answer:
    if _same(own, shared):
        return answer
    if _kind(own) in SCALED:
        return {key: _scaled(in_raw_units(values, own), shared) for key, values in answer.items()}
    places = _places(own, shared)
    wide = np.zeros((len(answer["probs"]), len(_labels(shared))), np.float32)
    wide[:, places] = answer["probs"]
    return {"probs": wide}


def encoded(values: pl.Series, own: Column, shared: Column) -> Encoded:
    """A target's values as `shared` encodes them, but for classes that `own` never saw: these are unseen."""
    if _kind(own) in SCALED or _same(own, shared):
        return shared.encode(values)
    truth = own.encode(values)
    places, size = _places(own, shared), len(_labels(shared))
    if _kind(own) == "index":
        return Encoded(np.append(places, size)[truth.data], truth.observed, notes=truth.notes)
    wide = np.zeros((len(truth), size + 1), truth.data.dtype)
    wide[:, np.append(places, size)] = truth.data
    return Encoded(wide, truth.observed, notes=truth.notes)


def mean(answers: Sequence[Answers], shared: Mapping[str, Column]) -> Answers:
    """The mean of several networks' answers, each in shared words: of probabilities, and of values in raw units."""
    if len(answers) == 1:
        return answers[0]
    return {
        name: {key: _mean([one[name][key] for one in answers], shared[name]) for key in named}
        for name, named in answers[0].items()
    }


def _mean(values: list[np.ndarray], shared: Column) -> np.ndarray:
    if _kind(shared) in SCALED:
        return _scaled(np.stack([in_raw_units(one, shared) for one in values]).mean(0), shared)
    return np.stack(values).mean(0, dtype=np.float64).astype(np.float32)


def in_raw_units(scaled: np.ndarray, column: Column) -> np.ndarray:
    """What is said of a number or vector in raw units; not-a-number where not finite, which decoding might hide."""
    return np.where(np.isfinite(scaled), column.decode({"value": scaled})[column.name].to_numpy(), np.nan)


def _scaled(values: np.ndarray, column: Column) -> np.ndarray:
    """The inverse of `in_raw_units`; the column itself would take what is not finite for missing, and give 0."""
    data = column.encode(pl.Series(column.name, values)).data
    return np.where(np.isfinite(values), data[:, 0] if _kind(column) == "scalar" else data, np.float32(np.nan))


def _places(own: Column, shared: Column) -> np.ndarray:
    """(own labels,) where each stands among the shared ones."""
    place = {label: number for number, label in enumerate(_labels(shared))}
    return np.array([place[label] for label in _labels(own)], np.int64)


def _same(one: Column, other: Column) -> bool:
    """Whether what a network says of the one may be read as of the other."""
    return one is other or (_kind(one) in NAMED and _labels(one) == _labels(other))


def _labels(column: Column) -> list[Any]:
    labels: list[Any] = getattr(column, "labels", [])
    return labels


def _kind(column: Column) -> str:
    assert column.spec is not None
    return column.spec.kind
