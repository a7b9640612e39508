"""Models of pictures: several at once, kept in memory or on disk, of any encoder."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from model.made import picture
from PIL import Image
from safetensors import safe_open

from ranvier.core import room
from ranvier.model.fit import fit
from ranvier.planning.make import make_plan
from ranvier.samples import path
from ranvier.train import checkpoint

QUICK = {"threads": 1, "size": "s", "epochs": 2, "progress": False}


def pairs(rows: int = 60) -> pl.DataFrame:
    """Two pictures of other sizes; y tells whether one of them, and which, is bright."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, rows)
    left = [picture(60 + 140 * (k == 1), random) for k in y]
    right = [picture(60 + 140 * (k == 2), random) for k in y]
    gaps = {name: [None if i % 9 == n else v for i, v in enumerate(values)] for n, (name, values) in enumerate(
        {"left": left, "right": right}.items()
    )}  # fmt: skip
    return pl.DataFrame({**gaps, "y": [["none", "left", "right"][k] for k in y]})


@pytest.mark.parametrize("encoder", ["cnn", "convnext", "vit"])
def test_two_pictures_in_one_model(encoder):
    data = pairs()
    plan = make_plan(data, "y", size="s", threads=1, epochs=6 if encoder == "cnn" else 1)
    for chosen in plan.inputs.values():
        chosen.encoder = {"name": encoder}
    assert [plan.columns[name].type for name in plan.inputs] == ["image", "image"]
    model = fit(plan, progress=False)
    assert model.predict(data)["y"].null_count() == 0
    if encoder == "cnn":
        assert model.evaluate(data, show=False)["accuracy"] > 0.8


def test_weights_are_the_same_where_pictures_are_on_disk(monkeypatch, tmp_path):
    data = pairs()
    inside = fit(data, "y", folder=tmp_path / "inside", **QUICK)
    monkeypatch.setattr(room, "SHARE", 0.0)
    outside = fit(data, "y", folder=tmp_path / "outside", **QUICK)
    kept = [note for note in outside.notes if "kept on disk" in note]
    assert any(note.startswith("left: the pixels take") for note in kept)
    assert not any("kept on disk" in note for note in inside.notes)
    for mine, theirs in zip(inside.task.state_dict().values(), outside.task.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = (_facts(tmp_path / name / checkpoint.NAME) for name in ("inside", "outside"))
    assert mine == theirs  # so that a run that was killed may go on either way
    assert "the hash of all encoded rows" in mine


def _facts(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["ranvier"])["facts"]


def test_a_restorer_that_learns_is_not_said_to_have_vanishing_gradients():
    files = pl.read_parquet(path("fashion_train"))["image"].head(400)
    clean = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    noisy = (clean + np.random.default_rng(0).normal(0, 75, clean.shape)).clip(0, 255).astype(np.uint8)
    how = {"size": "s", "epochs": 10, "threads": 1, "progress": False}
    model = fit({"noisy": noisy, "clean": clean}, "clean", inputs=["noisy"], **how)
    assert model.report.metrics["psnr"] > 16
    assert not any("vanishing" in note for note in model.notes)


def test_a_folder_of_pictures_serves_a_model_that_calls_them_otherwise(tmp_path):
    data = pairs(40).select(pl.col("left").alias("photo"), pl.col("y") == "left").drop_nulls()
    model = fit(data, "y", types={"photo": "image"}, **QUICK)
    for place, content in enumerate(data["photo"]):
        (tmp_path / f"{place:02}.png").write_bytes(content)
    said = model.predict(tmp_path)
    assert said["y"].to_list() == model.predict(data)["y"].to_list()
    assert said.columns[0] == "image"  # the file, beside the answer
