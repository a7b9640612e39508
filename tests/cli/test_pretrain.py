"""`ranvier pretrain`: a model of texts without labels, a fit that starts from it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from ranvier.cli.main import USER_ERROR, main
from ranvier.model.model import load

TINY = ["--set", "inputs.said.encoder.width=8", "--set", "inputs.said.encoder.depth=1"]
HOW = ["--epochs", "1", "--threads", "1", "--no-progress"]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = [f"a {'good' if i % 2 else 'bad'} film of some kind number {i % 7}" for i in range(60)]
    pl.DataFrame({"said": said, "y": ["yes" if i % 2 else "no" for i in range(60)]}).write_csv("data.csv")


def test_a_fit_starts_from_what_was_pretrained(capsys):
    assert main(["pretrain", "data.csv", "--column", "said", *TINY, *HOW, "-o", "base.rv", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["validation"]["targets"]["said"]["kind"] == "masked"
    assert load("base.rv").plan.inputs["said"].encoder["width"] == 8
    assert main(["fit", "data.csv", "-t", "y", "-i", "said", *HOW, "--init", "base.rv", "-o", "model.rv"]) == 0
    out, err = capsys.readouterr()
    assert "as in what it starts from" in out  # the plan that is shown is the one that is run
    assert "tensors start from the given model" in err
    assert load("model.rv").plan.inputs["said"].encoder["width"] == 8


def test_next_tokens(capsys):
    small = ["--set", "targets.said.head.layer_width=16", "--set", "targets.said.head.depth=1"]
    small += ["--set", "targets.said.head.heads=1", "--kind", "next", "--encoder", "gru"]
    assert main(["pretrain", "data.csv", "--column", "said", *small, *HOW, "-o", "base.rv"]) == 0
    assert "perplexity" in capsys.readouterr().out
    assert load("base.rv").plan.targets["said"].head["decoder"] == "gru"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["-o", "no/base.rv"], "there is no folder no"),
        (["-o", "data.csv"], "would be lost"),
        (["--column", "sad"], "did you mean 'said'"),
        (["--column", "said", "--kind", "hidden"], "kind = 'hidden'"),
        (["--column", "said", "--kind", "causal"], "kind = 'causal': here it is 'next'"),
        (["--column", "said", "--kind", "MLM"], "kind = 'MLM': here it is 'masked'"),
        (["--column", "said", "--encoder", "lstn"], "did you mean 'lstm'"),
    ],
)
def test_refused(arguments, match, capsys):
    assert main(["pretrain", "data.csv", *arguments]) == USER_ERROR
    assert match in capsys.readouterr().err
