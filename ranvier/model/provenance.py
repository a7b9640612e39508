"""How a model came to be: all that it takes to make it again, and what would still differ."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ranvier.model.folder import digest
from ranvier.model.training import Run, Trained
from ranvier.planning.frames import Frames
from ranvier.train.checkpoint import machine

Pair = tuple[np.ndarray, np.ndarray]  # row numbers that are trained on, and held out


def provenance(run: Run, frames: Frames, trained: Sequence[Trained], pairs: Sequence[Pair]) -> dict[str, Any]:
    """JSON values: versions, machine, seed, rows, hashes of data and split, steps, and what no seed makes the same.

    data: a hash of the encoded rows and of what the columns learnt, of each network. split: how rows were held out,
    and a hash of their numbers. differs: reasons why the same plan, data and seed may give other weights elsewhere, or
    again.
    """
    data, train = run.plan.data, run.plan.train
    held = frames.val.height if frames.val is not None else len(np.unique(np.concatenate([h for _, h in pairs])))
    return {
        **machine(run.device),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "seed": train.seed,
        "data": [one.data for one in trained],
        "rows": {
            "given": frames.given.height,
            "validation": held,
            "test": 0 if frames.test is None else frames.test.height,
        },
        "split": {
            "how": "given" if frames.val is not None else data.split,
            "folds": data.folds,
            "hash": digest([held for _, held in pairs]),
        },
        "steps": [one.done.step for one in trained],
        "differs": differs(run, trained),
    }


def differs(run: Run, trained: Sequence[Trained]) -> list[str]:
    """Why the run may not give the same weights again; [] where it does, on this machine with as many threads."""
    found = []
    if run.plan.train.time:
        epochs = (trained[0].done.step - 0.5) / trained[0].per_epoch  # the step that it ends in is done
        found.append(
            f"time = {run.plan.train.time:g} s: how many steps fit into it depends on the machine and its load; "
            f"epochs = {epochs:.8g} without a time takes as many"
        )
    if run.device.type == "cuda":
        found.append("on CUDA some sums are taken in any order, so that the last bits of weights vary")
    if any(one.interrupted for one in trained):
        found.append("it was interrupted")
    if run.inexact:
        found.append("it was resumed with other facts than it began with (inexact)")
    return found
