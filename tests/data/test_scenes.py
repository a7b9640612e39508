"""Pictures with boxes as COCO and YOLO have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ranvier.core.errors import DataError
from ranvier.data.read import read, read_parts
from ranvier.planning.make import make_plan


def picture(path: Path, side: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), 100, np.uint8)).save(path)


def coco(folder: Path) -> Path:
    for name in "abc":
        picture(folder / "images" / f"{name}.png")
    value = {
        "info": {"year": 2026},
        "images": [{"id": 10 + k, "file_name": f"{name}.png", "width": 20} for k, name in enumerate("abc")],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 3, "bbox": [1, 2, 5, 6], "area": 30, "iscrowd": 0},
            {"id": 2, "image_id": 12, "category_id": 7, "bbox": [0, 0, 9, 9.5]},
            {"id": 3, "image_id": 12, "category_id": 3, "bbox": [3, 3, 4, 4], "iscrowd": 0},
            {"id": 4, "image_id": 11, "category_id": 3, "bbox": [0, 0, 20, 20], "iscrowd": 1},
            {"id": 5, "image_id": 99, "category_id": 3, "bbox": [0, 0, 2, 2]},
        ],
    }
    (folder / "annotations").mkdir()
    path = folder / "annotations" / "train.json"
    path.write_text(json.dumps(value))
    return path


def test_coco_is_a_row_for_each_picture(tmp_path):
    path = coco(tmp_path)
    table = read(path)
    assert table.frame.columns == ["image", "boxes"]
    assert all(Path(name).exists() for name in table.frame["image"])
    boxes = table.frame["boxes"].to_list()
    assert boxes[0] == [{"x": 1.0, "y": 2.0, "w": 5.0, "h": 6.0, "label": "cat"}]
    assert boxes[1] == []
    assert [box["label"] for box in boxes[2]] == ["dog", "cat"]
    told = " ".join(table.notes)
    assert "1 crowds are left out" in told
    assert "1 annotations have no image here" in told
    plan = make_plan(path, "boxes", epochs=1)
    assert (plan.columns["boxes"].type, plan.columns["image"].type) == ("boxes", "image")


def yolo(folder: Path, part: str = "", named: bool = True) -> None:
    for k, name in enumerate("ab"):
        picture(folder / "images" / part / f"{name}.jpg")
        if k == 0:
            place = folder / "labels" / part / f"{name}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("1 0.5 0.5 0.2 0.4\n\n0 0.9 0.5 0.2 0.2 0.77\n")
    if named:
        (folder / "classes.txt").write_text("cat\ndog\n")


@pytest.mark.parametrize("named", [True, False])
def test_yolo_is_a_folder_of_images_and_one_of_labels(tmp_path, named):
    yolo(tmp_path, named=named)
    table = read(tmp_path)
    first, second = table.frame["boxes"].to_list()
    assert second == []
    assert [box["label"] for box in first] == (["dog", "cat"] if named else ["1", "0"])
    assert [first[0][side] for side in ("left", "top", "right", "bottom")] == pytest.approx([0.4, 0.3, 0.6, 0.7])
    assert "1 of 2 pictures" in table.notes[0]
    assert make_plan(tmp_path, "boxes", epochs=1).columns["boxes"].type == "boxes"


def test_parts_of_yolo_lie_side_by_side_or_within(tmp_path):
    for part in ("train", "val"):
        yolo(tmp_path / "within", part)
        yolo(tmp_path / "beside" / part)
    for way in ("within", "beside"):
        parts = read_parts(tmp_path / way)
        assert list(parts) == ["train", "val"]
        assert all(table.frame.height == 2 for table in parts.values())


def test_lines_that_are_none_are_named(tmp_path):
    yolo(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text("0 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.2 0.2 0.3 0.3 0.4 0.4\n")
    with pytest.raises(DataError, match=r"b\.txt, line 2: expected a class number"):
        read(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text("cat 0.5 0.5 0.2 0.4\n")
    with pytest.raises(DataError, match="line 1"):
        read(tmp_path)
