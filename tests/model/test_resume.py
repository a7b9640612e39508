"""Runs that were killed at any point go on to the same weights; folders, logs and bars tell of both stages."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest
import torch
from model.made import table
from model.test_fit import At, Boom, boom, same

from ranvier.core.errors import DataError, FileError, RunError
from ranvier.core.training import Callback
from ranvier.model import fit as fit_module
from ranvier.model import training
from ranvier.model.file import save
from ranvier.model.fit import fit, resume
from ranvier.model.folder import RunFolder, digest
from ranvier.model.model import Model, load
from ranvier.model.progress import ProgressBar
from ranvier.planning.make import make_plan
from ranvier.tasks.columns import ColumnsTask
from ranvier.train import keeper
from ranvier.train.callbacks import LogFile
from ranvier.train.engine import Engine

HOW = {"inputs": ["a", "b", "c"], "epochs": 8, "threads": 1, "refit": True, "progress": False}


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every step, whatever the clock says."""
    monkeypatch.setattr(training, "OFTEN", 1e-9)
    monkeypatch.setattr(keeper, "SHARE", math.inf)


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def kill_in(monkeypatch, folder: str, step: int):
    """The run ends with Boom when the log in a folder of that name is told of a step."""
    usual = LogFile.on_log

    def on_log(self, at, record):
        usual(self, at, record)
        if self.path.parent.name == folder and at >= step:
            raise Boom
        return False

    monkeypatch.setattr(LogFile, "on_log", on_log)


@pytest.mark.parametrize("stage", ["first", "again"])
@pytest.mark.parametrize("start", [False, True])
def test_killed_in_either_stage(tmp_path, monkeypatch, often, small, stage, start):
    how = {**HOW, "init": small} if start else HOW
    whole = fit(table(), "y", folder=tmp_path / "whole", **how)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill_in(patch, "run" if stage == "first" else "again", 5)
        with pytest.raises(Boom):
            fit(table(), "y", folder=folder, **how)
    assert (folder / "again" / "checkpoint.safetensors").exists() == (stage == "again")
    taken = []
    usual = Engine.train_step
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "train_step", lambda self, batch: (taken.append(self.progress.step), usual(self, batch)))
        again = {**HOW, "init": "gone.rv"} if start else HOW  # the folder knows its init, and no other is opened
        resumed = fit(table(), "y", folder=folder, resume=True, **again)
    assert same(resumed, whole)
    assert same(load(folder / "model.rv"), whole)
    assert resumed.report == whole.report
    assert resumed.notes == whole.notes
    assert taken[0] == 4  # not one step more than needed
    assert (taken.count(0) == 0) == (stage == "again")
    for log in ("log.jsonl", "again/log.jsonl"):
        assert steps(folder / log) == steps(tmp_path / "whole" / log)


def test_killed_before_the_first_log(tmp_path, monkeypatch):
    whole = fit(table(), "y", **HOW)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "train_step", lambda self, batch: boom())
        with pytest.raises(Boom):
            fit(table(), "y", folder=tmp_path, **HOW)
    assert same(fit(table(), "y", folder=tmp_path, resume=True, **HOW), whole)


def test_other_data_are_not_gone_on_with(tmp_path):
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(5, boom)], **HOW)
    other = table().with_columns(b=pl.col("b") * 1.5)
    with pytest.raises(RunError, match="started with the hash of all encoded rows"):
        fit(other, "y", folder=tmp_path, resume=True, **HOW)
    fit(other, "y", folder=tmp_path, resume=True, inexact=True, **HOW)


def test_names_of_classes_are_part_of_the_hash():
    one, other = {"labels": ["a", "b"]}, {"labels": ["b", "a"]}
    assert digest(one) == digest({"labels": ["a", "b"]}) != digest(other)
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_a_folder_keeps_one_run(tmp_path):
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(5, boom)], **HOW)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError, match=r"holds a run already.*rv\.resume"):
        fit(table(), "y", folder=tmp_path, **HOW)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "checkpoint.safetensors").unlink()
    fit(table(), "y", folder=tmp_path, **HOW)  # killed before its first step, by the same plan
    assert steps(tmp_path / "log.jsonl") == sorted(set(steps(tmp_path / "log.jsonl")))


