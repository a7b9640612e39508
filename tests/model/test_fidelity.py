"""Drawn rows compared with true ones by the vectors of a model."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

import ranvier as rv
from ranvier.core.errors import DataError, PlanError
from ranvier.ops.fidelity import frechet_distance, precision_recall


def table(rows: int, seed: int, move: float = 0.0) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    v = chance.normal(size=(rows, 3)) + move
    return pl.DataFrame({"v": v.tolist(), "y": np.where(v[:, 0] > 0, "a", "b")})


@pytest.fixture(scope="module")
def judge():
    plan = rv.plan(table(200, 0), target="y", inputs=["v"], types={"v": "vector"}, size="s", epochs=2, threads=1)
    return rv.fit(plan, progress=False)


def test_figures_are_those_of_the_vectors(judge):
    rows = judge.embed(table(2, 0)).shape[1] + 20
    true, near, far = table(rows, 1), table(rows, 2), table(rows, 3, move=3)
    told = rv.fidelity(true, near.select("v"), by=judge)
    vectors = [torch.from_numpy(judge.embed(rows)) for rows in (true, near)]
    assert told["fid"] == pytest.approx(frechet_distance(*vectors))
    assert (told["precision"], told["recall"]) == precision_recall(*vectors)
    assert told["features"] == f"vectors of {judge!r}"
    assert rv.fidelity(true, true, by=judge) | {"features": ""} == {
        "fid": pytest.approx(0, abs=1e-8),
        "precision": 1.0,
        "recall": 1.0,
        "features": "",
    }
    worse = rv.fidelity(true, far, by=judge)
    assert worse["fid"] > 3 * told["fid"]
    assert worse["precision"] < told["precision"]


def test_what_is_refused(judge):
    rows = table(judge.embed(table(2, 0)).shape[1] + 1, 1)
    with pytest.raises(DataError, match=r"9 drawn rows are too few for vectors of [\d,]+ numbers, whose covariance"):
        rv.fidelity(rows, rows[:9], by=judge)
    with pytest.raises(DataError, match="true rows are too few"):
        rv.fidelity(rows[1:], rows, by=judge)
    with pytest.raises(DataError, match="column 'v' is not in the data; did you mean 'vv'"):
        rv.fidelity(rows, rows.rename({"v": "vv"}), by=judge)
    with pytest.raises(PlanError, match="by must be a model that reads these rows, got str"):
        rv.fidelity(rows, rows, by="judge.rv")
