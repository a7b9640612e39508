"""What must not happen unsaid: untrained models, lost ones, figures from nothing, overwritten files."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import ranvier as rv
from ranvier.columns.number import Number
from ranvier.core.errors import DataError, PlanError, RunError
from ranvier.core.training import Callback
from ranvier.model import fit as fitting
from ranvier.model import training
from ranvier.planning.settle import settle

RNG = np.random.default_rng(0)
N = 120
QUIET = {"progress": False, "threads": 1}


def table(rows=N):
    x = RNG.normal(size=rows)
    return pl.DataFrame({"x": x, "z": RNG.normal(size=rows), "y": np.where(x > 0, "a", "b")})


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_log(self, step, record):
        return step >= self.step


def test_validation_rows_without_a_truth_are_refused_before_training():
    blank = table(20).with_columns(pl.lit(None, pl.String).alias("y"))
    for val in (blank, table(20).with_columns(pl.lit("c").alias("y"))):
        with pytest.raises(DataError, match=r"none of the 20 validation rows has a .*value of target 'y'"):
            rv.fit(table(), "y", val=val, epochs=1, **QUIET)


def test_a_run_stopped_before_its_first_validation_is_trained_again_for_as_long():
    steady = {"schedule": "constant", "rate": 0.02, "keep": "best", "refit": True}
    made = rv.fit(table(), "y", epochs=400, callbacks=[StopAt(8)], **steady, **QUIET)
    assert made.report.metrics["log_loss"] < 0.5  # chance: 0.69
    assert made.evaluate(table(), show=False)["log_loss"] < 0.5


def test_a_single_step_moves_the_weights():
    net = nn.Linear(2, 1)
    before = net.weight.clone()
    rv.train.fit(net, (torch.ones(4, 2), torch.zeros(4, 1)), loss="squared_error", batch=4, epochs=1)
    assert not torch.equal(net.weight, before)


def test_time_that_cuts_the_epochs_is_told():
    made = rv.fit(table(), "y", time=0.01, epochs=100, batch=8, **QUIET)
    assert any("epochs planned; the network has hardly learnt" in note for note in made.notes)
    assert not any("trained again" in note for note in made.notes)
    assert not any("epochs planned" in note for note in rv.fit(table(), "y", epochs=1, **QUIET).notes)


def test_absurd_numbers_are_moved_and_told():
    made = rv.fit({"x": RNG.normal(size=N), "v": RNG.normal(size=(N, 3)), "y": ["a", "b"] * 60}, "y", epochs=1, **QUIET)
    rows = {"x": [-3.4e38, 1e30, 0.5], "v": np.array([[0, 0, 0], [3e38, 0, 0], [1, 1, 1]])}
    with pytest.warns(rv.RanvierWarning) as told:
        answer = made.predict(rows)
    assert np.isfinite(answer["y_p_a"].to_numpy()).all()
    assert "2 values, such as -3.4e+38" in str(told[0].message)
    assert "1 vector has elements more than 1,000,000 spreads away" in str(told[0].message)


def test_one_absurd_number_leaves_the_scale_of_the_rest():
    number = Number("x")
    number.learn([pl.Series("x", [*RNG.normal(size=999), 1e13])])
    assert 0.5 < number.scale < 2


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    for name in ("plan.toml", "log.jsonl", "init.rv"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(RunError, match=f"holds {name}, which would be lost"):
            rv.fit(table(), "y", epochs=1, folder=folder, **QUIET)
        assert (folder / name).read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="no run can be kept"):
        rv.fit(table(), "y", epochs=1, folder=tmp_path / "file" / "run", **QUIET)


def test_a_run_that_failed_before_its_first_step_leaves_its_folder_free(tmp_path):
    blank = table(20).with_columns(pl.lit(None, pl.String).alias("y"))
    with pytest.raises(DataError, match=r"none of the 20 validation rows"):
        rv.fit(table(), "y", val=blank, epochs=1, folder=tmp_path / "run", **QUIET)
    rv.fit(table(), "y", val=table(20), epochs=1, folder=tmp_path / "run", **QUIET)


def test_time_for_one_training_only_is_kept_to_by_a_resumed_run(tmp_path):
    class Cut(Callback):
        def on_log(self, step, record):
            raise ZeroDivisionError

    how = {"time": 0.01, "epochs": 100, "batch": 8, "refit": True, "folder": tmp_path, **QUIET}
    rows = table()
    with pytest.raises(ZeroDivisionError):
        rv.fit(rows, "y", callbacks=[Cut()], **how)
    made = rv.fit(rows, "y", resume=True, **how)
    assert not made.plan.train.refit
    assert "too short to train twice" in rv.Plan.from_toml((tmp_path / "plan.toml").read_text()).why["train.refit"].why


def test_ctrl_c_after_the_training_keeps_the_model(monkeypatch, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    for where, told in (("again", fitting.NOT_REFITTED), ("check", fitting.NOT_JUDGED)):
        with monkeypatch.context() as patch:
            if where == "again":
                patch.setattr(training, "_unwatched", interrupted)
            else:
                patch.setattr(fitting, "figures", interrupted)
            made = rv.fit(table(), "y", epochs=2, refit=True, **QUIET)
        assert made.interrupted
        assert told in made.notes
        assert made.predict(table(3)).height == 3


def test_figures_are_of_the_truth_itself():
    made = rv.fit({"x": RNG.normal(size=N), "y": RNG.normal(size=N)}, "y", epochs=1, **QUIET)
    with pytest.warns(rv.RanvierWarning, match="1 value, such as 1e\\+13"):
        figures = made.evaluate({"x": [0.0, 0.0], "y": [0.0, 1e13]}, show=False)
    assert figures["rmse"] == pytest.approx(1e13 / 2**0.5, rel=1e-3)


def test_scales_of_rounding_noise_and_of_tiny_numbers():
    for values, least, most in (
        ([*RNG.normal(0, 1e-14, 1990), *np.linspace(1, 1000, 10)], 1, 100),
        ([5e-324, 0.0, 0.0, 0.0], 1, 1),
        ([*RNG.normal(size=999), -3.4e38], 0.5, 2),
    ):
        number = Number("x")
        number.learn([pl.Series("x", values)])
        assert least <= number.scale <= most
        assert np.isfinite(number.encode(pl.Series("x", values)).data).all()


def test_validation_rows_named_later_change_the_split(tmp_path):
    table().write_csv(tmp_path / "t.csv")
    table(30).write_csv(tmp_path / "v.csv")
    plan = rv.plan(tmp_path / "t.csv", "y")
    assert (plan.data.split, plan.train.refit) == ("stratified", True)
    plan.data.val = str(tmp_path / "v.csv")
    done = settle(plan)
    assert (done.data.split, done.train.refit) == ("none", False)


def test_options_of_columns_are_followed():
    pictures = RNG.integers(0, 255, (60, 96, 96, 3)).astype(np.uint8)
    plan = rv.plan({"img": pictures, "y": ["a", "b"] * 30}, "y")
    patch = plan.inputs["img"].encoder["patch"]
    plan.columns["img"].options["size"] = 16
    done = settle(plan)
    assert done.inputs["img"].encoder["patch"] < patch
    assert settle(done).leaves() == done.leaves()


def test_roles_that_only_one_column_can_have():
    plan = rv.plan(table().with_columns(w=pl.lit(1.0), u=pl.lit(-1.0)), "y", roles={"w": "weight"})
    plan.columns["u"].role = "weight"
    with pytest.raises(PlanError, match="columns 'w' and 'u' have the role weight"):
        settle(plan)
    plan.columns["w"].role = "ignore"
    with pytest.raises(DataError, match="weight column 'u', row 0"):
        settle(plan)


def test_numbers_written_as_text_give_a_target_away_too():
    price = RNG.integers(1000, 9000, N)
    columns = {"tag": [f"${p:,}" for p in price], "z": RNG.normal(size=N), "price": price.astype(float)}
    assert rv.plan(columns, "price").warnings == ["'tag' holds the same values as 'price'"]
    columns["price"] = [f"${2 * p:,}" for p in price]
    assert any("'tag' alone explains" in told for told in rv.plan(columns, "price").warnings)


def test_batch_norm_is_not_cut_into_micro_batches():
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(PlanError, match="rows see one another"):
        rv.train.fit(net, (torch.ones(8, 2), torch.zeros(8, 1)), loss="squared_error", micro=2)


def test_a_validation_figure_that_is_no_number_ends_the_run():
    x, y = torch.randn(16, 2), torch.zeros(16, 1)
    bad = torch.where(torch.arange(16)[:, None] == 3, torch.nan, x)
    with pytest.raises(RunError, match="validation figure 'loss' became nan"):
        rv.train.fit(nn.Linear(2, 1), (x, y), loss="squared_error", validation=(bad, y))


@pytest.mark.parametrize("data", [(torch.tensor(1.0), torch.tensor(1.0)), ([object()], [1.0])])
def test_what_is_no_array_of_rows_is_refused(data):
    with pytest.raises(DataError):
        rv.train.fit(nn.Linear(1, 1), data, loss="squared_error")


def test_columns_are_kept_beside_the_predictions(tmp_path):
    rows = table(30).with_columns(id=pl.Series([f"r{i}" for i in range(30)]))
    made = rv.fit(rows, "y", epochs=1, roles={"id": "id"}, **QUIET)
    answer = made.predict(rows.drop("y"), keep=["id", "x"])
    assert answer.columns[:3] == ["id", "x", "y"]
    assert answer["id"].to_list() == rows["id"].to_list()
    assert answer.drop("id", "x").equals(made.predict(rows.drop("y")))
    with pytest.raises(DataError, match="did you mean 'id'"):
        made.predict(rows, keep="idd")
    for name in ("y", "y_confidence"):
        with pytest.raises(DataError, match=f"'{name}' is a column of the answers"):
            made.predict(rows.with_columns(pl.lit("?").alias("y_confidence")), keep=name)
    with pytest.raises(DataError, match="only plain values and lists of them"):
        made.predict(rows.with_columns(pl.lit(b"?").alias("raw")), keep="raw")
    written = pl.read_csv(made.predict(rows, keep="id", to=tmp_path / "p.csv"))
    assert written.columns[:2] == ["id", "y"]
