"""Folds: each network learns from all rows but its own fold's, these judge it, and the answers are averaged."""

from __future__ import annotations

import math
import os
import pickle
import signal
import time

import numpy as np
import polars as pl
import pytest
import torch
from model.made import table
from model.test_fit import At, Boom, boom, same
from model.test_resume import kill_in, steps

from ranvier.columns.number import Number
from ranvier.core.errors import DataError, PlanError, RunError
from ranvier.core.spec import Encoded
from ranvier.core.training import Callback
from ranvier.model import training
from ranvier.model.fit import CHOSEN, INIT_FOLDS, REFITTED, fit
from ranvier.model.held import HeldOut, fitted_temperatures, over_folds
from ranvier.model.model import Model, load
from ranvier.model.progress import ProgressBar
from ranvier.planning.frames import fold_rows
from ranvier.planning.frames import load as frames_of
from ranvier.planning.make import make_plan
from ranvier.train import checkpoint, keeper

HOW = {"inputs": ["a", "b", "c"], "folds": 3, "epochs": 4, "threads": 1, "progress": False}


def alike(one: Model, other: Model) -> bool:
    """Whether all networks of both have the same bits."""
    pairs = zip(one.networks, other.networks, strict=True)
    return all(same(Model(one.plan, [mine]), Model(other.plan, [theirs])) for mine, theirs in pairs)


@pytest.fixture(scope="module")
def folded() -> Model:
    return fit(table(), "y", test=table(40), **HOW)


@pytest.fixture(scope="module")
def halves(folded) -> list[tuple[np.ndarray, np.ndarray]]:
    return fold_rows(folded.plan, frames_of(folded.plan))


def test_each_network_has_learnt_from_its_training_rows_alone(folded, halves):
    assert len(folded.networks) == 3
    for network, (train, held) in zip(folded.networks, halves, strict=True):
        assert sorted([*train, *held]) == list(range(120))
        fresh = Number("a")
        fresh.learn([table()["a"][train]])
        np.testing.assert_array_equal(network.columns["a"].knots, fresh.knots)
        assert network.columns["a"].centre == fresh.centre
    firsts = [network.task.state_dict() for network in folded.networks]
    assert any(not torch.equal(firsts[0][name], firsts[1][name]) for name in firsts[0])


def test_predictions_are_the_mean_of_the_networks(folded):
    rows = table(30)
    each = [Model(folded.plan, [network]).predict(rows)["y_p_p"].to_numpy() for network in folded.networks]
    plain = Model(folded.plan, folded.networks).predict(rows)
    np.testing.assert_allclose(plain["y_p_p"], np.mean(each, axis=0), rtol=1e-5)
    assert np.ptp(each, axis=0).max() > 1e-3
    assert plain["y"].to_list() == folded.predict(rows)["y"].to_list()  # no temperature changes an answer


def test_each_row_is_judged_by_the_network_that_never_saw_it(folded, halves):
    out = folded.out_of_fold
    assert out.columns == folded.predict(table(3)).columns
    assert out.height == 120
    for network, (_, held) in zip(folded.networks, halves, strict=True):
        alone = Model(folded.plan, [network], temperatures=folded.temperatures)
        assert alone.predict(table()[held]).equals(out[held])
    assert folded.report.on == "out of fold"
    assert "out of fold (each row judged by a network that never saw it)" in str(folded.report)
    right = out["y"] == table()["y"]
    assert folded.report.metrics["accuracy"] == pytest.approx(right.mean())
    assert folded.report.targets["y"].rows == 120
    by_fold = [right.to_numpy()[held].mean() for _, held in halves]
    assert [figures["accuracy"] for figures in folded.fold_figures] == pytest.approx(by_fold)
    assert (CHOSEN in folded.report.notes) == (folded.plan.train.keep == "best")
    assert folded.test_report.on == "test"
    assert {line["fold"] for line in folded.history} == {1.0, 2.0, 3.0}


def test_rows_without_a_truth_are_predicted_and_not_scored():
    gaps = table().with_columns(y=pl.when(pl.col("t") % 4 == 0).then(None).otherwise("y"))
    model = fit(gaps, "y", **{**HOW, "epochs": 1})
    assert model.out_of_fold["y"].null_count() == 0
    assert model.report.targets["y"].rows == 90


