"""What parts may know of a run when they choose: its `Facts`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import torch

from ranvier.core.device import pick_device
from ranvier.core.facts import Facts
from ranvier.core.plan import Plan
from ranvier.core.spec import Spec

OUTCOMES = {
    "index": "classes",
    "scalar": "numbers",
    "tokens": "texts",
    "span": "answers",
    "pixels": "pictures",
    "mask": "masks",
    "boxes": "boxes",
}  # kind of all targets -> what they are


def facts_of(
    plan: Plan, specs: Mapping[str, Spec], rows: int, lengths: Mapping[str, np.ndarray], sample: pl.DataFrame
) -> Facts:
    """What is known before anything is chosen; lengths: of ragged columns' rows, sample: training rows."""
    kinds = {specs[name].kind for name in plan.targets}
    outcome = OUTCOMES.get(next(iter(kinds)), "mixed") if len(kinds) == 1 else "mixed"
    return Facts(
        rows=rows,
        size=plan.size,
        device=device_of(plan).type,
        inputs=len(plan.inputs),
        outputs=len(plan.targets),
        length=max((int(np.percentile(each, 95)) for each in lengths.values()), default=0),
        longest=max((int(lengths[name].max()) for name in plan.targets if name in lengths), default=0),
        seconds=plan.train.time / max(1, plan.data.folds) or None,
        outcome=outcome,
        places=bool(kinds & {"mask", "boxes"}),
        units={name: specs[name].unit for name in plan.inputs},
        characters={name: _characters(sample[name]) for name in plan.inputs if _is_text(specs[name])},
    )


def _is_text(spec: Spec) -> bool:
    return spec.kind == "tokens" and spec.unit == "char"


def _characters(texts: pl.Series) -> int:
    """The 95th percentile of the texts' lengths."""
    return int(texts.cast(pl.String).str.len_chars().quantile(0.95) or 0)


def device_of(plan: Plan) -> torch.device:
    """The device that the plan asks for. Raises PlanError if it is not here."""
    return pick_device(plan.train.device)
