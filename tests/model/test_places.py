"""Masks and boxes from pictures to predictions: scenes of a bright square and a dark bar on grey."""

from __future__ import annotations

import io
import re

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.columns.labels import read_labels
from ranvier.core.errors import DataError, PlanError, RanvierWarning
from ranvier.model.fit import fit
from ranvier.model.model import load
from ranvier.model.overlay import draw
from ranvier.planning.make import make_plan

SIDE = 32


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def scenes(rows, seed=0, scale=1):
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(rows):
        picture = rng.normal(120, 10, (SIDE, SIDE)).clip(0, 255)
        codes, boxes = np.zeros((SIDE, SIDE), np.uint8), []
        for code, label, level, (tall, wide) in ((1, "square", 230, (9, 9)), (2, "bar", 20, (5, 16))):
            if rng.random() < 0.75:
                top, left = rng.integers(0, SIDE - tall), rng.integers(0, SIDE - wide)
                picture[top : top + tall, left : left + wide] = level
                codes[top : top + tall, left : left + wide] = code
                boxes.append(
                    dict(zip("xywh", (scale * int(v) for v in (left, top, wide, tall)), strict=True)) | {"label": label}
                )
        grow = np.ones((scale, scale), np.uint8)
        made.append(
            {
                "picture": png(np.kron(picture.astype(np.uint8), grow)),
                "mask": png(np.kron(codes, grow)),
                "things": boxes,
            }
        )
    struct = pl.Struct({**dict.fromkeys("xywh", pl.Int64), "label": pl.String})
    return pl.DataFrame(made, schema={"picture": pl.Binary, "mask": pl.Binary, "things": pl.List(struct)})


@pytest.fixture(scope="module")
def model():
    """Both at once."""
    plan = make_plan(scenes(320), ["mask", "things"], epochs=14, size="s", threads=1)
    return fit(plan, progress=False)


def test_a_frame_of_pictures_masks_and_boxes_needs_no_words(model):
    plan = model.plan
    assert {name: column.type for name, column in plan.columns.items()} == {
        "picture": "image",
        "mask": "mask",
        "things": "boxes",
    }
    assert list(plan.inputs) == ["picture"]
    assert [target.head["name"] for target in plan.targets.values()] == ["mask", "boxes"]
    assert plan.inputs["picture"].augment["flip"] is True


def test_both_are_learnt_by_one_model(model):
    figures = model.evaluate(scenes(60, seed=1), show=False)
    assert figures["mask.mean_iou"] > 0.7
    assert figures["things.map50"] > 0.7
    assert figures["things.map50_any"] >= 0.7
    assert "mask.iou_0" in figures
    assert "things.ap50_bar" in figures


def test_predictions_are_in_the_picture_s_own_pixels(model):
    rows, large = scenes(40, seed=2), scenes(40, seed=2, scale=3)
    found = model.predict(rows)
    with pytest.warns(RanvierWarning, match="resized"):
        grown = model.predict(large)
    assert {"mask", "mask_confidence", "things"} <= {*found.columns}
    overlaps = []
    for true, said in zip(large["things"].to_list(), grown["things"].to_list(), strict=True):
        for thing in true:
            same = [one for one in said if one["label"] == thing["label"]]
            overlaps += [max((_iou(thing, one) for one in same), default=0.0)]
    assert np.mean(overlaps) > 0.6
    assert read_labels(grown["mask"][0]).codes.shape == (3 * SIDE, 3 * SIDE)
    masks = np.stack([read_labels(mask).codes for mask in found["mask"]])
    assert set(np.unique(masks)) == {0, 1, 2}
    assert draw(rows["picture"][0], mask=found["mask"][0], boxes=found["things"][0]).startswith(b"\x89PNG")


def _iou(a, b):
    wide = min(a["x"] + a["w"], b["x"] + b["w"]) - max(a["x"], b["x"])
    tall = min(a["y"] + a["h"], b["y"] + b["h"]) - max(a["y"], b["y"])
    both = max(wide, 0) * max(tall, 0)
    return both / (a["w"] * a["h"] + b["w"] * b["h"] - both)


def test_a_saved_model_says_the_same(model, tmp_path):
    rows = scenes(8, seed=3)
    again = load(model.save(tmp_path / "m.rv"))
    assert again.predict(rows).equals(model.predict(rows))
    assert again.evaluate(rows, show=False) == model.evaluate(rows, show=False)