@pytest.mark.parametrize("damage", ["x = = 1", "", b"\xff\xfe\xff"])
def test_a_damaged_plan_in_the_folder(tmp_path, damage):
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(5, boom)], **HOW)
    if damage == "":
        (tmp_path / "plan.toml").unlink()
    else:
        (tmp_path / "plan.toml").write_bytes(damage.encode() if isinstance(damage, str) else damage)
    with pytest.raises(FileError, match=r"plan\.toml is damaged"):
        fit(table(), "y", folder=tmp_path, resume=True, **HOW)


def test_a_damaged_checkpoint(tmp_path):
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(5, boom)], **HOW)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x08" + bytes(30))
    with pytest.raises(FileError, match="no checkpoint that can be read"):
        fit(table(), "y", folder=tmp_path, resume=True, **HOW)


def test_threads_and_random_state_are_as_before(monkeypatch):
    told, before = [], torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    fit(table(), "y", **{**HOW, "threads": 2, "refit": False, "epochs": 1})
    assert torch.equal(torch.random.get_rng_state(), state)
    assert told[0] == 2
    assert told[-1] == before


def test_a_bar_for_each_stage_and_both_are_closed(monkeypatch, capsys):
    ended = []
    monkeypatch.setattr(ProgressBar, "on_end", lambda self: ended.append(self.title))
    fit(table(), "y", **{**HOW, "progress": True})
    assert ended == ["", "again, on all rows: "]
    assert "again, on all rows: loss" in capsys.readouterr().err
    with pytest.raises(Boom):
        fit(table(), "y", callbacks=[At(5, boom)], **{**HOW, "progress": True})
    assert len(ended) == 3


def test_without_a_terminal_a_line_stands_for_each_tenth_of_a_run():
    import io

    from rich.console import Console

    bar = ProgressBar(100, "loss:min")
    bar.console = Console(file=io.StringIO(), width=200)
    for step in range(2, 101, 2):
        bar.on_log(step, {"step": float(step), "seconds": 1.0, "rows": 9.0, "loss": 0.5})
    assert [line.split()[1] for line in bar.console.file.getvalue().splitlines()] == [
        f"{step}/100" for step in range(10, 101, 10)
    ]


def test_a_bar_ends_when_it_is_told(monkeypatch):
    import io

    from rich.console import Console

    bar = ProgressBar(100, "loss:min")
    bar.console = Console(file=io.StringIO(), force_terminal=True)
    bar.on_log(3, {"step": 3.0, "seconds": 1.0, "rows": 9.0, "loss": 0.5})
    drawn = bar.bar
    assert drawn.live.is_started
    bar.on_end()
    assert not drawn.live.is_started


def test_warnings_are_told_before_training(capsys):
    leaky = table().with_columns(copy=pl.col("y"))

    class First(Callback):
        def on_log(self, step, record):
            seen.append(capsys.readouterr().err)
            return True

    how = {**HOW, "inputs": ["a", "copy"]}
    seen: list[str] = []
    plain = fit(leaky, "y", callbacks=[First()], **{**how, "progress": True})
    assert plain.plan.warnings
    assert f"note: {plain.plan.warnings[0]}\n" in seen[0]
    capsys.readouterr()
    fit(leaky, "y", **how)
    assert capsys.readouterr().err == ""


FROZEN = {**HOW, "refit": False, "rate": 1e-12, "decay": 0.0, "epochs": 1}  # so small a rate moves nothing


def embedded(frame, seed=0, **how):
    """A model whose category c has an embedding."""
    plan = make_plan(frame, "y", seed=seed, **{k: v for k, v in FROZEN.items() if k != "progress"})
    plan.inputs["c"].encoder = {"name": "category", "one_hot": 1}
    return fit(plan, progress=False, **how)


def equal(model, other, part):
    mine, theirs = (m.task.parts()[part].state_dict() for m in (model, other))
    assert mine
    return all(torch.allclose(tensor, theirs[name], atol=1e-6) for name, tensor in mine.items())


