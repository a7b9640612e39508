"""The verbs of codes and of strange rows: files written, pictures given back, and what is said of what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import ranvier as rv
from ranvier.cli.main import USER_ERROR, main


def shades(rows: int, seed: int) -> np.ndarray:
    """(rows, 8, 8) uint8 of one shade each."""
    greys = np.random.default_rng(seed).integers(0, 256, (rows, 1, 1), dtype=np.uint8)
    return np.broadcast_to(greys, (rows, 8, 8)).copy()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Restores pictures of one shade; 40 were held out."""
    val = {"image": shades(40, 1)}
    plan = rv.plan({"image": shades(200, 0)}, target="image", inputs=["image"], val=val, epochs=30, threads=1)
    plan.inputs["image"].encoder.update(widths=[8, 8])
    plan.targets["image"].head.update(widths=[8, 8])
    plan.fuse.update(code=2)
    return str(rv.fit(plan, progress=False).save(tmp_path_factory.mktemp("model") / "restorer.rv"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every verb runs in a folder with a few pictures, the last of noise."""
    monkeypatch.chdir(tmp_path)
    Path("given").mkdir()
    noise = np.random.default_rng(2).integers(0, 256, (8, 8), dtype=np.uint8)
    for number, pixels in enumerate([*shades(4, 3), noise]):
        Image.fromarray(pixels).save(f"given/{number}.png")
    return tmp_path


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == USER_ERROR
    return capsys.readouterr().err


def test_strange_rows_go_to_a_table(model, capsys):
    share = ["--share", "0.05"]
    assert main(["anomalies", model, "given", "-o", "out.csv", *share]) == 0
    assert "out.csv" in capsys.readouterr().out
    rows = pl.read_csv("out.csv")
    assert rows.columns == ["image", "strangeness", "p", "anomaly"]  # of a folder the files
    assert rows["strangeness"].arg_max() == 4
    assert rows["anomaly"][4]
    found = told(["anomalies", model, "given", "-o", "out.parquet", *share], capsys)
    assert found == {"file": "out.parquet", "rows": 5, "anomalies": int(rows["anomaly"].sum())}
    said = told(["anomalies", model, "given", *share], capsys)
    assert [row["p"] for row in said["anomalies"]] == pytest.approx(rows["p"].to_list())
    assert said["rows"] == 5
    assert main(["anomalies", model, "given", *share]) == 0  # to a pipe: all rows
    assert capsys.readouterr().out == Path("out.csv").read_text()
    assert "40 clean rows tell of 0.0244 at least" in refused(["anomalies", model, "given"], capsys)
    assert "would be lost" in refused(["anomalies", model, "out.parquet", "-o", "out.parquet"], capsys)


def test_clean_rows_may_be_given(model, capsys):
    pl.DataFrame({"image": [picture.tolist() for picture in shades(19, 5)], "id": range(19)}).write_parquet(
        "clean.parquet"
    )
    how = ["--clean", "clean.parquet", "--share", "0.1"]
    said = told(["anomalies", model, "given", *how], capsys)["anomalies"]
    assert min(row["p"] for row in said) == pytest.approx(1 / 20)
    assert [*told(["anomalies", model, "clean.parquet", "--keep", "id", *how], capsys)["anomalies"][0]] == [
        "id",
        "strangeness",
        "p",
        "anomaly",
    ]
    pl.read_parquet("clean.parquet").rename({"id": "p"}).write_parquet("named.parquet")
    assert "'p' is a column of the answers" in refused(
        ["anomalies", model, "named.parquet", "--keep", "p", *how], capsys
    )


def test_pictures_are_compressed_and_given_back(model, capsys):
    pictures = [f"given/{number}.png" for number in range(4)]
    found = told(["compress", model, *pictures, "-o", "few.codes"], capsys)
    assert found == {"file": "few.codes", "bytes": Path("few.codes").stat().st_size}
    assert main(["compress", model, "given/[0-3].png", "-o", "again.codes"]) == 0
    assert Path("again.codes").read_bytes() == Path("few.codes").read_bytes()
    assert main(["compress", model, "given", "-o", "small.codes", "--bits", "2"]) == 0
    assert main(["decompress", model, "few.codes", "-o", "back/"]) == 0
    for number, file in enumerate(pictures):
        with Image.open(file) as before, Image.open(f"back/{number}.png") as after:
            assert abs(np.asarray(after).mean() - np.asarray(before).mean()) < 40
    assert told(["decompress", model, "small.codes", "-o", "grid.png"], capsys) == {"file": "grid.png", "rows": 5}
    assert told(["decompress", model, "few.codes"], capsys)["rows"] == 4
    assert main(["decompress", model, "few.codes", "-o", "rows.parquet"]) == 0
    assert pl.read_parquet("rows.parquet").columns == ["image"]


def test_what_is_refused(model, capsys, tmp_path):
    assert "no rows that a model has compressed" in refused(["decompress", model, "given/0.png"], capsys)
    assert "no such file" in refused(["compress", model, "none.png", "-o", "x.codes"], capsys).lower()
    assert "would be lost" in refused(["compress", model, "given/0.png", "-o", "given/0.png"], capsys)
    assert "--bits" in refused(["compress", model, "given", "-o", "x.codes", "--bits", "17"], capsys)
    rows = pl.DataFrame({"a": np.arange(40.0), "b": ["u", "v"] * 20})
    plan = rv.plan(rows, target=["a", "b"], inputs=["a", "b"], epochs=1, threads=1)
    plan.fuse.update(code=3)
    table = str(rv.fit(plan, progress=False).save(tmp_path / "table.rv"))
    assert "takes a, b; name a table" in refused(["compress", table, "given/0.png", "-o", "x.codes"], capsys)
    assert main(["compress", model, "given", "-o", "x.codes"]) == 0
    assert "codes have" in refused(["decompress", table, "x.codes"], capsys)
    rows.write_csv("rows.csv")
    assert main(["compress", table, "rows.csv", "-o", "x.codes"]) == 0
    assert main(["decompress", table, "x.codes", "-o", "back.csv"]) == 0
    assert pl.read_csv("back.csv").columns[:2] == ["a", "b"]