def test_a_folded_model_is_saved_loaded_and_pickled(folded, tmp_path):
    before = folded.predict(table(20))
    assert repr(folded) == f"Model(a, b, c -> y; 3 networks, {folded.parameters:,} parameters)"
    for model in (load(folded.save(tmp_path / "m.rv")), pickle.loads(pickle.dumps(folded))):
        assert model.predict(table(20)).equals(before)
        assert model.out_of_fold.equals(folded.out_of_fold)
        assert (model.report, model.fold_figures) == (folded.report, folded.fold_figures)
        timeless = [{k: v for k, v in record.items() if k != "seconds"} for record in folded.history]
        assert (model.temperatures, model.history, repr(model)) == (folded.temperatures, timeless, repr(folded))
        assert alike(model, folded)
    assert folded.to("cpu").device == torch.device("cpu")


def test_vectors_of_all_networks_stand_side_by_side(folded):
    vectors = folded.embed(table(9))
    alone = [Model(folded.plan, [network]).embed(table(9)) for network in folded.networks]
    np.testing.assert_array_equal(vectors, np.concatenate(alone, axis=1))


def test_what_a_model_of_several_networks_is_not(folded):
    with pytest.raises(PlanError, match=r"has 3 networks.*model\.networks\[0\]\.task"):
        _ = folded.task
    with pytest.raises(PlanError, match="init has 3 networks; start from a model that was trained without folds"):
        fit(table(), "y", init=folded, **HOW)


def test_the_same_seed_gives_the_same_networks_and_one_fold_is_none(folded, small):
    assert alike(fit(table(), "y", **HOW), folded)
    one = fit(table(), "y", **{**HOW, "folds": 1, "epochs": 6})
    assert same(one, small)
    assert one.out_of_fold is None
    assert one.fold_figures == []


def test_a_class_that_only_one_fold_has():
    frame = table().with_columns(y=pl.when(pl.col("t") == 7).then(pl.lit("once")).otherwise("y"))
    model = fit(frame, "y", **{**HOW, "epochs": 1})
    sizes = [network.columns["y"].spec.size for network in model.networks]
    assert sorted(sizes) == [2, 3, 3]
    assert model.columns["y"].labels == ["once", "p", "q"]
    out = model.out_of_fold
    assert out["y_p_once"][7] == 0
    assert model.report.targets["y"].unseen == 1
    assert model.report.metrics["log_loss"] < 2
    probs = model.predict(frame).select(pl.sum_horizontal("y_p_once", "y_p_p", "y_p_q"))
    np.testing.assert_allclose(probs.to_series(), 1, atol=1e-5)


def test_numbers_and_sets_together():
    frame = table(60).with_columns(
        money=(3 * pl.col("a")).exp(),
        tags=pl.when(pl.col("t") == 5).then(["odd"]).when(pl.col("a") > 0).then(["x", "y"]).otherwise(["x"]),
    )
    how = {**HOW, "epochs": 2, "inputs": ["a", "b"]}
    model = fit(frame, ["money", "tags", "y"], **how)
    assert model.columns["tags"].labels == ["odd", "x", "y"]
    raw = [Model(model.plan, [network]).predict(frame)["money"].to_numpy() for network in model.networks]
    np.testing.assert_allclose(model.predict(frame)["money"], np.mean(raw, axis=0), rtol=1e-5)
    out = model.out_of_fold
    assert out["tags_p_odd"][5] == 0
    assert model.report.targets["tags"].unseen == 1
    error = (out["money"] - frame["money"]).abs().mean()
    assert model.report.metrics["money.mae"] == pytest.approx(error, rel=1e-4)


def test_groups_stay_on_one_side():
    how = {k: v for k, v in HOW.items() if k != "inputs"}
    model = fit(table(), "y", roles={"g": "group"}, **{**how, "epochs": 1})
    assert model.plan.data.split == "group"
    for train, held in fold_rows(model.plan, frames_of(model.plan)):
        assert not {*table()["g"][train]} & {*table()["g"][held]}


