"""Pictures on the command line: as data, and masks of them as files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.cli.main import USER_ERROR, main
from ranvier.core.errors import DataError, FileError, RanvierWarning
from ranvier.model.fit import fit
from ranvier.model.model import Model, load
from ranvier.model.overlay import draw
from ranvier.model.pictures import to_folder
from ranvier.planning.make import make_plan

QUICK = {"epochs": 0.5, "size": "s", "threads": 1}


def file(array, form="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, form)
    return buffer.getvalue()


def scenes(rows=40, masks="PNG"):
    """Pictures of noise of 24 x 16 pixels, a mask and a box of each."""
    rng, made = np.random.default_rng(0), []
    for row in range(rows):
        mask = np.zeros((16, 24), np.uint8)
        mask[4:12, 4 + row % 8 : 12 + row % 8] = (1 + row % 2) * (1 if masks == "PNG" else 120)
        mask = mask if masks == "PNG" else np.kron(mask, np.ones((4, 4), np.uint8))
        things = [{"x": 4 + row % 8, "y": 4, "w": 8, "h": 8, "label": "a"}]
        made.append({"picture": file(rng.integers(0, 255, (16, 24))), "mask": file(mask, masks), "things": things})
    return pl.DataFrame(made)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = fit(scenes().drop("things"), "mask", inputs=["picture"], progress=False, **QUICK)
    return str(made.save(tmp_path_factory.mktemp("model") / "m.rv"))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, picture in zip(("photos/a.png", "photos/b.png", "more/a.png"), scenes(3)["picture"], strict=True):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(picture)


def written(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize(
    ("data", "files"),
    [
        (["photos"], {"a": "a", "b": "b"}),
        (["photos/a.png", "more/a.png"], {"a": "a", "a-2": "a"}),
        (["photos/b.png"], {"b": "b"}),
        (["photos/b.png", "photos/a.png"], {"b": "b", "a": "a"}),
        (["photos/*.png"], {"a": "a", "b": "b"}),
        (["photos/a*"], {"a": "a"}),
    ],
)
def test_masks_go_into_a_folder_named_after_their_pictures(model, photos, data, files):
    assert main(["predict", model, *data, "-o", "out/"]) == 0
    assert written("out") == sorted([*(f"{name}.png" for name in files), "rows.csv"])
    rows = pl.read_csv("out/rows.csv")
    assert rows["mask"].to_list() == [f"{name}.png" for name in files]
    assert [Path(name).stem for name in rows["image"]] == [*files.values()]
    with Image.open(Path("out") / rows["mask"][0]) as mask:
        assert mask.size == (24, 16)


def test_masks_do_not_take_the_place_of_the_pictures(model, photos, capsys):
    assert main(["predict", model, "photos", "-o", "photos"]) == USER_ERROR
    assert "would be lost: name another folder" in capsys.readouterr().err
    assert written("photos") == ["a.png", "b.png"]


def test_what_a_folder_holds_is_not_written_over(model, photos, capsys, monkeypatch):
    monkeypatch.setattr(Model, "predict", lambda *_, **__: pytest.fail("the work was done first"))
    Path("h").mkdir()
    Path("h/rows.csv").write_text("picture\nphotos/a.png\n")
    assert main(["predict", model, "h/rows.csv", "-o", "h"]) == USER_ERROR
    assert "h holds rows.csv already, which would be lost: name another folder" in capsys.readouterr().err
    assert Path("h/rows.csv").read_text() == "picture\nphotos/a.png\n"
    assert written("h") == ["rows.csv"]
    Path("photos/c.jpg").write_bytes(file(np.zeros((16, 24)), "JPEG"))
    Path("photos/c.png").write_bytes(b"the true mask")
    assert main(["predict", model, "photos/c.jpg", "-o", "photos/"]) == USER_ERROR
    assert "photos holds c.png already" in capsys.readouterr().err
    assert Path("photos/c.png").read_bytes() == b"the true mask"
    assert written("photos") == ["a.png", "b.png", "c.jpg", "c.png"]


def test_a_second_run_into_its_own_folder_is_refused(model, photos, capsys):
    assert main(["predict", model, "photos", "-o", "out/"]) == 0
    assert main(["predict", model, "photos", "-o", "out/"]) == USER_ERROR
    assert "out holds rows.csv, a.png, b.png already" in capsys.readouterr().err
    for path in Path("out").iterdir():
        path.unlink()
    assert main(["predict", model, "photos", "-o", "out/"]) == 0


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["x/a.png", "x/a-2.png", "y/a.png"], ["a", "a-2", "a-3"]),
        (["x/a.png", "y/a.png", "x/a-2.png"], ["a", "a-3", "a-2"]),
        (["x/a.png", "y/a.png", "z/a.png", "y/a-2.png"], ["a", "a-3", "a-4", "a-2"]),
        (["x/row-3.png", "x/a.png", None, None], ["row-3", "a", "row-2", "row-3-2"]),
        ([None, "x/row-0.png", ""], ["row-0-2", "row-0", "row-2"]),
    ],
)
def test_every_picture_has_a_file_of_its_own(given, names, tmp_path):
    pictures = [bytes([row]) for row in range(len(given))]
    to_folder(pl.DataFrame({"mask": pictures}), ["mask"], tmp_path, {}, pl.Series(given))
    assert pl.read_csv(tmp_path / "rows.csv")["mask"].to_list() == [f"{name}.png" for name in names]
    assert [(tmp_path / f"{name}.png").read_bytes() for name in names] == pictures


def test_files_of_pictures_are_data_in_python_too(model, photos):
    found = load(model).predict(["photos/a.png", "photos/b.png"])
    assert found.columns == ["image", "mask", "mask_confidence"]
    assert found["image"].str.ends_with("photos/b.png").to_list() == [False, True]


def test_rows_without_names_are_numbered(model, photos):
    scenes(2).select("picture").write_parquet("rows.parquet")
    assert main(["predict", model, "rows.parquet", "-o", "out/"]) == 0
    assert written("out") == ["0.png", "1.png", "rows.csv"]


def test_where_no_row_has_a_box_it_is_told(photos, capsys):
    plan = make_plan(scenes(), "things", inputs=["picture"], **QUICK)
    made = fit(plan, progress=False)
    with pytest.warns(RanvierWarning, match=r"no box in any of 2 rows: .* least = 0\.9999, .*--least"):
        assert made.predict(scenes(2), least=0.9999)["things"].to_list() == [[], []]
    made.save("boxes.rv")
    scenes(2).select("picture").write_parquet("rows.parquet")
    assert main(["predict", "boxes.rv", "rows.parquet", "-o", "found.csv", "--least", "0.9999", "--most", "3"]) == 0
    assert "nothing is surer than least = 0.9999" in capsys.readouterr().err
    assert main(["predict", "boxes.rv", "rows.parquet", "--overlap", "2"]) == USER_ERROR
    assert "overlap = 2: expected a share above 0" in capsys.readouterr().err
    assert main(["predict", "boxes.rv", "photos", "-o", "out/"]) == USER_ERROR
    assert "a folder is for pictures or masks" in capsys.readouterr().err


def test_targets_that_may_be_masks_in_jpeg_are_told():
    plan = make_plan(scenes(masks="JPEG").drop("things"), "mask", inputs=["picture"], **QUICK)
    assert plan.columns["mask"].type == "image"
    assert any("'mask' holds JPEG files as flat as masks" in note for note in plan.warnings)
    pictures = [file(np.asarray(Image.open(io.BytesIO(one))), "JPEG") for one in scenes()["picture"]]
    pairs = scenes().select("picture", clean=pl.Series(pictures))
    assert not any("JPEG" in note for note in make_plan(pairs, "clean", inputs=["picture"], **QUICK).warnings)


def test_empty_files_are_called_empty(photos, model, capsys):
    for name in ("e.csv", "e.rv", "photos/e.png", "e.parquet"):
        Path(name).write_bytes(b"")
    for data in ("e.csv", "e.parquet"):
        assert main(["columns", data]) == USER_ERROR
        assert "is empty (0 bytes)" in capsys.readouterr().err
    with pytest.raises(FileError, match=r"e\.rv is empty \(0 bytes\)"):
        load("e.rv")
    with pytest.warns(RanvierWarning, match=r"e\.png': empty \(0 bytes\)"):
        load(model).predict("photos")
    with pytest.raises(DataError, match=r"cannot draw: empty \(0 bytes\)"):
        draw("photos/e.png")
