"""The verb that draws: where rows go, what is given, and what is said of what cannot be drawn."""

from __future__ import annotations

import json
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import ranvier as rv
from ranvier.cli.main import USER_ERROR, main

KINDS = ("dark", "light")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small models: pictures of what is given (a category and a number), vectors of nothing, and one that predicts."""
    folder = tmp_path_factory.mktemp("models")
    chance = np.random.default_rng(0)
    kind = np.arange(60) % 2
    shades = (kind * 200)[:, None, None] + chance.integers(0, 40, (60, 6, 9))
    table = {"x": shades.astype(np.uint8), "kind": np.array(KINDS)[kind], "size": chance.random(60)}
    plan = rv.plan(table, target="x", inputs=["kind", "size"], epochs=30, rate=1e-2, threads=1)
    plan.targets["x"].head = {"name": "vae", "widths": [8, 8], "code": 4}
    pictures = rv.fit(plan, progress=False)
    plan = rv.plan({"v": chance.normal(size=(60, 2))}, target="v", inputs=[], epochs=1, threads=1)
    plan.targets["v"].head = {"name": "vae", "widths": [8], "code": 2}
    vectors = rv.fit(plan, progress=False)
    seen = {"x": table["x"], "kind": table["kind"]}
    plan = rv.plan(seen, target="kind", inputs=["x"], epochs=1, threads=1)
    named = {"pictures": pictures, "vectors": vectors, "predicts": rv.fit(plan, progress=False)}
    return {name: model.save(folder / f"{name}.rv") for name, model in named.items()}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(models: dict[str, Path], name: str, *rest: str) -> int:
    return main(["sample", str(models[name]), *rest])


def pixels(source: object) -> np.ndarray:
    with Image.open(source) as image:
        return np.asarray(image)


def test_a_grid_has_a_line_for_each_value_given(models, capsys):
    kinds = ["--given", "kind=dark", "--given", "kind=light", "--given", "size=0.5"]
    assert run(models, "pictures", "-n", "5", *kinds, "-o", "grid.png") == 0
    assert "grid.png" in capsys.readouterr().out
    drawn = pixels("grid.png")
    assert drawn.shape == (2 * 7 + 1, 5 * 10 + 1)
    assert drawn[1:7].mean() < 60
    assert drawn[8:14].mean() > 140
    assert run(models, "pictures", "-n", "6", *kinds[2:], "-o", "one.png", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": "one.png", "rows": 6}
    assert pixels("one.png").shape == (3 * 7 + 1, 2 * 10 + 1)  # flat pictures: the whole is nearly square


def test_the_same_seed_draws_the_same(models):
    given = ["--given", "kind=dark", "--given", "size=1", "-n", "4"]
    for file, seed in (("a.png", "1"), ("b.png", "1"), ("c.png", "2")):
        assert run(models, "pictures", *given, "--seed", seed, "-o", file) == 0
    assert (pixels("a.png") == pixels("b.png")).all()
    assert (pixels("a.png") != pixels("c.png")).any()
    assert run(models, "pictures", *given, "--set", "temperature=0", "-o", "still.png") == 0
    still = pixels("still.png")
    assert (still[1:7, 1:10] == still[1:7, 11:20]).all()


@pytest.mark.parametrize("folder", ["drawn/", "there"])
def test_a_folder_gets_a_picture_a_row(models, folder):
    Path("there").mkdir()
    given = ["--given", "kind=dark", "--given", "kind=light", "--given", "size=0.5"]
    assert run(models, "pictures", "-n", "6", *given, "-o", folder) == 0
    rows = pl.read_csv(Path(folder) / "rows.csv")
    assert rows["x"].to_list() == [f"{row:02d}.png" for row in range(12)]
    assert rows["kind"].to_list() == ["dark"] * 6 + ["light"] * 6
    means = [pixels(Path(folder) / file).mean() for file in rows["x"]]
    assert max(means[:6]) < min(means[6:])
    assert rv.read(Path(folder) / "rows.csv").frame.height == 12


def test_what_a_folder_holds_is_not_drawn_over(models, capsys):
    given = ["-n", "2", "--given", "kind=dark", "--given", "size=0.5"]
    for name, content in (("full/rows.csv", "of the user"), ("masks/0.png", "a mask")):
        Path(name).parent.mkdir()
        Path(name).write_text(content)
        assert run(models, "pictures", *given, "-o", str(Path(name).parent)) == USER_ERROR
        assert f"holds {Path(name).name} already, which would be lost" in capsys.readouterr().err
        assert Path(name).read_text() == content
        assert len(list(Path(name).parent.iterdir())) == 1


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow"])
def test_rows_go_to_a_table(models, ending):
    assert run(models, "vectors", "-n", "7", "-o", f"rows{ending}") == 0
    read = rv.read(f"rows{ending}").frame
    assert (read.height, read.columns) == (7, ["v"])


def test_pictures_in_a_table(models):
    assert run(models, "pictures", "--given", "kind=dark", "--given", "size=1", "-o", "rows.parquet") == 0
    rows = pl.read_parquet("rows.parquet")
    assert rows.columns == ["kind", "size", "x"]
    assert pixels(BytesIO(rows["x"][0])).shape == (6, 9)


def test_without_a_file_rows_are_shown(models, capsys):
    assert run(models, "vectors", "-n", "30") == 0
    assert "30 rows, 1 columns; all of them: -o FILE.csv" in capsys.readouterr().out
    assert run(models, "pictures", "--given", "kind=dark", "--given", "size=1", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == 1
    assert pixels(BytesIO(b64decode(said["drawn"][0]["x"]))).shape == (6, 9)


BOTH = ("--given", "kind=dark", "--given", "size=1")
REFUSED = {
    "no draws": ("predicts", (), "head 'category' of 'kind' draws nothing"),
    "no input": ("pictures", (*BOTH, "--given", "kinds=dark"), "--given kinds: there is no such input; did you mean"),
    "no inputs": ("vectors", ("--given", "kind=dark"), "trained without inputs"),
    "lacking": ("pictures", ("--given", "kind=dark"), "add --given size=VALUE"),
    "nothing given": ("pictures", (), "add --given kind=VALUE"),
    "no value": ("pictures", ("--given", "kind"), "expected COLUMN=VALUE"),
    "unseen": (
        "pictures",
        ("--given", "kind=lightt", "--given", "size=1"),
        "given kind = 'lightt' was not seen in training; did you mean 'light'?",
    ),
    "unread": ("pictures", ("--given", "kind=dark", "--given", "size=big"), "no number can be read"),
    "blank": ("pictures", ("--given", "kind=", "--given", "size=1"), "no category can be read"),
    "uneven": ("pictures", (*BOTH, *BOTH, "--given", "size=3"), "kind has 2 values, where another has 3"),
    "ending": ("pictures", (*BOTH, "-o", "grid.gif"), "expected a .png, a folder ending in '/', or one of .csv"),
    "no pictures": ("vectors", ("-o", "grid.png"), "this model draws no pictures"),
    "no pictures, folder": ("vectors", ("-o", "drawn/"), "a folder is for pictures"),
    "text": ("pictures", (*BOTH, "-o", "rows.csv"), "it holds no pictures"),
    "nowhere": ("pictures", (*BOTH, "-o", "no/grid.png"), "there is no folder no"),
    "a way": ("vectors", ("--set", "temperatur=1"), "unknown 'temperatur'; did you mean 'temperature'"),
    "a wrong way": ("vectors", ("--set", "temperature=high"), "temperature = 'high'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(models, case, capsys):
    name, rest, why = REFUSED[case]
    assert run(models, name, *rest) == USER_ERROR
    out, err = capsys.readouterr()
    assert why in err
    assert out == ""
    assert err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == []


def test_predicted_pictures_do_not_go_to_text(models, capsys):
    pl.DataFrame({"kind": ["dark"], "size": [1.0]}).write_csv("rows.csv")
    for ending in ("csv", "jsonl"):
        assert main(["predict", str(models["pictures"]), "rows.csv", "-o", f"out.{ending}"]) == USER_ERROR
        assert "'x' holds pictures, which no text can" in capsys.readouterr().err
        assert not Path(f"out.{ending}").exists()
