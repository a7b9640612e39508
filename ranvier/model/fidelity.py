"""How near drawn rows are to true ones, by the vectors that a model makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ranvier.core.errors import DataError, PlanError
from ranvier.model.model import Model
from ranvier.ops.fidelity import frechet_distance, precision_recall

NEIGHBOURS = 3  # as in the paper on precision and recall


def fidelity(true: Any, drawn: Any, by: Model) -> dict[str, float | str]:
    """How near drawn rows are to true ones: {"fid", "precision", "recall", "features"}.

    true, drawn: whatever `predict` takes, with the columns that `by` reads. by: a model, best one that tells classes of
    such rows apart; the vectors that it makes of them (`embed`) are the features, as "features" says. fid: the Fréchet
    distance of these (0 for alike, lower is better), which is no FID of Inception's features, and compares only with
    others by the same model and as many rows. precision, recall: by the 3 nearest neighbours. Sources and formulas:
    `ops.fidelity`. Raises DataError for a column that is not there, or too few rows; PlanError if `by` is no model, or
    makes no vectors.
    """
    if not isinstance(by, Model):
        raise PlanError(f"fidelity: by must be a model that reads these rows, got {type(by).__name__}; see rv.load")
    vectors = {name: _vectors(by, name, rows) for name, rows in (("true", true), ("drawn", drawn))}
    precision, recall = precision_recall(vectors["true"], vectors["drawn"], NEIGHBOURS)
    return {
        "fid": frechet_distance(vectors["true"], vectors["drawn"]),
        "precision": precision,
        "recall": recall,
        "features": f"vectors of {by!r}",
    }


def _vectors(by: Model, name: str, rows: Any) -> torch.Tensor:
    """(N, D) of rows. Raises DataError for no more rows than numbers, of which a covariance tells nothing."""
    vectors = by.embed(rows)
    if not np.isfinite(vectors).all():
        raise DataError(f"fidelity: the vectors of {name} rows are not all finite numbers")
    count, width = vectors.shape
    needed = max(width, NEIGHBOURS) + 1
    if count < needed:
        raise DataError(
            f"fidelity: {count:,} {name} rows are too few for vectors of {width:,} numbers, whose covariance needs "
            f"{needed:,} rows or more: take more rows, or a model with a narrower vector"
        )
    return torch.from_numpy(vectors)