def test_rows_that_are_wrong_are_told_and_the_others_judged(model):
    rows = scenes(6, seed=4)
    things = rows["things"].to_list()
    things[0] = [
        {"x": -5, "y": -5, "w": 10, "h": 10, "label": "square"},
        {"x": 40, "y": 2, "w": 5, "h": 5, "label": "bar"},
    ]
    things[1] = [{"x": 3, "y": 3, "w": -2, "h": 5, "label": "square"}, {"x": 3, "y": 3, "w": 9, "h": 9, "label": "cow"}]
    masks = rows["mask"].to_list()
    masks[2], masks[3] = b"no mask", png(np.full((SIDE, SIDE), 9, np.uint8))
    bad = rows.with_columns(pl.Series("things", things, dtype=rows["things"].dtype), pl.Series("mask", masks))
    report = model.judge(bad)
    told = " ".join(report.notes)
    for what in (
        "1 of 6 masks cannot be read (row 2",
        "1 mask holds values that training never saw",
        "1 box is inverted",
        "a label that training never saw: cow",
        "reaches beyond the picture and is cut off, such as in row 0",
        "lies beyond the picture and is left out, such as in row 0",
    ):
        assert what in told
    assert report.targets["mask"].missing == 1
    assert report.targets["mask"].unseen == 1
    assert report.targets["things"].unseen == 1
    with pytest.raises(DataError, match="'picture'"):
        model.predict(rows.drop("picture"))


def test_places_need_the_maps_of_one_picture():
    rows = scenes(40)
    plan = make_plan(rows, "mask", inputs=["picture"], epochs=1, threads=1)
    plan.inputs["picture"].encoder = "transformer"
    with pytest.raises(PlanError, match="masks need the maps of a picture"):
        fit(plan, progress=False)
    two = rows.with_columns(pl.col("picture").alias("other"))
    with pytest.raises(PlanError, match="there are 2: name it by the head's option `of`"):
        fit(two, "mask", inputs=["picture", "other"], epochs=1, threads=1, progress=False)
    plan = make_plan(two, "mask", inputs=["picture", "other"], epochs=0.5, size="s", threads=1)
    plan.targets["mask"].head["of"] = "other"
    assert fit(plan, progress=False).predict(two[:2]).height == 2


def test_a_row_without_its_picture_does_not_count_and_is_predicted_nothing(model):
    rows = scenes(6, seed=5).with_columns(pl.Series("picture", [b"", *scenes(6, seed=5)["picture"].to_list()[1:]]))
    report = model.judge(rows)
    assert report.targets["things"].missing == 1
    assert "things: 1 row has no picture to be read, such as row 0" in " ".join(report.notes)
    with pytest.warns(RanvierWarning, match="cannot be read"):
        assert model.predict(rows)["things"].to_list()[0] == []


def test_what_has_places_is_neither_blended_nor_left_behind():
    rows = scenes(40)
    with pytest.raises(PlanError, match=r"train\.mix = 'cutmix': 'mask' has places"):
        make_plan(rows, "mask", inputs=["picture"], mix="cutmix")
    two = rows.with_columns(pl.col("picture").alias("other"))
    plan = make_plan(two, "mask", inputs=["picture", "other"], epochs=0.5, size="s", threads=1)
    assert {chosen.augment["name"] for chosen in plan.inputs.values()} == {"none"}
    plan.inputs["picture"].augment = {"name": "image", "flip": True}
    plan.targets["mask"].head["of"] = "other"
    fit(plan, progress=False)  # the other picture is that of the mask, and this one may move
    plan.targets["mask"].head["of"] = ""
    with pytest.raises(PlanError, match="name it by the head's option `of`, or move nothing"):
        fit(plan, progress=False)


def test_a_picture_from_a_picture_is_not_averaged_over_moves():
    rows = scenes(40).select("picture", pl.col("picture").alias("clean"))
    plan = make_plan(rows, "clean", inputs=["picture"], threads=1)
    assert plan.inputs["picture"].augment["tta"] is False
    assert plan.inputs["picture"].augment["shift"] == 1


def test_other_thresholds_than_those_planned_are_given_to_predict(model):
    rows = scenes(8, seed=5).select("picture")
    every = model.predict(rows, least=0.02)["things"].explode().struct.field("score").sort()
    assert every[0] < 0.3 < every[-1]
    for least in (0.3, every[-2]):
        found = model.predict(rows, least=least)["things"].list.len().sum()
        assert found == (every >= least).sum()
    assert model.predict(rows)["things"].to_list() == model.predict(rows, least=0.3)["things"].to_list()
    assert model.predict(rows, least=0.02, most=1)["things"].list.len().max() == 1
    all_kept = model.predict(rows, least=0.02, overlap=1.0)["things"].list.len().sum()
    assert all_kept > len(every)
    with pytest.warns(RanvierWarning, match="nothing is surer than least = 0.999.*give predict a lower one"):
        model.predict(rows, least=0.999)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"leest": 0.1}, "predict: unknown 'leest'; did you mean 'least'?"),
        ({"least": "low"}, "predict: least = 'low': input should be a valid number"),
        ({"least": 1.5}, "least = 1.5 must be at least 0 and below 1"),
        ({"most": 0}, "predict: most = 0: "),
        ({"overlap": 0.0}, "overlap = 0: expected a share above 0"),
        ({"beam": 1}, "predict: beam is for texts that are written"),
    ],
)
def test_thresholds_that_are_none_are_refused(model, how, told):
    with pytest.raises(PlanError, match=re.escape(told)):
        model.predict(scenes(1).select("picture"), **how)


def test_figures_are_of_all_thresholds(model):
    with pytest.raises(PlanError, match="evaluate: least is a way to predict boxes"):
        model.evaluate(scenes(1), least=0.3)
