"""Losses of heads by plan: what is trained, predicted, scored and kept."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from model.made import table

from ranvier.core.errors import PlanError
from ranvier.model.fit import fit
from ranvier.model.model import load
from ranvier.planning.make import make_plan

QUICK = {"inputs": ["a", "b"], "epochs": 30, "threads": 1, "size": "s", "refit": False}


def test_quantiles_by_plan_come_out_in_raw_units(tmp_path):
    frame = table(240)
    plan = make_plan(frame, "z", **QUICK)
    plan.targets["z"].head = {"name": "number", "loss": "quantile", "quantiles": [0.1, 0.9]}
    model = fit(plan, progress=False)
    said = model.predict(frame)
    assert said.columns == ["z", "z_q10", "z_q90"]
    assert (said["z_q10"] <= said["z"]).all()
    assert (said["z"] <= said["z_q90"]).all()
    figures = model.evaluate(frame, show=False)
    truth = frame["z"].to_numpy()
    for name, level in (("q10", 0.1), ("q90", 0.9)):
        covered = (truth <= said[f"z_{name}"].to_numpy()).mean()
        assert figures[f"coverage_{name}"] == covered
        assert abs(covered - level) < 0.1
    errors = np.abs(truth - said["z"].to_numpy())
    assert np.isclose(figures["median_absolute_error"], np.median(errors))
    assert np.isclose(figures["mae"], errors.mean())
    again = load(model.save(tmp_path / "m.rv"))
    assert again.predict(frame).equals(said)
    assert "val_coverage_q10" in model.history[-1]


def test_a_focal_loss_by_plan_learns():
    plan = make_plan(table(), "y", **QUICK)
    plan.targets["y"].head = {"name": "category", "loss": "focal", "gamma": 1.0}
    figures = fit(plan, progress=False).evaluate(table(), show=False)
    assert figures["accuracy"] > 0.85
    assert {"mcc", "brier_score", "calibration_error"} <= set(figures)


def test_a_triplet_loss_by_plan_learns_and_is_never_cut():
    frame = table().with_columns(y=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("y"))
    plan = make_plan(frame, "y", **QUICK)
    plan.targets["y"].head = {"name": "category", "triplet": 0.5, "margin": 0.3}
    plan.train.micro = 8
    with pytest.raises(PlanError, match="rows see one another"):
        fit(plan, progress=False)
    plan.train.micro = 0
    model = fit(plan, progress=False)
    assert model.plan.targets["y"].head["triplet"] == 0.5
    assert model.evaluate(frame, show=False)["accuracy"] > 0.8