def test_init_leaves_parts_whose_words_have_changed():
    first = embedded(table(), seed=1)
    other = table().with_columns(c=pl.col("c").replace({"u": "x"}))  # as many categories, others
    model = embedded(other, init=first)
    assert model.notes[-1].endswith("; new, in whole or in part: encoder of '[category]', fuse")
    assert equal(model, first, "head of 'y'")
    labels = embedded(table().with_columns(y=pl.col("y").replace({"p": "r"})), init=first)
    assert labels.notes[-1].endswith("; new, in whole or in part: head of 'y'")
    assert equal(labels, first, "encoder of '[category]'")
    assert equal(labels, first, "fuse")


def test_init_finds_a_part_by_its_columns_not_its_place():
    first = embedded(table(), seed=1)
    model = embedded(table().select("c", "y", "b", "a"), init=first)
    assert list(model.task.parts()) != list(first.task.parts())
    assert equal(model, first, "encoder of '[category]'")
    assert "encoder of '[category]'" not in model.notes[-1]
    assert "fuse" in model.notes[-1]


def test_an_init_that_was_kept_is_a_model(tmp_path, small):
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, init=small, callbacks=[At(5, boom)], **HOW)
    assert same(load(tmp_path / "init.rv"), small)
    save(small, tmp_path / "other.rv")
    assert (tmp_path / "other.rv").read_bytes() == (tmp_path / "init.rv").read_bytes()


def test_resume_by_the_folder_alone(tmp_path):
    path = tmp_path / "t.parquet"
    table().write_parquet(path)
    whole = fit(path, "y", **HOW)
    with pytest.raises(Boom):
        fit(path, "y", folder=tmp_path / "run", callbacks=[At(5, boom)], **HOW)
    assert same(resume(tmp_path / "run", progress=False), whole)
    with pytest.raises(RunError, match=r"no folder of a run: it holds no plan\.toml"):
        resume(tmp_path)
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path / "memory", callbacks=[At(5, boom)], **HOW)
    with pytest.raises(RunError, match=r"data that were in memory; give them again.*resume=True"):
        resume(tmp_path / "memory")


def test_killed_before_the_first_checkpoint(tmp_path):
    path, folder = tmp_path / "t.parquet", tmp_path / "run"
    table().write_parquet(path)
    plan = make_plan(path, "y", **{k: v for k, v in HOW.items() if k != "progress"})
    RunFolder(folder).begin(plan, None)
    path.rename(tmp_path / "away.parquet")
    with pytest.raises(DataError):
        resume(folder, progress=False)
    assert (folder / "plan.toml").exists()  # it is lost by no failure
    (tmp_path / "away.parquet").rename(path)
    assert same(resume(folder, progress=False), fit(path, "y", **HOW))


def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(tmp_path, monkeypatch, often):
    whole = fit(table(), "y", **HOW)
    with pytest.raises(Boom):
        fit(table(), "y", folder=tmp_path, callbacks=[At(9, boom)], **HOW)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    resumed = fit(table(), "y", folder=tmp_path, resume=True, **HOW)
    assert same(resumed, whole)
    assert any("goes on from the checkpoint before it, at step 7" in note for note in resumed.notes)


def test_a_folder_that_cannot_be_made():
    with pytest.raises(RunError, match=r"no run can be kept in /proc/ranvier: .*; name another folder"):
        fit(table(), "y", folder="/proc/ranvier", **HOW)


