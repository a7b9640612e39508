"""The verbs of identities: verify, identify, learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import ranvier as rv
from ranvier.cli.main import USER_ERROR, main


def shades(rows: int) -> dict[str, np.ndarray]:
    """Pictures of eight shades, whose names are numbers."""
    greys = np.repeat(np.linspace(0, 252, 8), rows).astype(np.uint8)
    return {"image": np.broadcast_to(greys[:, None, None], (len(greys), 8, 8)).copy(), "who": greys.astype(int)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    plan = rv.plan(shades(4), "who", types={"who": "identity"}, epochs=2, threads=1)
    plan.inputs["image"].encoder.update(widths=[8, 8])
    return str(rv.fit(plan, progress=False).save(tmp_path_factory.mktemp("model") / "shades.rv"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every verb runs in a folder with a few pictures, and a table that names two of them."""
    monkeypatch.chdir(tmp_path)
    for name, shade in {"a": 0, "b": 2, "c": 252}.items():
        Image.fromarray(np.full((8, 8), shade, np.uint8)).save(f"{name}.png")
    pl.DataFrame({"image": ["a.png", "c.png"], "who": [1, 2]}).write_csv("known.csv")
    return tmp_path


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_two_pictures_are_compared(model, capsys):
    said = told(["verify", model, "a.png", "b.png", "--threshold", "0.5"], capsys)
    assert (said["rows"], said["threshold"]) == (1, 0.5)
    assert said["pairs"][0].keys() == {"similarity", "same"}
    assert main(["verify", model, "a.png", "a.png"]) == 0
    assert "the same: similarity 1.000" in capsys.readouterr().out
    pl.DataFrame({"image": ["a.png"] * 30}).write_csv("many.csv")
    assert main(["verify", model, "many.csv", "a.png"]) == 0
    assert "30 rows, 2 columns; all of them: --json" in capsys.readouterr().out
    assert main(["verify", model, "many.csv", "lost.png"]) == USER_ERROR


def test_pictures_are_named_by_a_gallery(model, capsys):
    said = told(["identify", model, "a.png", "c.png", "--gallery", "known.csv"], capsys)
    assert [row["who_nearest"] for row in said["identities"]] == [1, 2]
    assert main(["identify", model, "known.csv", "-o", "out.csv"]) == 0
    assert pl.read_csv("out.csv").columns == ["who", "who_nearest", "who_similarity"]
    assert main(["identify", model, "a.png", "--gallery", "a.png"]) == USER_ERROR


def test_one_is_learnt_and_kept(model, capsys):
    said = told(["learn", model, "1000", "a.png", "b.png", "-o", "more.rv"], capsys)
    assert (said["examples"], said["identities"]) == (2, 9)
    assert rv.load("more.rv").gallery.names[-1] == "1000"
    assert main(["learn", "more.rv", "1000", "a.png", "-o", "more.rv"]) == USER_ERROR
    assert "--replace" in capsys.readouterr().err
    assert told(["learn", "more.rv", "1000", "a.png", "-o", "more.rv", "--replace"], capsys)["examples"] == 1
    assert main(["learn", model, "Ada", "a.png", "-o", "ada.rv"]) == USER_ERROR
