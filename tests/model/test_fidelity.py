"""Drawn rows compared with true ones by the vectors of a model."""

from __future__ import annotations

import warnings
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import ranvier as rv
from ranvier.columns.pixels import encode_png
from ranvier.core.errors import DataError, FileError, PlanError, RanvierWarning
from ranvier.model.scripted import Scripted
from ranvier.ops.fidelity import frechet_distance, precision_recall


def table(rows: int, seed: int, move: float = 0.0) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    v = chance.normal(size=(rows, 3)) + move
    return pl.DataFrame({"v": v.tolist(), "y": np.where(v[:, 0] > 0, "a", "b")})


@pytest.fixture(scope="module")
def judge():
    plan = rv.plan(table(200, 0), target="y", inputs=["v"], types={"v": "vector"}, size="s", epochs=2, threads=1)
    return rv.fit(plan, progress=False)


def test_figures_are_those_of_the_vectors(judge):
    rows = judge.embed(table(2, 0)).shape[1] + 20
    true, near, far = table(rows, 1), table(rows, 2), table(rows, 3, move=3)
    told = rv.fidelity(true, near.select("v"), by=judge)
    vectors = [torch.from_numpy(judge.embed(rows)) for rows in (true, near)]
    assert told["fid"] == pytest.approx(frechet_distance(*vectors))
    assert (told["precision"], told["recall"]) == precision_recall(*vectors)
    assert told["features"] == f"vectors of {judge!r}"
    assert rv.fidelity(true, true, by=judge) | {"features": ""} == {
        "fid": pytest.approx(0, abs=1e-8),
        "precision": 1.0,
        "recall": 1.0,
        "features": "",
    }
    worse = rv.fidelity(true, far, by=judge)
    assert worse["fid"] > 3 * told["fid"]
    assert worse["precision"] < told["precision"]


def test_what_is_refused(judge):
    rows = table(judge.embed(table(2, 0)).shape[1] + 1, 1)
    with pytest.raises(DataError, match=r"9 drawn rows are too few for vectors of [\d,]+ numbers, whose covariance"):
        rv.fidelity(rows, rows[:9], by=judge)
    with pytest.raises(DataError, match="true rows are too few"):
        rv.fidelity(rows[1:], rows, by=judge)
    with pytest.raises(DataError, match="column 'v' is not in the data; did you mean 'vv'"):
        rv.fidelity(rows, rows.rename({"v": "vv"}), by=judge)
    with pytest.raises(PlanError, match="by must be a model that reads these rows, or the path of one, got dict"):
        rv.fidelity(rows, rows, by={})
    with pytest.raises(FileError, match=r"cannot read judge\.rv"):
        rv.fidelity(rows, rows, by="judge.rv")


def test_a_model_that_does_not_look_at_the_draws_is_refused():
    plan = rv.plan(table(80, 0), target="v", inputs=["y"], types={"v": "vector"}, epochs=1, threads=1)
    plan.targets["v"].head = {"name": "diffusion", "widths": [8]}
    rows, generator = table(80, 1), rv.fit(plan, progress=False)
    with pytest.raises(PlanError, match=r"does not read 'v', .*: by must be a model with 'v' among its inputs"):
        rv.fidelity(rows, rows, by=generator)
    sized = [rows.with_columns(size=pl.int_range(80) % 7, kind=pl.col("y")) for rows in (rows, table(80, 2))]
    plan = rv.plan(sized[0].drop("v"), target="kind", inputs=["y", "size"], size="s", epochs=1, threads=1)
    blind = rv.fit(plan, progress=False)
    with pytest.raises(PlanError, match="does not read 'v'"):
        rv.fidelity(*sized, by=blind)
    for more in (sized[0].drop("v"), sized[0].drop("v").with_columns(words=pl.concat_list("y"))):
        with pytest.raises(DataError, match="too few"):  # of numbers and categories alone it may judge
            rv.fidelity(more.head(3), more.head(3), by=blind)


def test_a_model_whose_vectors_are_codes_of_what_it_draws_reads_it():
    plan = rv.plan(table(80, 0), target="v", inputs=[], types={"v": "vector"}, epochs=1, threads=1)
    plan.targets["v"].head = {"name": "vae", "widths": [8], "code": 2}
    told = rv.fidelity(table(80, 1), table(80, 2, move=3), by=rv.fit(plan, progress=False))
    assert told["fid"] > 0


def test_a_model_is_taken_from_its_file(judge, tmp_path):
    rows = judge.embed(table(2, 0)).shape[1] + 20
    told = rv.fidelity(table(rows, 1), table(rows, 2), by=judge.save(tmp_path / "judge.rv"))
    assert told == rv.fidelity(table(rows, 1), table(rows, 2), by=judge)


# ---- networks of others


class Coarse(nn.Module):
    """The mean colour of the left and of the right half."""

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, (1, 2)).flatten(1)


class Maps(nn.Module):
    def forward(self, x):
        return x


