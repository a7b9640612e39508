"""The same seed gives the same bits, in Python, on the command line and resumed; and the model says how it was made."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from model.made import picture, table
from model.test_fit import At, Boom, boom, same

from ranvier.cli.main import main
from ranvier.core.version import VERSION
from ranvier.model.fit import fit, resume
from ranvier.model.model import Model, load
from ranvier.model.origin import told


def pictures():
    random = np.random.default_rng(0)
    dark = [i % 2 for i in range(60)]
    return pl.DataFrame({"x": [picture(60 + 120 * k, random) for k in dark], "y": ["ab"[k] for k in dark]})


def texts():
    words = ["good film", "bad film", "fine work", "dull work"]
    return pl.DataFrame({"x": [f"{words[i % 4]} number {i}" for i in range(80)], "y": ["pq"[i % 2] for i in range(80)]})


DATA = {"table": table, "pictures": pictures, "texts": texts}
INPUTS = {"table": "a,b,c", "pictures": "x", "texts": "x"}
WORDS = ["--epochs", "3", "--size", "s", "--threads", "1", "--seed", "5", "--no-progress"]


@pytest.fixture(scope="module", params=list(DATA))
def three(request, tmp_path_factory):
    """The same run in Python, on the command line, and killed and resumed."""
    folder, kind = tmp_path_factory.mktemp(request.param), request.param
    path = folder / "rows.parquet"
    DATA[kind]().write_parquet(path)
    inputs = INPUTS[kind].split(",")
    how = {"inputs": inputs, "epochs": 3, "size": "s", "threads": 1, "seed": 5, "progress": False}
    python = fit(path, "y", **how)
    file = str(folder / "cli.rv")
    assert (
        main(["fit", str(path), "-t", "y", "-i", INPUTS[kind], "--folder", str(folder / "cli"), "-o", file, *WORDS])
        == 0
    )
    with pytest.raises(Boom):
        fit(path, "y", folder=folder / "run", callbacks=[At(2, boom)], **how)
    return python, load(file), resume(folder / "run", progress=False)


def test_the_same_seed_gives_the_same_bits(three):
    python, line, resumed = three
    assert same(python, line)
    assert same(python, resumed)
    assert python.provenance == line.provenance == resumed.provenance
    assert python.provenance["differs"] == []


def test_the_file_keeps_how_a_model_was_made(three, tmp_path):
    model = three[0]
    known = load(model.save(tmp_path / "m.rv")).provenance
    assert known == model.provenance
    assert (known["ranvier"], known["torch"], known["seed"], known["threads"]) == (VERSION, torch.__version__, 5, 1)
    assert known["rows"]["given"] == known["rows"]["validation"] + sum(_trained(model))
    assert known["steps"] == [int(model.history[-1]["step"])]


def _trained(model: Model):
    return [model.provenance["rows"]["given"] - model.report.targets["y"].rows]


def test_two_fits_of_a_seed_are_equal_files(three, tmp_path):
    python, line, _ = three
    files = [model.save(tmp_path / f"{n}.rv").read_bytes() for n, model in enumerate(three)]
    assert files[0] == files[1] == files[2]
    assert "seconds" in python.history[0]
    assert "seconds" not in line.history[0]


QUICK = {"inputs": ["a", "b"], "epochs": 1, "size": "s", "threads": 1, "progress": False}


def test_hashes_follow_rows_and_split():
    one = fit(table(), "y", **QUICK).provenance
    assert fit(table(), "y", **QUICK).provenance == one
    other_rows = fit(table().with_columns(a=pl.col("a") + (pl.col("t") == 3)), "y", **QUICK).provenance
    assert other_rows["data"] != one["data"]
    assert other_rows["split"] == one["split"]
    other_split = fit(table(), "y", seed=1, **QUICK).provenance
    assert other_split["split"]["how"] == one["split"]["how"] == "stratified"
    assert other_split["split"]["hash"] != one["split"]["hash"]
    apart = fit(table(), "y", val=table(30), test=table(20), **QUICK).provenance
    assert apart["split"]["how"] == "given"
    assert apart["rows"] == {"given": 120, "validation": 30, "test": 20}


def test_folds_have_a_hash_each():
    known = fit(table(), "y", folds=3, **QUICK).provenance
    assert len(set(known["data"])) == len(known["steps"]) == 3
    assert known["rows"]["validation"] == 120
    assert "3 folds" in told(known)[1]


def test_what_is_not_the_same_again_is_said():
    timed = fit(table(), "y", time=1.0, **{**QUICK, "epochs": 100_000})
    steps = timed.provenance["steps"][0]
    (why,) = timed.provenance["differs"]
    assert why.startswith("time = 1 s: how many steps fit into it depends on the machine")
    epochs = float(why.partition("epochs = ")[2].split()[0])
    again = fit(table(), "y", **{**QUICK, "epochs": epochs, "refit": timed.plan.train.refit})
    assert again.provenance["steps"][0] == pytest.approx(steps, rel=1e-3, abs=1)


def test_show_tells_it(tmp_path, capsys):
    path = fit(table(), "y", **QUICK).save(tmp_path / "m.rv")
    assert main(["show", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"made by ranvier {VERSION}, torch {torch.__version__}, numpy " in said
    assert "1 thread; seed 0; " in said
    assert "120 rows given, " in said


def test_models_of_before_know_nothing_of_it():
    assert told({}) == []
