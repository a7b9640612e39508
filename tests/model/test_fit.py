"""Training: the same seed gives the same weights, runs go on where they were killed, and settings do what they say."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import polars as pl
import pytest
import torch
from model.made import table

from ranvier import samples
from ranvier.core.errors import DataError, PlanError, RunError
from ranvier.core.plan import Plan
from ranvier.core.training import Callback
from ranvier.model.fit import _late, fit
from ranvier.model.model import Model, load
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle
from ranvier.train import checkpoint

QUICK = {"inputs": ["a", "b", "c"], "epochs": 2, "threads": 1}


def same(one: Model, other: Model) -> bool:
    mine, theirs = one.task.state_dict(), other.task.state_dict()
    return list(mine) == list(theirs) and all(torch.equal(mine[name], theirs[name]) for name in mine)


class Boom(Exception):
    """What kills a run."""


class At(Callback):
    """Does something at the first log at or after a step."""

    def __init__(self, step, action):
        self.step, self.action, self.done = step, action, False

    def on_log(self, step, record):
        if step >= self.step and not self.done:
            self.done = True
            self.action()
        return False


def boom():
    raise Boom


def test_penguins_learn():
    model = fit(samples.path("penguins"), "species", epochs=40, size="s", threads=1, progress=False)
    assert model.report.metrics["accuracy"] > 0.9
    assert model.report.on == "validation"


def test_a_number_is_learnt_in_raw_units():
    model = fit(table(), "z", inputs=["a", "b"], epochs=40, threads=1, progress=False)
    assert model.evaluate(table(), show=False)["r2"] > 0.8


def test_the_same_seed_gives_the_same_weights(small):
    again = fit(table(), "y", inputs=["a", "b", "c"], epochs=6, threads=1, progress=False)
    assert same(small, again)
    other = fit(table(), "y", inputs=["a", "b", "c"], epochs=6, threads=1, seed=1, progress=False)
    assert not same(small, other)


def test_the_random_state_outside_makes_no_difference():
    torch.manual_seed(5)
    one = fit(table(), "y", progress=False, **QUICK)
    torch.rand(3)
    np.random.seed(3)
    assert same(one, fit(table(), "y", progress=False, **QUICK))


def test_a_plan_and_what_it_was_made_from_give_the_same(tmp_path):
    one = fit(table(), "y", progress=False, **QUICK)
    assert same(one, fit(make_plan(table(), "y", **QUICK), progress=False))
    path = tmp_path / "t.parquet"
    table().write_parquet(path)
    plan = Plan.from_toml(make_plan(path, "y", **QUICK).to_toml())
    assert same(one, fit(plan, progress=False))
    with pytest.raises(PlanError, match="takes no target or settings"):
        fit(plan, "y")
    with pytest.raises(PlanError, match="takes no target or settings"):
        fit(plan, epochs=3)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd"},
        {"optimizer": "muon"},
        {"optimizer": {"name": "rmsprop", "momentum": 0.5}, "rate": 1e-3},
        {"schedule": "constant"},
        {"precision": "bf16"},
        {"average": 0.9, "keep": "average"},
        {"micro": 10},
        {"patience": 1, "keep": "best"},
        {"balance": "loss"},
        {"balance": "sampler"},
        {"refit": True},
        {"size": "l"},
        {"split": "none"},
        {"split": "random", "fraction": 0.3},
        {"val": table(30)},
    ],
    ids=lambda s: "-".join(s),
)
def test_settings(settings):
    model = fit(table(), "y", progress=False, **{**QUICK, **settings})
    assert model.predict(table())["y_confidence"].is_finite().all()
    assert (model.report is None) == (settings.get("split") == "none")
    assert settle(model.plan).to_toml() == model.plan.to_toml()


def test_micro_batches_give_nearly_the_weights_of_whole_ones():
    plain = {**QUICK, "optimizer": "sgd", "average": 0.0, "keep": "last", "refit": False}
    plan = make_plan(table(), "y", **plain)
    plan.fuse = {"name": "mlp", "dropout": 0.0}
    plan.inputs["c"].encoder = {"name": "category", "unseen": 0.0}
    whole = fit(plan, progress=False)
    plan.train.micro = 7
    cut = fit(plan, progress=False)
    for name, weight in whole.task.state_dict().items():
        torch.testing.assert_close(cut.task.state_dict()[name], weight, rtol=1e-4, atol=1e-6)


def test_roles():
    model = fit(table(), "y", roles={"w": "weight", "g": "group", "z": "ignore"}, epochs=1, progress=False)
    assert set(model.plan.inputs) == {"a", "b", "c"}
    later = fit(table(), "y", roles={"t": "order", "z": "ignore"}, epochs=1, progress=False)
    assert later.plan.data.split == "order"
    assert later.report.targets["y"].rows == 24
    with pytest.raises(DataError, match="row 3: -1"):
        fit(table().with_columns(w=pl.when(pl.col("t") == 3).then(-1.0).otherwise("w")), "y", roles={"w": "weight"})


def test_a_row_of_weight_nothing_might_as_well_not_be_there():
    zero = table().with_columns(
        w=(pl.col("t") < 60).cast(pl.Float64), y=pl.when(pl.col("t") < 60).then("y").otherwise(pl.lit("p"))
    )
    model = fit(zero, "y", inputs=["a"], roles={"w": "weight"}, epochs=40, threads=1, progress=False)
    seen = model.predict(table())["y"]
    assert (seen == table()["y"]).mean() > 0.75  # though three quarters of the labels said "p"


def test_balance_moves_answers_to_the_rare_class():
    random = np.random.default_rng(0)
    y = random.random(200) < 0.1
    frame = pl.DataFrame({"x": y + random.normal(size=200), "y": np.where(y, "rare", "usual")})

    def mean(balance):
        model = fit(frame, "y", balance=balance, epochs=15, size="s", threads=1, progress=False)
        return model.predict(frame)["y_p_rare"].mean()

    plain = mean("none")
    assert plain < 0.2
    assert mean("loss") > plain + 0.1
    assert mean("sampler") > plain + 0.1


def test_init_starts_from_a_model(small):
    frozen = {**QUICK, "rate": 1e-12, "decay": 0.0}
    model = fit(table(), "y", init=small, progress=False, **frozen)
    assert "init: 12 of 12 tensors start from the given model" in model.notes
    mine, theirs = model.task.state_dict(), small.task.state_dict()
    assert all(torch.allclose(mine[n].float(), theirs[n].float(), atol=1e-6) for n in mine)
    other = fit(table(), "z", init=small, progress=False, **QUICK)
    assert any(
        note.startswith("init: ") and note.endswith("; new, in whole or in part: head of 'z'") for note in other.notes
    )
    with pytest.raises(PlanError, match="init = 5: expected a model"):
        fit(table(), "y", init=5, **QUICK)


KEPT = {"inputs": ["a", "b", "c"], "epochs": 20, "threads": 1, "keep": "best", "average": 0.9, "refit": False}


@pytest.mark.parametrize("refit", [False, True])
def test_a_run_killed_in_the_middle_ends_with_the_same_weights(tmp_path, refit):
    settings = {**KEPT, "refit": refit}
    whole = fit(table(), "y", folder=tmp_path / "whole", progress=False, **settings)
    folder = tmp_path / "killed"
    with pytest.raises(Boom):
        fit(table(), "y", folder=folder, callbacks=[At(17, boom)], progress=False, **settings)
    assert not (folder / "model.rv").exists()
    resumed = fit(table(), "y", folder=folder, resume=True, progress=False, **settings)
    assert same(resumed, whole)
    assert same(load(folder / "model.rv"), whole)
    assert resumed.report == whole.report
    # once more, now that it is done, and from the plan in the folder
    (folder / "model.rv").unlink()
    assert same(fit(make_plan(table(), "y", **settings), folder=folder, resume=True, progress=False), whole)


def test_the_folder_of_a_run(tmp_path):
    model = fit(table(), "y", folder=tmp_path, progress=False, **KEPT)
    assert {p.name for p in tmp_path.iterdir()} == {
        "plan.toml",
        "log.jsonl",
        "checkpoint.safetensors",
        "before-checkpoint.safetensors",
        "model.rv",
    }
    assert Plan.from_toml((tmp_path / "plan.toml").read_text()).to_toml() == model.plan.to_toml()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records] == [r["step"] for r in model.history]
    assert "val_loss" in records[-1]
    with pytest.raises(RunError, match="holds a run already"):
        fit(table(), "y", folder=tmp_path, progress=False, **KEPT)
    assert same(load(tmp_path / "model.rv"), model)


def test_what_cannot_be_resumed(tmp_path):
    with pytest.raises(RunError, match="no run to resume"):
        fit(table(), "y", folder=tmp_path / "empty", resume=True, **KEPT)
    with pytest.raises(RunError, match="no run to resume"):
        fit(table(), "y", resume=True, **KEPT)
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(9, boom)], progress=False, **KEPT)
    with pytest.raises(RunError, match=r"was started with train\.seed = 0, now 4"):
        fit(table(), "y", folder=tmp_path, resume=True, progress=False, seed=4, **KEPT)
    with pytest.raises(RunError, match="was started with"):
        fit(table(), "y", folder=tmp_path, resume=True, progress=False, **{**KEPT, "inputs": ["a", "b"]})
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunError, match="is no folder"):
        fit(table(), "y", folder=file, progress=False, **KEPT)


def test_threads_are_among_the_frozen_facts(tmp_path, monkeypatch):
    settings = {k: v for k, v in KEPT.items() if k != "threads"}
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(9, boom)], progress=False, **settings)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(RunError, match=r"threads = 1, now it is 2.*inexact"):
        fit(table(), "y", folder=tmp_path, resume=True, progress=False, **settings)
    fit(table(), "y", folder=tmp_path, resume=True, inexact=True, progress=False, **settings)


def test_ctrl_c_ends_well(tmp_path):
    interrupt = At(11, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    model = fit(table(), "y", folder=tmp_path, callbacks=[interrupt], progress=False, **KEPT)
    assert signal.getsignal(signal.SIGINT) is before
    last = int(model.history[-1]["step"])
    assert 11 <= last <= 14
    assert any(f"training ended at step {last} of 40: interrupted" in note for note in model.notes)
    assert model.report is not None
    assert same(load(tmp_path / "model.rv"), model)
    whole = fit(table(), "y", progress=False, **KEPT)
    resumed = fit(table(), "y", folder=tmp_path, resume=True, progress=False, **KEPT)
    assert same(resumed, whole)


def test_a_callback_can_stop_a_run():
    class Stop(Callback):
        def on_log(self, step, record):
            return step >= 5

    model = fit(table(), "y", callbacks=[Stop()], progress=False, **KEPT)
    assert model.history[-1]["step"] < 10
    assert any("a callback stopped it" in note for note in model.notes)


def test_time_becomes_a_number_of_steps(tmp_path):
    started = time.perf_counter()
    model = fit(table(), "y", inputs=["a", "b"], time=1.5, epochs=100_000, folder=tmp_path, progress=False)
    taken = time.perf_counter() - started
    assert taken < 6  # generous: other work may share the machine
    steps = checkpoint.settings_of(tmp_path / "checkpoint.safetensors").steps
    assert 1 <= steps < 100_000
    assert model.history[-1]["step"] == steps


def test_a_rate_that_bursts_is_explained():
    with pytest.raises(RunError, match=r"try a smaller train\.rate|Try a smaller train\.rate"):
        fit(table(), "z", optimizer="sgd", rate=1e30, clip=0.0, epochs=30, inputs=["a", "b"], progress=False)


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        ("fuse", {"name": "mlp", "layer_width": 0}, "fuse 'mlp' cannot be made with"),
        ("fuse", {"name": "mlp", "dropout": 2.0}, "fuse 'mlp' cannot be made with"),
        ("fuse", {"name": "tabm", "members": 0}, "fuse 'tabm' cannot be made with"),
        ("optimizer", {"name": "adam", "betas": [0.9]}, r"train\.optimizer\.betas"),
        ("optimizer", {"name": "adam", "betas": [1.9, 0.9]}, r"train\.optimizer\.betas"),
        ("head", {"name": "category", "smoothing": 2.0}, "smoothing"),
        ("encoder", {"name": "number", "embedding": "periodic", "embedding_width": -1}, "encoder 'number' cannot"),
    ],
)
def test_options_that_no_network_can_have(place, value, match):
    plan = make_plan(table(), "y", **QUICK)
    holder = {"fuse": plan, "optimizer": plan.train, "head": plan.targets["y"], "encoder": plan.inputs["a"]}[place]
    setattr(holder, place, value)
    with pytest.raises(PlanError, match=match):
        fit(plan, progress=False)


def test_classes_that_only_validation_rows_have():
    late = table().with_columns(y=pl.when(pl.col("t") >= 110).then(pl.lit("late")).otherwise("y"))
    model = fit(late, "y", inputs=["a", "b"], roles={"t": "order"}, epochs=1, refit=False, progress=False)
    assert model.report.targets["y"].unseen == 10
    assert "y_p_late" not in model.predict(late).columns


def test_arrays_in_memory():
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 3)).astype(np.float32)
    model = fit((x, x[:, 0] > 0), epochs=1, progress=False)
    assert list(model.plan.targets) == ["target"]
    pictures = random.integers(0, 255, (40, 8, 8), dtype=np.uint8)
    model = fit({"pixels": pictures, "label": np.arange(40) % 3}, "label", epochs=1, size="s", progress=False)
    assert model.plan.columns["pixels"].type == "image"
    assert model.predict({"pixels": pictures[:2]}).height == 2


def test_a_handful_of_rows():
    three = table(3).with_columns(y=pl.Series(["p", "q", "q"]))
    few = fit(three, "y", epochs=1, inputs=["a", "c"], progress=False)
    assert few.predict(table(5)).height == 5
    assert fit(table(2), "z", epochs=1, inputs=["a"], progress=False).predict(table(1)).height == 1


def test_a_run_that_took_much_longer_than_allowed_says_so():
    assert _late(0.0, 1e9) == _late(60.0, 69.0) == _late(600.0, 700.0) == ""
    assert _late(60.0, 80.0).startswith("the run took 80 s, and time = 60 s: ")