def scripted(path: Path, net: nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(net.eval(), torch.rand(2, 3, 299, 299)), path)
    return path


def halves(rows: int, seed: int) -> np.ndarray:
    """(rows, 6, 10, 3) uint8: one colour on the left, another on the right."""
    colours = np.random.default_rng(seed).integers(0, 256, (rows, 1, 2, 3), dtype=np.uint8)
    return np.broadcast_to(colours.repeat(5, 2), (rows, 6, 10, 3)).copy()


def png(pixels: np.ndarray) -> list[bytes]:
    return [encode_png(picture) for picture in pixels]


def test_figures_by_a_network_of_others(tmp_path):
    file = scripted(tmp_path / "net.pt", Coarse())
    true, drawn = halves(40, 1), halves(36, 2)
    told = rv.fidelity({"x": true, "kind": ["a"] * 40}, pl.DataFrame({"x": png(drawn)}), by=file)
    vectors = [torch.from_numpy(x[:, 0, ::5].reshape(len(x), 6) / 255).float() for x in (true, drawn)]
    assert told["fid"] == pytest.approx(frechet_distance(*vectors), rel=0.05)
    assert (told["precision"], told["recall"]) == pytest.approx(precision_recall(*vectors), abs=0.06)
    assert told["features"] == f"vectors of net.pt (SHA-256 {sha256(file.read_bytes()).hexdigest()[:16]})"
    with pytest.warns(rv.RanvierWarning, match="decimals from 0 to 1, taken for shares of 255"):
        scaled = rv.fidelity({"x": true / 255}, {"x": true}, by=str(file))
    assert scaled["fid"] == pytest.approx(0, abs=1e-4)
    assert rv.fidelity({"x": true / 255}, {"x": png(true)}, by=file)["fid"] == pytest.approx(0, abs=1e-4)
    dark = true // 4
    assert rv.fidelity({"x": true}, {"x": dark}, by=file)["fid"] > 5 * told["fid"]  # not spread to white


def test_what_networks_of_others_refuse(tmp_path):
    file, x = scripted(tmp_path / "net.pt", Coarse()), halves(8, 0)
    with pytest.raises(DataError, match="6 drawn rows are too few for vectors of 6 numbers"):
        rv.fidelity({"x": x}, {"x": x[:6]}, by=file)
    with pytest.raises(DataError, match="found x; none"):
        rv.fidelity({"x": x}, {"y": x}, by=file)
    with pytest.raises(DataError, match="found x, y; x, y"):
        rv.fidelity(*[{"x": x, "y": x}] * 2, by=file)
    with pytest.raises(DataError, match="rows 0 to 7 is none: x: 1 of 8 pictures cannot be read"):
        rv.fidelity({"x": x}, {"x": [*png(x[:7]), b"damaged"]}, by=file)
    with pytest.raises(DataError, match="it is missing"):
        rv.fidelity({"x": [*png(x[:7]), None]}, {"x": x}, by=file)
    with pytest.raises(FileError, match=r"must give vectors \(8, D\) of so many pictures, got \(8, 3, 299, 299\)"):
        rv.fidelity({"x": x}, {"x": x}, by=scripted(tmp_path / "maps.pt", Maps()))
    torch.save(Coarse().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(FileError, match="no TorchScript file"):
        rv.fidelity({"x": x}, {"x": x}, by=tmp_path / "weights.pt")
    with pytest.raises(FileError, match="cannot read"):
        rv.fidelity({"x": x}, {"x": x}, by=tmp_path / "none.pt")


def test_what_was_found_in_pictures_is_told(tmp_path):
    file, x = scripted(tmp_path / "net.pt", Coarse()), halves(40, 0) / 255
    wrong = x.copy()
    wrong[[1, 35], 0, 0] = np.nan
    timed = {"x": x, "taken": [timedelta(seconds=1)] * 40}
    with pytest.warns(RanvierWarning) as told:
        rv.fidelity(timed, {"x": wrong}, by=file)
    assert len(told) == 1
    assert told[0].filename == __file__
    lines = str(told[0].message).splitlines()
    assert any(line.startswith("true rows: ") and "durations are taken as seconds" in line for line in lines)
    assert [line[:50] for line in lines if line.startswith("drawn")] == [
        "drawn rows: x: 1 of 32 pictures has numbers that a",
        "drawn rows: rows from 32, counted from there: x: 1",
    ]


def test_too_few_rows_are_refused_after_the_first_batch(tmp_path, monkeypatch):
    file, x = scripted(tmp_path / "net.pt", Coarse()), halves(70, 0)
    calls, call = [], Scripted._vectors
    monkeypatch.setattr(Scripted, "_vectors", lambda self, some: calls.append(len(some)) or call(self, some))
    for true, drawn, name in ((x, x[:6], "drawn"), (x[:6], x, "true")):
        calls.clear()
        with pytest.raises(DataError, match=f"6 {name} rows are too few"):
            rv.fidelity({"x": true}, {"x": drawn}, by=file)
        assert len(calls) == 1
