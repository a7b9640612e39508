"""How strange rows are to a network, and which of them are anomalies beside rows that are clean."""

from __future__ import annotations

import time
from decimal import ROUND_CEILING, Context

import numpy as np
import polars as pl

from ranvier.core.check import number
from ranvier.core.counts import agreed
from ranvier.core.errors import PlanError
from ranvier.core.rng import seed_of
from ranvier.data.table import Table
from ranvier.model.frames import told_chunks
from ranvier.model.held import HeldOut
from ranvier.model.network import BATCH, Network, chunks

JUDGED = ("strangeness", "p", "anomaly")
KEPT = 2**16  # clean rows whose strangeness a model keeps; of more, some are drawn


def strangeness(network: Network, table: Table, notes: list[str]) -> np.ndarray:
    """(N,) how strange the rows' targets are to the network; not a number where one is missing, which notes tell."""
    notes += table.notes
    found = np.concatenate([network.strange(some, told) for some, told in told_chunks(table.frame, notes)])
    if missing := int(np.isnan(found).sum()):
        notes.append(
            f"{missing:,} of {len(found):,} rows {agreed(missing, 'lacks|lack')} a value that is to be "
            "judged: of these nothing is said"
        )
    return found


def beside(
    network: Network, rows: Table, clean: Table | None, kept: np.ndarray, share: float, notes: list[str]
) -> pl.DataFrame:
    """What `judged` says of the rows beside clean ones, or None: beside those whose strangeness (M,) was kept.

    Raises PlanError where none were kept, and as `check_share`.
    """
    if clean is None and not len(kept):
        raise PlanError(
            "this model keeps no clean rows: none were held out from training, it neither restores rows nor draws "
            "any, or an earlier version saved it; give some, as clean="
        )
    check_share(share, len(kept) if clean is None else clean.frame.height)
    found = strangeness(network, rows, notes)
    others = kept if clean is None else strangeness(network, clean, notes)
    return judged(found, np.sort(others[~np.isnan(others)]), share)


def usual(network: Network, held: HeldOut, until: float | None = None) -> np.ndarray:
    """(M,) how strange rows are that the network has not learnt from, ascending, for a model that restores or draws.

    None (M = 0) of a model that does neither: what it predicts says little of how strange rows are. until: of
    `time.perf_counter`; of rows that are not begun by then, in random order, nothing is kept, but for the first BATCH.
    """
    plan = network.plan
    heads = [*plan.heads().values()]
    restores = network.task.fuse.narrows and all(name in plan.inputs for name in plan.targets)
    if not restores and not any(head.draws for head in heads):
        return np.zeros(0)
    rows = np.arange(held.frame.height)
    if len(rows) > KEPT or until is not None:
        rows = np.random.default_rng(seed_of(plan.train.seed, "usual")).permutation(rows)[:KEPT]
    name, *others = plan.targets
    if heads[0].strange_as and not others:  # it has been judged by that
        truth, said = held.truths[name], held.answers[name][heads[0].strange_as]
        found = network.task.shares[name] * np.where(truth.observed, said, np.nan)[rows]
    else:
        found = _until(network, held.frame[rows], until)
    return np.sort(found[~np.isnan(found)].astype(np.float64))


def _until(network: Network, frame: pl.DataFrame, until: float | None) -> np.ndarray:
    found = []
    for _, some in chunks(frame, 0 if until is None else BATCH):
        found.append(network.strange(some, []))
        if until is not None and time.perf_counter() > until:
            break
    return np.concatenate(found)


def judged(found: np.ndarray, clean: np.ndarray, share: float) -> pl.DataFrame:
    """{"strangeness", "p", "anomaly"} of rows beside clean ones (M,), ascending; null where nothing is found.

    p is a conformal p-value: the share of clean rows at least as strange, the row itself among them. Raises PlanError
    as `check_share`.
    """
    check_share(share, len(clean))
    p = (len(clean) - np.searchsorted(clean, found) + 1) / (len(clean) + 1)
    told = pl.DataFrame(dict(zip(JUDGED, (found, p, p <= share), strict=True)))
    return told.with_columns(pl.when(pl.Series(~np.isnan(found))).then(pl.all()).name.keep())


def check_share(share: float, clean: int) -> None:
    """Raises PlanError for a share that is none, or that so few clean rows cannot tell."""
    wanted = "a share of the clean rows, above 0 and at most 1"
    if not 0 < number("share", share, wanted) <= 1:
        raise PlanError(f"share = {share}: expected {wanted}")
    if share * (clean + 1) < 1:
        least = float(Context(prec=3, rounding=ROUND_CEILING).divide(1, clean + 1))
        raise PlanError(
            f"share = {share}: {clean} clean rows tell of {least:g} at least; take that share or a larger one "
            "(--share), or give more clean rows, clean= (--clean)"
        )


def check(kept: np.ndarray) -> np.ndarray:
    """What `usual` gave, from a file. Raises ValueError for anything else."""
    if kept.dtype != np.float64 or kept.ndim != 1 or np.isnan(kept).any() or (np.diff(kept) < 0).any():
        raise ValueError("the strangeness of clean rows must be numbers in ascending order")
    return kept
