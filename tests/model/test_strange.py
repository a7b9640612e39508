"""The strangeness that a model keeps of clean rows, and what is asked of it."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier.core.errors import DataError, PlanError
from ranvier.model import fit as fitting
from ranvier.model import strange
from ranvier.model.held import hold_out
from ranvier.model.network import BATCH, Network
from ranvier.model.strange import check_share, usual

QUIET = {"threads": 1, "progress": False, "epochs": 1}


def rows(size: int = 60) -> pl.DataFrame:
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(2, size))
    return pl.DataFrame({"x": x, "y": x + 0.1 * y, "name": [f"row {i}" for i in range(size)]})


def restorer(**how):
    return rv.fit(rows().select("x", "y"), target=["x", "y"], inputs=["x", "y"], **QUIET | how)


def interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def drawing():
    """A model that draws x and y together."""
    plan = rv.plan(rows(), target=["x", "y"], inputs=[], epochs=1, threads=1)
    plan.targets["row"].head.update(widths=[16, 16])
    return rv.fit(plan, progress=False)


@pytest.fixture(scope="module")
def restoring():
    return restorer()


@pytest.mark.parametrize("refit", [False, True])
def test_a_stop_while_clean_rows_are_judged_is_told_as_such(monkeypatch, refit):
    monkeypatch.setattr(fitting, "usual", interrupted)
    model = restorer(refit=refit)
    assert fitting.NOT_USUAL in model.notes
    assert (fitting.NOT_REFITTED in model.notes) == model.interrupted == refit
    assert model.report is not None
    assert not len(model.usual)


def test_a_stop_before_no_second_training_is_not_told_as_one(monkeypatch):
    monkeypatch.setattr(fitting, "learn_scores", interrupted)
    model = restorer(refit=False)
    assert fitting.NOT_SCORED in model.notes
    assert fitting.NOT_REFITTED not in model.notes


def test_a_stop_while_clean_rows_are_judged_keeps_the_folds(monkeypatch):
    monkeypatch.setattr(fitting, "usual", interrupted)
    model = restorer(folds=2)
    assert len(model.networks) == 2
    assert fitting.NOT_USUAL in model.notes


def test_of_many_clean_rows_some_are_drawn_before_they_are_judged(restoring, monkeypatch):
    (network,) = restoring.networks
    held, seen, call = hold_out(network, network.columns, rows().select("x", "y")), [], Network.strange
    monkeypatch.setattr(
        Network, "strange", lambda self, some, notes: seen.append(some.height) or call(self, some, notes)
    )
    monkeypatch.setattr(strange, "KEPT", 20)
    assert len(usual(network, held)) == sum(seen) == 20


def test_when_time_is_up_the_rest_of_the_clean_rows_is_left(restoring):
    (network,) = restoring.networks
    held = hold_out(network, network.columns, rows(BATCH + 40).select("x", "y"))
    assert len(usual(network, held, time.perf_counter() - 1)) == BATCH
    assert len(usual(network, held, time.perf_counter() + 100)) == len(usual(network, held)) == BATCH + 40


def test_the_time_is_that_of_the_run(monkeypatch):
    asked = []
    monkeypatch.setattr(fitting, "usual", lambda network, held, until: asked.append(until) or np.zeros(0))
    restorer(time=20.0)
    restorer()
    assert asked[0] < time.perf_counter() + 20 * fitting.RESERVE
    assert asked[1] is None


def test_what_was_judged_is_not_judged_again(drawing, monkeypatch):
    (network,) = drawing.networks
    frame = drawing._read(rows()).frame
    held = hold_out(network, network.columns, frame)
    again = np.sort(network.strange(frame, []))
    monkeypatch.delattr(Network, "strange")
    np.testing.assert_allclose(usual(network, held), again, rtol=1e-5)


def test_a_classifier_through_few_numbers_keeps_nothing(restoring):
    plan = rv.plan(rows().select("x", "y"), target="y", inputs=["x"], epochs=1, threads=1)
    plan.fuse = {"name": "bottleneck", "code": 2}
    assert not len(rv.fit(plan, progress=False).usual)
    assert len(restoring.usual)


def test_columns_that_are_drawn_are_kept(drawing):
    found = drawing.anomalies(rows(), rows(), share=0.5, keep=["name", "x", "y"])
    assert found.columns == ["name", "x", "y", "strangeness", "p", "anomaly"]
    assert found.select("name", "x", "y").equals(rows().select("name", "x", "y"))
    with pytest.raises(DataError, match="keep: column 'z' is not in the data"):
        drawing.anomalies(rows(), rows(), share=0.5, keep="z")


def test_a_share_of_too_few_rows_is_told_with_one_that_can_be():
    for clean in (*range(1, 130), 12_345):
        with pytest.raises(PlanError, match=r"take that share or a larger one \(--share\), or .* \(--clean\)$") as told:
            check_share(0.9 / (clean + 1), clean)
        least = float(str(told.value).split(" at least")[0].split(" of ")[1])
        check_share(least, clean)
        assert least == pytest.approx(1 / (clean + 1), rel=0.01)


def test_a_share_that_cannot_be_is_refused_at_once(restoring, monkeypatch):
    monkeypatch.delattr(Network, "strange")
    for share, clean in ((0.0, None), (2.0, None), (2.0, rows()), (0.001, None), (0.001, rows())):
        with pytest.raises(PlanError, match=f"share = {share}"):
            restoring.anomalies(rows(), clean, share=share)
