"""How strange rows are to a network, and which of them are anomalies beside rows that are clean."""

from __future__ import annotations

import numpy as np
import polars as pl

from ranvier.core import registry
from ranvier.core.errors import PlanError
from ranvier.core.rng import seed_of
from ranvier.data.table import Table
from ranvier.model.frames import told_chunks
from ranvier.model.network import Network

JUDGED = ("strangeness", "p", "anomaly")
KEPT = 2**16  # clean rows whose strangeness a model keeps; of more, some are drawn


def strangeness(network: Network, table: Table, notes: list[str]) -> np.ndarray:
    """(N,) how strange the rows' targets are to the network; not a number where one is missing, which notes tell."""
    notes += table.notes
    found = np.concatenate([network.strange(some, told) for some, told in told_chunks(table.frame, notes)])
    if missing := int(np.isnan(found).sum()):
        notes.append(f"{missing:,} of {len(found):,} rows lack a value that is to be judged: of these nothing is said")
    return found


def usual(network: Network, held: pl.DataFrame) -> np.ndarray:
    """(M,) how strange rows are that the network has not learnt from, ascending, for a model that restores or draws.

    None (M = 0) of a model that does neither: what it predicts says little of how strange rows are.
    """
    heads = [registry.lookup("head", target.head["name"]) for target in network.plan.targets.values()]
    if not network.task.fuse.narrows and not any(head.draws for head in heads):
        return np.zeros(0)
    found = strangeness(network, Table(held), [])
    found = found[~np.isnan(found)].astype(np.float64)
    if len(found) > KEPT:
        found = np.random.default_rng(seed_of(network.plan.train.seed, "usual")).choice(found, KEPT, replace=False)
    return np.sort(found)


def judged(found: np.ndarray, clean: np.ndarray, share: float) -> pl.DataFrame:
    """{"strangeness", "p", "anomaly"} of rows beside clean ones (M,), ascending; null where nothing is found.

    p is a conformal p-value: the share of clean rows at least as strange, the row itself among them. Raises PlanError
    for a share that is none, or that so few clean rows cannot tell.
    """
    if not 0 < share <= 1:
        raise PlanError(f"share = {share}: expected a share of the clean rows, above 0 and at most 1")
    if share * (len(clean) + 1) < 1:
        raise PlanError(f"share = {share}: {len(clean)} clean rows tell of {1 / (len(clean) + 1):.3g} at least")
    p = (len(clean) - np.searchsorted(clean, found) + 1) / (len(clean) + 1)
    told = pl.DataFrame(dict(zip(JUDGED, (found, p, p <= share), strict=True)))
    return told.with_columns(pl.when(pl.Series(~np.isnan(found))).then(pl.all()).name.keep())


def check(kept: np.ndarray) -> np.ndarray:
    """What `usual` gave, from a file. Raises ValueError for anything else."""
    if kept.dtype != np.float64 or kept.ndim != 1 or np.isnan(kept).any() or (np.diff(kept) < 0).any():
        raise ValueError("the strangeness of clean rows must be numbers in ascending order")
    return kept
