"""`ranvier embeddings`: what it writes and refuses, and a fit that starts from it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from ranvier.cli.main import USER_ERROR, main
from ranvier.lexicon.vectors import embeddings_from


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = [f"a {'good' if i % 2 else 'bad'} film of some kind number {i % 7}" for i in range(60)]
    pl.DataFrame({"said": said, "y": ["yes" if i % 2 else "no" for i in range(60)]}).write_csv("data.csv")


def test_vectors_and_a_model_from_them(capsys):
    how = ["--column", "said", "--width", "8", "--epochs", "2", "--no-progress"]
    assert main(["embeddings", "data.csv", "-o", "words.txt", *how, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "note: words.txt keeps no n-grams" in err
    told = json.loads(out)
    words = embeddings_from("words.txt")
    assert (told["file"], told["words"], told["width"]) == ("words.txt", len(words), 8)
    assert main(["embeddings", "data.csv", "-o", "words.safetensors", *how, "--ngrams", "2-4"]) == 0
    assert "saved: words.safetensors" in capsys.readouterr().out
    grams = embeddings_from("words.safetensors").grams
    assert grams is not None
    assert grams.lengths == (2, 4)
    encoder = ["--set", "inputs.said.encoder=lstm", "--set", "inputs.said.encoder.embedding=8"]
    how = [
        "-t",
        "y",
        "--types",
        "said=text",
        *encoder,
        "--epochs",
        "1",
        "--threads",
        "1",
        "--no-progress",
        "--init",
        "words.txt",
    ]
    assert main(["fit", "data.csv", *how]) == 0
    assert "start from the given vectors of words" in capsys.readouterr().err


def test_who_names_another_network_for_vectors_gets_it(capsys):
    assert main(["embeddings", "data.csv", "-o", "words.txt", "--column", "said", "--width", "8", "--no-progress"]) == 0
    capsys.readouterr()
    encoders = []
    for change in ([], ["--set", "inputs.said.encoder.name=gru"]):
        how = ["-t", "y", "--types", "said=text", "--init", "words.txt", "--json", *change]
        assert main(["plan", "data.csv", *how]) == 0
        encoders.append(json.loads(capsys.readouterr().out)["inputs"]["said"]["encoder"]["name"])
    assert encoders == ["bag", "gru"]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["-o", "no/words.txt"], "there is no folder no"),
        (["-o", "data.csv"], "would be lost"),
        (["-o", "words.foo"], "known again by the endings .txt"),
        (["-o", "words.txt", "--ngrams", "few"], "expected two lengths, such as 3-6"),
        (["-o", "words.txt", "--ngrams", "6-3"], "expected two lengths"),
        (["-o", "words.txt", "--column", "sad"], "did you mean 'said'"),
    ],
)
def test_refused(arguments, match, capsys):
    assert main(["embeddings", "data.csv", *arguments]) == USER_ERROR
    assert match in capsys.readouterr().err
