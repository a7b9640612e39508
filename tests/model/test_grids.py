"""Grids of pictures while training: which steps, of which weights, and that nothing of the training changes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from model.test_fit import At, Boom, boom, same
from PIL import Image

import ranvier as rv
from ranvier.columns.grid import grid
from ranvier.columns.pixels import rounded
from ranvier.core.errors import DataError
from ranvier.core.plan import Plan
from ranvier.model import grids, training
from ranvier.model.grids import MOST, SEED
from ranvier.model.pictures import save_png
from ranvier.train import keeper


def pictures(rows: int = 80) -> dict[str, object]:
    """8 x 8 pixels of one grey."""
    chance = np.random.default_rng(0)
    kind = np.arange(rows) % 2
    greys = (100 * kind + chance.integers(0, 100, rows))[:, None, None]
    return {"x": np.broadcast_to(greys, (rows, 8, 8)).astype(np.uint8), "kind": np.where(kind, "light", "dark")}


def made(head: str, inputs: list[str], epochs: float = 3) -> Plan:
    plan = rv.plan(pictures(), target="x", inputs=inputs, epochs=epochs, batch=16, threads=1, val=pictures(40))
    plan.targets["x"].head = {"name": head, "widths": [8, 8]} | ({"steps": 3} if head == "diffusion" else {})
    plan.train.precision = "fp32"
    if head == "image":  # the weights after every grid, with what batch norm has seen
        plan.train.keep = "last"
    for name in set(inputs) & {"x"}:
        plan.inputs[name].encoder["widths"] = [8, 8]
    return plan


def fit(plan: Plan, folder: Path | None = None, **how):
    return rv.fit(plan, folder=folder, progress=False, **how)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "samples").iterdir())}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)[:, :, None]


def validations(folder: Path) -> list[int]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [int(line["step"]) for line in lines if "val_loss" in line]


CASES = [("diffusion", []), ("vae", ["kind"]), ("image", ["x"])]


@pytest.mark.parametrize(("head", "inputs"), CASES, ids=[head for head, _ in CASES])
def test_nothing_of_the_training_changes(head, inputs, tmp_path):
    plan = made(head, inputs)
    watched = fit(plan, tmp_path / "run")
    kept = files(tmp_path / "run")
    steps = validations(tmp_path / "run")
    assert list(kept) == [f"step-{step:06d}.png" for step in steps]
    assert 1 < len(kept) <= MOST
    assert same(fit(plan), watched)
    last = pixels(tmp_path / "run" / "samples" / f"step-{steps[-1]:06d}.png")
    if head == "image":  # pairs: 32 in 4 lines of 8
        truth = watched.columns["x"].encode(rv.read(pictures(40)).frame["x"]).data[:32]
        expected = grid(np.concatenate([truth, np.zeros_like(truth)], 2))
        mine = np.arange(expected.shape[1]) % 17 < 9  # lines and truths
        assert (last[:, mine] == expected[:, mine]).all()
        assert last[:, ~mine].any()
    else:
        assert last.shape == ((55, 64, 1) if inputs else (73, 73, 1))


def test_the_last_grid_is_of_the_weights_that_are_kept(tmp_path):
    plan = made("diffusion", [])
    assert plan.train.keep == "average"
    model = fit(plan, tmp_path / "run")
    rows, generator = pl.DataFrame({"row": range(64)}), torch.Generator().manual_seed(SEED)
    (answers,) = model.networks[0].drawn(rows, [], generator=generator)
    said = answers["x"]["pixels"]
    assert (pixels(sorted((tmp_path / "run" / "samples").iterdir())[-1]) == grid(rounded(said))).all()


def test_a_resumed_run_writes_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "OFTEN", 1e-9)  # a checkpoint after every step
    monkeypatch.setattr(keeper, "SHARE", math.inf)
    plan = made("diffusion", ["kind"])
    whole = fit(plan, tmp_path / "whole")
    with pytest.raises(Boom):
        fit(plan, tmp_path / "run", callbacks=[At(9, boom)])
    assert 0 < len(files(tmp_path / "run")) < len(files(tmp_path / "whole"))
    resumed = fit(plan, tmp_path / "run", resume=True)
    assert same(resumed, whole)
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_few_of_many_validations(tmp_path, monkeypatch):
    monkeypatch.setattr(grids, "MOST", 2)
    plan = made("vae", [], epochs=6)
    fit(plan, tmp_path / "run")
    steps = validations(tmp_path / "run")
    assert len(steps) > 4
    names = list(files(tmp_path / "run"))
    assert len(names) <= 3
    assert names[-1] == f"step-{steps[-1]:06d}.png"


def test_limited_time_is_kept_to(tmp_path, monkeypatch):
    monkeypatch.setattr(grids, "SHARE", 0.0)
    plan = made("vae", [])
    plan.train.time = 600.0
    fit(plan, tmp_path / "run")
    steps = validations(tmp_path / "run")
    assert len(steps) > 2
    assert list(files(tmp_path / "run")) == [f"step-{step:06d}.png" for step in (steps[0], steps[-1])]


@pytest.mark.parametrize(("head", "inputs"), [("vae", ["kind"]), ("image", ["x"])], ids=["vae", "image"])
def test_without_validation_rows_there_are_grids_too(head, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "OFTEN", 1e-9)  # records of checkpoints are none for a grid
    monkeypatch.setattr(keeper, "SHARE", math.inf)
    plan = rv.plan(pictures(), target="x", inputs=inputs, epochs=6, batch=16, threads=1, split="none")
    plan.targets["x"].head = {"name": head, "widths": [8, 8]}
    plan.train.precision = "fp32"
    monkeypatch.setattr(grids, "MOST", 4)
    watched = fit(plan, tmp_path / "run")
    kept = files(tmp_path / "run")
    assert validations(tmp_path / "run") == []
    assert 2 < len(kept) <= 5
    assert list(kept)[-1] == f"step-{watched.history[-1]['step']:06.0f}.png"
    if head == "image":
        truth = watched.columns["x"].encode(rv.read(pictures()).frame["x"]).data[:32]
        assert (pixels(tmp_path / "run" / "samples" / list(kept)[-1])[1:9, 1:9] == truth[0]).all()
    assert same(fit(plan), watched)


def test_a_grid_is_whole_or_not_there(tmp_path, monkeypatch):
    path, before = tmp_path / "grid.png", np.zeros((4, 4, 1), np.uint8)
    save_png(before, path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(DataError, match="No space left"):
            save_png(before + 9, path)
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]
    assert (pixels(path) == before).all()


def test_what_has_no_pictures_has_no_grids(tmp_path):
    plan = rv.plan(pictures(), target="kind", inputs=["x"], epochs=1, threads=1)
    plan.inputs["x"].encoder["widths"] = [8, 8]
    fit(plan, tmp_path / "run")
    assert not (tmp_path / "run" / "samples").exists()