def test_time_is_shared(tmp_path):
    started = time.perf_counter()
    fit(table(), "y", folder=tmp_path, **{**HOW, "epochs": 100_000, "time": 1.5})
    assert time.perf_counter() - started < 8  # generous: other work may share the machine
    each = [checkpoint.settings_of(tmp_path / f"fold-{fold}" / checkpoint.NAME).steps for fold in (1, 2, 3)]
    assert 1 <= each[0] < 100_000
    assert each == [each[0]] * 3


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_killed_in_any_fold(tmp_path, monkeypatch, folded, killed):
    monkeypatch.setattr(training, "OFTEN", 1e-9)  # a checkpoint after every step
    monkeypatch.setattr(keeper, "SHARE", math.inf)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill_in(patch, f"fold-{killed}", 3)
        with pytest.raises(Boom):
            fit(table(), "y", test=table(40), folder=folder, **HOW)
    assert not (folder / "model.rv").exists()
    assert sorted(p.name for p in folder.iterdir()) == [*(f"fold-{f + 1}" for f in range(killed)), "plan.toml"]
    resumed = fit(table(), "y", test=table(40), folder=folder, resume=True, **HOW)
    assert alike(resumed, folded)
    assert (resumed.report, resumed.notes, resumed.temperatures) == (folded.report, folded.notes, folded.temperatures)
    assert alike(load(folder / "model.rv"), folded)
    for fold in (1, 2, 3):
        assert steps(folder / f"fold-{fold}" / "log.jsonl") == sorted({*steps(folder / f"fold-{fold}" / "log.jsonl")})
    with pytest.raises(RunError, match="holds a run already"):
        fit(table(), "y", folder=folder, **HOW)


class Interrupt(Callback):
    """Ctrl-C in the training of a fold."""

    def __init__(self, fold):
        self.fold, self.begun = fold, 0

    def on_log(self, step, record):
        self.begun += record["step"] == 1
        if self.begun == self.fold:
            os.kill(os.getpid(), signal.SIGINT)
        return False


@pytest.mark.parametrize("fold", [1, 2])
def test_ctrl_c_leaves_the_folds_that_were_finished(tmp_path, monkeypatch, folded, halves, fold):
    model = fit(table(), "y", test=table(40), folder=tmp_path, callbacks=[Interrupt(fold)], **HOW)
    assert len(model.networks) == 1
    assert any(
        n.startswith(f"fold {fold} of 3: training ended at step") and n.endswith("interrupted") for n in model.notes
    )
    assert "the model is made of 1 of 3 networks, for training was interrupted" in model.notes
    assert model.predict(table(5)).height == 5
    judged = sorted(halves[0][1])
    assert np.flatnonzero(model.out_of_fold["y"].is_not_null()).tolist() == judged
    assert model.report.targets["y"].rows == len(judged)
    again = load(tmp_path / "model.rv")
    assert again.out_of_fold.equals(model.out_of_fold)
    assert alike(fit(table(), "y", test=table(40), folder=tmp_path, resume=True, **HOW), folded)


def test_callbacks_and_bars_see_each_fold(monkeypatch):
    ended = []
    monkeypatch.setattr(ProgressBar, "on_end", lambda self: ended.append(self.title))
    seen = []

    class Look(Callback):
        def on_log(self, step, record):
            seen.append(step)
            return step >= 2

    model = fit(table(), "y", callbacks=[Look()], **{**HOW, "progress": True})
    assert ended == ["fold 1 of 3: ", "fold 2 of 3: ", "fold 3 of 3: "]
    assert seen == [1, 2] * 3
    assert sum("a callback stopped it" in note for note in model.notes) == 3


def test_notes_of_folds(small):
    frame = table().with_columns(c=pl.when(pl.col("t") == 3).then(pl.lit("lone")).otherwise("c"))
    model = fit(frame, "y", init=small, **{**HOW, "epochs": 1})
    assert INIT_FOLDS in model.notes
    unseen = [note for note in model.notes if "'lone'" in note]
    assert len(unseen) == 1
    assert unseen[0].startswith("fold ")  # only one network has not seen it
    assert sum(note.startswith("init: ") or ": init: " in note for note in model.notes) <= 2


def test_a_model_starts_from_no_fold_that_is_not_there(tmp_path):
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(1, boom)], **HOW)
    with pytest.raises(RunError, match=r"was started with .*data\.folds = 3, now 0"):
        fit(table(), "y", folder=tmp_path, resume=True, **{**HOW, "folds": 0})


