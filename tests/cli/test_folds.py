"""Folds on the command line: the option, the figures of each fold, and going on after Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ranvier.cli.main import USER_ERROR, main
from ranvier.core.plan import Plan
from ranvier.samples import path

PENGUINS = str(path("penguins"))
HOW = ["-t", "species", "--folds", "3", "--size", "s", "--epochs", "1", "--threads", "1"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    assert main(["fit", PENGUINS, *HOW, "--no-progress", "--folder", str(folder / "run")]) == 0
    return folder / "run" / "model.rv"


def test_the_plan_says_how_many(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", PENGUINS, *HOW]) == 0
    text = capsys.readouterr().out
    assert Plan.from_toml(text).data.folds == 3
    Path("plan.toml").write_text(text)
    assert main(["plan", "plan.toml", "--folds", "0"]) == 0
    assert Plan.from_toml(capsys.readouterr().out).data.folds == 0
    assert main(["plan", "plan.toml", "--set", "data.folds=4"]) == 0
    assert Plan.from_toml(capsys.readouterr().out).data.fraction == 0.25
    assert main(["fit", PENGUINS, *HOW, "--val", PENGUINS]) == USER_ERROR
    assert "data.folds = 3, but validation rows were given apart" in capsys.readouterr().err


def test_figures_of_each_fold_are_shown(file, capsys):
    capsys.readouterr()
    assert main(["show", str(file)]) == 0
    out = capsys.readouterr().out
    assert "out of fold (each row judged by a network that never saw it)" in out
    assert "over 3 folds, ± standard error" in out
    assert "fold 3" in out
    assert "data.folds" in out
    assert main(["show", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    each = [figures["accuracy"] for figures in found["folds"]]
    assert len(each) == 3
    assert found["report"]["label"].startswith("out of fold")
    assert f"{sum(each) / 3:.4g} ± " in out


def test_a_folded_model_predicts_and_embeds(file, tmp_path, capsys):
    assert main(["predict", str(file), PENGUINS, "-o", str(tmp_path / "out.csv")]) == 0
    assert main(["embed", str(file), PENGUINS, "-o", str(tmp_path / "out.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["shape"][1] % 3 == 0


def test_fit_tells_the_folds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", PENGUINS, *HOW, "--folder", "run"]) == 0
    out, err = capsys.readouterr()
    assert "over 3 folds" in out
    assert "3 networks" in out
    assert "fold 2 of 3: loss" in err
    assert main(["resume", "run", "--no-progress", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["folds"]) == 3