def test_a_model_that_cannot_be_kept_can_be_had_later(tmp_path, monkeypatch):
    def full(model, path):
        raise FileError(f"cannot write {path}: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Model, "save", full)
        with pytest.raises(
            FileError, match="No space left on device; what was learnt is in the checkpoints there: make room"
        ):
            fit(table(), "y", folder=tmp_path, **HOW)
    whole, taken = fit(table(), "y", **HOW), []
    monkeypatch.setattr(Engine, "train_step", lambda self, batch: taken.append(batch))
    assert same(fit(table(), "y", folder=tmp_path, resume=True, **HOW), whole)
    assert taken == []


@pytest.mark.parametrize("folds", [0, 3])
def test_memory_that_ran_out_is_told_and_a_resumed_run_keeps_to_the_pieces(tmp_path, monkeypatch, often, folds):
    usual, seen = ColumnsTask.features, []

    def features(self, batch):
        if self.training:
            seen.append(batch.size)
            if batch.size > 9 and len(seen) > 5:  # beyond what is tried before the start
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much.")
        return usual(self, batch)

    how = {**HOW, "refit": False, "folds": folds, "batch": 16}
    plan = make_plan(table(), "y", **{k: v for k, v in how.items() if k != "progress"})
    plan.fuse = {"name": "mlp", "norm": "layer"}
    monkeypatch.setattr(ColumnsTask, "features", features)
    with pytest.raises(Boom):
        fit(plan, folder=tmp_path, callbacks=[At(7, boom)], progress=False)
    seen[:] = [0] * 6
    resumed = fit(plan, folder=tmp_path, resume=True, progress=False)
    assert 16 not in seen[: 6 + 2 * 4]
    assert any(
        "the memory of the device ran out with 16 rows at once: from here on it is 8" in n for n in resumed.notes
    )


def test_memory_that_runs_out_after_training_is_told(monkeypatch):
    def full(self, batch, **how):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much.")

    monkeypatch.setattr(ColumnsTask, "predict", full)
    with pytest.raises(RunError, match=r"ran out while rows were predicted \(CUDA out of memory.*fewer rows at a time"):
        fit(table(), "y", **HOW)


def test_a_folder_that_fails_at_the_end_hides_no_model_and_no_error(tmp_path, monkeypatch):
    def fails(self):
        raise PermissionError(13, "Permission denied")

    how = {**HOW, "refit": False, "epochs": 1}
    run, usual = fit_module._run, RunFolder.begun

    def then_fails(given):
        model = run(given)
        monkeypatch.setattr(RunFolder, "begun", fails)
        return model

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "_run", then_fails)
        assert fit(table(), "y", folder=tmp_path / "good", **how).report is not None
    monkeypatch.setattr(RunFolder, "begun", usual)

    def dies(given):
        monkeypatch.setattr(RunFolder, "begun", fails)
        raise Boom

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "_run", dies)
        with pytest.raises(Boom) as caught:
            fit(table(), "y", folder=tmp_path / "bad", **how)
    assert caught.value.__context__ is None


class Stops(Callback):
    def __init__(self, step):
        self.step = step

    def on_log(self, step, record):
        return step >= self.step


@pytest.mark.parametrize("folds", [0, 3])
def test_a_run_that_a_callback_stopped_goes_on_when_it_is_resumed(tmp_path, folds):
    def says(model):
        return model.predict(table())

    how = {**HOW, "folds": folds, "refit": not folds}
    whole = fit(table(), "y", **how)
    stopped = fit(table(), "y", folder=tmp_path, callbacks=[Stops(5)], **how)
    assert not says(stopped).equals(says(whole))
    resumed = fit(table(), "y", folder=tmp_path, resume=True, **how)
    assert says(resumed).equals(says(whole))
    assert says(load(tmp_path / "model.rv")).equals(says(whole))
    told = "a callback had stopped this training at step 5; resumed, it goes on"
    assert any(note.endswith(told) for note in resumed.notes)
    assert fit_module.NOTHING_LEFT not in resumed.notes


def test_one_that_was_killed_after_a_callback_stopped_it_ends_there(tmp_path, monkeypatch):
    whole = fit(table(), "y", callbacks=[Stops(5)], **HOW)
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "hold_out", lambda *given: boom())
        with pytest.raises(Boom):
            fit(table(), "y", folder=tmp_path, callbacks=[Stops(5)], **HOW)
    resumed = fit(table(), "y", folder=tmp_path, resume=True, **HOW)
    assert same(resumed, whole)
    assert resumed.notes == whole.notes


@pytest.mark.parametrize("how", [{}, {"patience": 1, "rate": 1e-9, "epochs": 40}])
def test_a_run_that_has_ended_says_so_when_it_is_resumed(tmp_path, monkeypatch, how):
    how = {**HOW, "refit": False, **how}
    whole = fit(table(), "y", folder=tmp_path, **how)
    assert any(": no better for 1 validation" in note for note in whole.notes) == ("patience" in how)
    monkeypatch.setattr(Engine, "train_step", lambda self, batch: boom())
    resumed = fit(table(), "y", folder=tmp_path, resume=True, **how)
    assert same(resumed, whole)
    assert resumed.notes == [*whole.notes, fit_module.NOTHING_LEFT]
    assert load(tmp_path / "model.rv").notes == whole.notes