# ---- calibration


def held_out(rows: int = 4000, sure: float = 3.0) -> HeldOut:
    """Probabilities that are surer than they are right."""
    random = np.random.default_rng(0)
    z = random.normal(size=(rows, 3))
    fair = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    truth = np.array([random.choice(3, p=p) for p in fair])
    said = np.exp(sure * z) / np.exp(sure * z).sum(1, keepdims=True)
    frame = pl.DataFrame({"y": truth, "w": np.ones(rows)})
    return HeldOut(frame, {"y": {"probs": said.astype(np.float32)}}, {"y": Encoded(truth, np.ones(rows, bool))})


def test_temperatures_are_fitted_where_they_help(small):
    found, notes = fitted_temperatures(small.plan, held_out())
    assert found["y"] == pytest.approx(3, rel=0.1)
    assert "y: probabilities are scaled by the temperature" in notes[0]
    assert fitted_temperatures(small.plan, held_out(sure=1.0)) == ({}, [])  # what chance would gain is left alone
    nothing = held_out()
    nothing.truths["y"].observed[:] = False
    assert fitted_temperatures(small.plan, nothing) == ({}, [])
    unseen = held_out()
    unseen.truths["y"].data[::5] = 3
    assert fitted_temperatures(small.plan, unseen)[0]["y"] == pytest.approx(3, rel=0.15)


def test_calibrate_lowers_the_loss_and_changes_no_answer():
    how = {k: v for k, v in HOW.items() if k not in ("folds", "progress")} | {"epochs": 12, "fraction": 0.4}
    models = []
    for calibrate in (False, True):
        plan = make_plan(table(), "y", calibrate=calibrate, **how)
        plan.targets["y"].head = {"name": "category", "smoothing": 0.4}  # which makes probabilities modest
        models.append(fit(plan, progress=False))
    plain, scaled = models
    assert plain.temperatures == {}
    assert scaled.temperatures["y"] < 1
    assert REFITTED in scaled.notes  # the temperature is the first network's, and serves the second
    assert scaled.report.metrics["log_loss"] < plain.report.metrics["log_loss"]
    assert scaled.report.metrics["accuracy"] == plain.report.metrics["accuracy"]
    mine, theirs = scaled.predict(table()), plain.predict(table())
    assert mine["y"].equals(theirs["y"])
    assert (mine["y_confidence"] > theirs["y_confidence"]).all()


# ---- over the folds


def test_mean_and_error_over_folds():
    spread = over_folds([{"a": 1.0, "b": 2.0}, {"a": 2.0}, {"a": 6.0}])
    assert spread["a"] == pytest.approx((3.0, 7**0.5 / 3**0.5))
    assert spread["b"][0] == 2.0
    assert np.isnan(spread["b"][1])


def test_a_fold_without_a_truth_is_refused():
    frame = table(30).with_columns(z=pl.when(pl.col("g").is_in(["g0", "g1"])).then("z"))
    roles = {"g": "group", **dict.fromkeys("ytwc", "ignore")}
    with pytest.raises(DataError, match=r"none of the . validation rows has a weight and a value of target 'z'"):
        fit(frame, "z", roles=roles, folds=9, epochs=1, threads=1, progress=False)


def test_ctrl_c_while_a_later_folds_columns_learn_keeps_the_folds_before(monkeypatch):
    learn, calls = training.learn_columns, []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return learn(*given)

    monkeypatch.setattr(training, "learn_columns", interrupted)
    rows = pl.DataFrame({"x": np.arange(60.0), "y": ["a", "b"] * 30})
    made = fit(rows, "y", folds=4, epochs=1, threads=1, progress=False)
    assert len(made.networks) == 2
    assert made.interrupted


def test_a_target_whose_name_begins_like_anothers_quantile():
    rows = {"x": np.arange(30.0), "y": np.arange(30.0), "y_qual": np.arange(30.0) % 7}
    assert [*make_plan(rows, ["y", "y_qual"]).targets] == ["y", "y_qual"]
    with pytest.raises(PlanError, match="have such names"):
        make_plan({**rows, "y_q10": np.arange(30.0)}, ["y", "y_q10"])
