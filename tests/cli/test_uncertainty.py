"""How sure a model is, on the command line."""

from __future__ import annotations

import json

import polars as pl
import pytest

from ranvier.cli.main import USER_ERROR, main
from ranvier.model.model import load
from ranvier.samples import path

PENGUINS = str(path("penguins"))


def test_predict_tells_how_sure_it_is(tmp_path, capsys):
    model, out = str(tmp_path / "m.rv"), tmp_path / "out.csv"
    how = ["--size", "s", "--epochs", "1", "--threads", "1", "--no-progress"]
    assert main(["fit", PENGUINS, "-t", "species", "-t", "body_mass_g", *how, "-o", model]) == 0
    assert main(["predict", model, PENGUINS, "--uncertainty", "0.8", "-o", str(out)]) == 0
    expected, written = load(model).predict(PENGUINS, uncertainty=0.8), pl.read_csv(out)
    assert written.columns == expected.columns
    assert {"body_mass_g_low", "body_mass_g_std", "species_set"} <= {*written.columns}
    assert written["body_mass_g_high"].to_list() == pytest.approx(expected["body_mass_g_high"].to_list())
    capsys.readouterr()
    assert main(["predict", model, PENGUINS, "--uncertainty", "0.8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["species_set"] == expected["species_set"][0].to_list()
    assert main(["predict", model, PENGUINS]) == 0
    assert "_low" not in capsys.readouterr().out.splitlines()[0]
    assert main(["predict", model, PENGUINS, "--uncertainty", "0.9999"]) == USER_ERROR
    assert "needs 9,999 rows that were held out" in capsys.readouterr().err
