"""What parts may know of a run when they choose: its `Facts`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import torch

from ranvier.core.device import pick_device
from ranvier.core.facts import Facts
from ranvier.core.plan import Plan
from ranvier.core.spec import Encoded, Spec

OUTCOMES = {
    "index": "classes",
    "identity": "classes",
    "scalar": "numbers",
    "tokens": "texts",
    "span": "answers",
    "pixels": "pictures",
    "mask": "masks",
    "boxes": "boxes",
}  # kind of all targets -> what they are
SELDOM = 0.01  # of the texts
LONGEST_RUN = 16  # tokens


def facts_of(
    plan: Plan, specs: Mapping[str, Spec], rows: int, ragged: Mapping[str, Encoded], sample: pl.DataFrame
) -> Facts:
    """What is known before anything is chosen; ragged: columns of the sample, which is of training rows."""
    lengths = {name: np.diff(encoded.bounds) for name, encoded in ragged.items()}
    kinds = {specs[name].kind for name in plan.targets}
    told = kinds - {"boxes"} if "mask" in kinds else kinds  # masks say where boxes are, too
    outcome = OUTCOMES.get(next(iter(told)), "mixed") if len(told) == 1 else "mixed"
    return Facts(
        rows=rows,
        size=plan.size,
        device=device_of(plan).type,
        inputs=len(plan.inputs),
        outputs=len(plan.targets),
        length=max((int(np.percentile(each, 95)) for each in lengths.values()), default=0),
        longest=max((int(lengths[name].max()) for name in plan.targets if name in lengths), default=0),
        repeats=max((repeats(ragged[n], specs[n].size) for n in plan.targets if _is_written(specs[n])), default=0),
        seconds=plan.train.time / max(1, plan.data.folds) or None,
        outcome=outcome,
        places=bool(kinds & {"mask", "boxes"}),
        units={name: specs[name].unit for name in plan.inputs},
        characters={name: _characters(sample[name]) for name in plan.inputs if _is_text(specs[name])},
    )


def repeats(texts: Encoded, size: int) -> int:
    """The fewest tokens, two at least, of which hardly a text has a run twice; 0 where there are longer runs.

    size: of the vocabulary.
    """
    offsets = texts.bounds
    row = np.repeat(np.arange(len(texts)), np.diff(offsets))
    left = offsets[1:][row] - np.arange(len(row))  # tokens from each to the end of its text
    run = row  # a number for each run of n tokens of a text, by where it begins
    for n in range(1, LONGEST_RUN + 1):
        begins = np.flatnonzero(left >= n)
        _, code, count = np.unique(
            run[begins] * size + texts.data[begins + n - 1], return_inverse=True, return_counts=True
        )
        twice = np.unique(row[begins][count[code] > 1])
        if n > 1 and len(twice) <= SELDOM * len(texts):
            return n
        run = np.zeros_like(row)
        run[begins] = code
    return 0


def _is_written(spec: Spec) -> bool:
    """Whether it is a text, token by token, and not words, each of several letters."""
    return spec.kind == "tokens" and spec.unit != "word"


def _is_text(spec: Spec) -> bool:
    return spec.kind == "tokens" and spec.unit == "char"


def _characters(texts: pl.Series) -> int:
    """The 95th percentile of the texts' lengths."""
    return int(texts.cast(pl.String).str.len_chars().quantile(0.95) or 0)


def device_of(plan: Plan) -> torch.device:
    """The device that the plan asks for. Raises PlanError if it is not here."""
    return pick_device(plan.train.device)
