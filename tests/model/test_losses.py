"""Losses of heads by plan: what is trained, predicted, scored and kept."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from model.made import table

from ranvier.core.errors import DataError, PlanError
from ranvier.model.find_lr import find_lr
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


def vectors(rows: int = 150) -> pl.DataFrame:
    """Numbers a and b; v is a line in them, some missing; q are shares by them."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 2))
    v = x @ [[1.0, 20.0, 0.1], [2.0, -10.0, 0.0]] + [5.0, 100.0, -1.0]
    q = np.exp(x @ [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    q /= q.sum(1, keepdims=True)
    missing = [None if i % 9 == 4 else row for i, row in enumerate(v.tolist())]
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "v": missing, "q": q.tolist()})


def test_a_vector_is_predicted_judged_and_kept(tmp_path):
    frame = vectors()
    model = fit(frame, "v", types={"v": "vector"}, progress=False, test=frame, **{**QUICK, "refit": True})
    said = model.predict(frame)
    assert said.schema == {"v": pl.Array(pl.Float64, 3)}
    assert said["v"].null_count() == 0
    figures = model.evaluate(frame, show=False)
    known = frame["v"].is_not_null()
    errors = said.filter(known)["v"].to_numpy() - np.array(frame["v"].drop_nulls().to_list())
    assert figures["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert figures["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
    assert figures["r2"] > 0.7
    assert figures["cosine_similarity"] > 0.9
    report = model.test_report.targets["v"]
    assert (report.kind, report.rows, report.missing) == ("vector", int(known.sum()), int((~known).sum()))
    assert list(report.headline) == ["mae", "rmse", "r2", "cosine_similarity"]
    again = load(model.save(tmp_path / "m.rv"))
    assert again.predict(frame).equals(said)
    lines = model.predict(frame, to=tmp_path / "o.csv").read_text().splitlines()
    assert json.loads(lines[1].strip('"')) == said["v"].to_list()[0]


def test_vectors_of_folds_are_averaged_in_their_own_units():
    frame = vectors()
    model = fit(frame, ["v", "b"], inputs=["a"], folds=3, epochs=5, threads=1, size="s", progress=False)
    each = [network.columns["v"].decode(network.answers(frame, [])["v"])["v"].to_numpy() for network in model.networks]
    np.testing.assert_allclose(model.predict(frame)["v"].to_numpy(), np.mean(each, 0), rtol=1e-4)
    assert model.out_of_fold["v"].dtype == pl.Array(pl.Float64, 3)
    assert "v.cosine_similarity" in model.report.metrics


@pytest.mark.parametrize("loss", ["kl", "soft_cross_entropy", "cosine", "info_nce"])
def test_shares_and_directions_by_plan(loss):
    frame = vectors()
    plan = make_plan(frame, "q", **QUICK)
    plan.targets["q"].head["loss"] = loss
    model = fit(plan, progress=False)
    assert model.plan.columns["q"].options == {"standardise": False}
    assert model.evaluate(frame, show=False)["cosine_similarity"] > 0.8
    said = model.predict(frame)["q"].to_numpy()
    length = said.sum(1) if loss in ("kl", "soft_cross_entropy") else np.linalg.norm(said, axis=1)
    np.testing.assert_allclose(length, 1, rtol=1e-3 if loss in ("kl", "soft_cross_entropy") else 0.2)


@pytest.mark.parametrize("run", [lambda plan: fit(plan, progress=False), find_lr])
def test_vectors_that_are_no_distributions_are_told(run):
    plan = make_plan(vectors(), "v", **QUICK)
    plan.targets["v"].head["loss"] = "kl"
    with pytest.raises(DataError, match=r"target 'v': loss = 'kl' needs distributions.* but one holds -"):
        run(plan)


def test_vectors_of_different_lengths_are_told():
    frame = vectors().with_columns(v=pl.Series([[1.0, 2.0], *[[1.0, 2.0, 3.0]] * 149]))
    with pytest.raises(DataError, match=r"column 'v', row \d+: expected a vector of"):
        fit(frame, "v", types={"v": "vector"}, progress=False, **QUICK)
