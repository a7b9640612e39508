"""`ranvier lr`: what it prints, the picture, the plan it writes, what it refuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ranvier.cli.main import USER_ERROR, main
from ranvier.core.plan import Plan
from ranvier.samples import path

PENGUINS = str(path("penguins"))
HOW = ["--threads", "1", "--size", "s"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text_picture_and_plan(capsys):
    assert main(["lr", PENGUINS, "-t", "species", *HOW, "-o", "lr.svg", "--into", "plan.toml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("loss  ▇▇▇")
    assert "suggested rate: 0.0" in out
    assert "train by it: ranvier fit plan.toml" in out
    ET.parse("lr.svg")
    plan = Plan.from_toml(Path("plan.toml").read_text())
    assert f"suggested rate: {plan.train.rate:g}," in out
    assert plan.why["train.rate"].why == "as asked"
    plan.train.rate = 0.5
    Path("plan.toml").write_text(plan.to_toml())
    assert main(["lr", "plan.toml", "--into", "plan.toml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Plan.from_toml(Path("plan.toml").read_text()).train.rate == told["rate"]
    assert told["plan"] == "plan.toml"
    assert told["picture"] is None
    assert len(told["rates"]) == len(told["losses"])
    assert main(["fit", "plan.toml", "--epochs", "1", "--no-progress"]) == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["-o", "no/lr.svg"], "there is no folder no"),
        (["-o", "lr.png"], "the picture is an SVG"),
        (["--into", PENGUINS], "is the data; name a new file for --into"),
        (["--into", "other.toml"], "is there already, and is not the plan that was read"),
        (["--optimizer", "lyon"], "did you mean 'lion'"),
    ],
)
def test_refused(arguments, match, capsys):
    Path("other.toml").write_text("mine")
    assert main(["lr", PENGUINS, "-t", "species", *HOW, *arguments]) == USER_ERROR
    assert match in capsys.readouterr().err
    assert Path("other.toml").read_text() == "mine"
