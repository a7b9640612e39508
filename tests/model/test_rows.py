"""Tables whose rows are drawn field by field: what belongs together comes together, missing values too."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier import load
from ranvier.core.errors import PlanError


def tied(rows: int = 3_000) -> pl.DataFrame:
    """y follows from x and kind, on one of two lines; whole is missing where kind is "other" and x large."""
    chance = np.random.default_rng(0)
    kind, x = chance.random(rows) < 0.5, chance.normal(size=rows)
    y = np.where(kind, x, -x) + 0.1 * chance.normal(size=rows)
    frame = pl.DataFrame({"kind": np.where(kind, "same", "other"), "x": x, "y": y, "whole": (10 * x).astype(int)})
    return frame.with_columns(pl.when((pl.col("kind") == "same") | (pl.col("x") < 0.5)).then("whole").alias("whole"))


def planned(frame: pl.DataFrame, **asked) -> rv.Plan:
    plan = rv.plan(frame, target="*", epochs=40, threads=1, **asked)
    plan.targets["row"].head.update(layer_width=64, embedding=16, depth=2, cells=32)
    plan.train.batch = 64
    return plan


@pytest.fixture(scope="module")
def drawer() -> rv.Model:
    plan = planned(tied())
    assert plan.targets["row"].head["name"] == "autoregressive"
    return rv.fit(plan, progress=False)


def test_what_belongs_together_comes_together(drawer):
    frame, drawn = tied(), drawer.sample(2_000, seed=1)
    assert drawn.schema == frame.schema
    same, other = drawn.filter(kind="same"), drawn.filter(kind="other")
    assert 0.4 < same.height / drawn.height < 0.6
    assert same.select(pl.corr("x", "y")).item() > 0.9
    assert other.select(pl.corr("x", "y")).item() < -0.9
    assert (drawn["whole"] - 10 * drawn["x"]).abs().mean() < 3
    gaps = other.filter(pl.col("x") > 0.8)["whole"].is_null().mean()
    assert gaps > 0.8
    assert same["whole"].is_null().mean() < 0.05
    nearest = ((drawn["x"].to_numpy()[:, None] - frame["x"].to_numpy()) ** 2).min(1)
    assert (nearest == 0).mean() < 0.02  # no copies


def test_the_model_file_draws_the_same_and_knows_what_is_strange(drawer, tmp_path):
    frame = tied()
    again = load(drawer.save(tmp_path / "rows.rv"))
    assert again.sample(100, seed=1).equals(drawer.sample(100, seed=1))
    assert again.sample(10, seed=1).equals(again.sample(100, seed=1).head(10))
    assert not again.sample(100, seed=2).equals(again.sample(100, seed=1))
    shuffled = frame.with_columns(pl.col("y").shuffle(seed=1))
    found, usual = (again.anomalies(rows, frame)["strangeness"].mean() for rows in (shuffled, frame))
    assert found > usual + 1
    assert again.evaluate(frame, show=False)["surprise"] == pytest.approx(usual, rel=0.1)
    with pytest.raises(PlanError, match="known: temperature"):
        again.sample(5, steps=4)


def test_rows_are_drawn_for_what_is_given():
    model = rv.fit(planned(tied(), inputs=["kind"], roles={"whole": "ignore"}), progress=False)
    drawn = model.sample(400, given={"kind": ["same", "other"]}, seed=1)
    signs = [drawn.filter(kind=kind).select(pl.corr("x", "y")).item() for kind in ("same", "other")]
    assert signs[0] > 0.9
    assert signs[1] < -0.9
