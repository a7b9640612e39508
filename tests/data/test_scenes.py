"""Pictures with boxes as COCO and YOLO have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ranvier.core.errors import DataError
from ranvier.data import yolo as yolo_file
from ranvier.data.read import read, read_parts
from ranvier.data.yolo import _names, read_yolo
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
    assert "1 crowd is left out" in told
    assert "1 annotation has no image here" in told
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


def described(folder: Path, text: str, part: str = "train") -> Path:
    yolo(folder, part, named=False)
    path = folder / "data.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, 'dog, or so']  # of two\n",
        "names: ['cat',\n  \"dog, or so\"]\nnc: 2\n",
        "# animals\nnames:\n  0: cat\n  1: dog, or so # the other\nroboflow:\n  license: MIT\n",
        "names:\n- cat\n- 'dog, or so'\n",
        "nc: 2\nnames: {0: cat, 1: 'dog, or so'}\n",
    ],
)
def test_classes_are_named_by_a_description(tmp_path, names):
    described(tmp_path, names)
    first = read(tmp_path).frame["boxes"].to_list()[0]
    assert [box["label"] for box in first] == ["dog, or so", "cat"]


@pytest.mark.parametrize(
    "names", ["names: cat\n", "names:\n  cat: 0\n", "names: [cat, dog\n", "names:\n  - a\n  1: b\n"]
)
def test_names_that_cannot_be_read_are_refused(tmp_path, names):
    with pytest.raises(DataError, match=r"data\.yaml: names: "):
        read(described(tmp_path, "train: images/train\n" + names))


def test_a_description_names_the_parts_wherever_they_are(tmp_path):
    text = "path: ../gone\ntrain: images/first # some\nval: '../images/second'\ntest:\nnames: [cat, dog]\n"
    path = described(tmp_path, text, "first")
    yolo(tmp_path, "second", named=False)
    for source in (path, tmp_path):
        parts = read_parts(source)
        assert {part: table.frame["image"][0] for part, table in parts.items()} == {
            "train": str(tmp_path / "images" / "first" / "a.jpg"),
            "val": str(tmp_path / "images" / "second" / "a.jpg"),
        }
    with pytest.raises(DataError, match=r"several parts; .*val: .*images/second"):
        read(tmp_path)
    path.write_text("train: images/first\nval: images/third\n")
    with pytest.raises(DataError, match=r"val: there is no folder 'images/third'"):
        read(path)


@pytest.mark.parametrize("place", ["images/val", "val", "val/images"])
def test_a_part_is_read_by_itself(tmp_path, place):
    for part in ("train", "val"):
        yolo(tmp_path, part, named=False) if place == "images/val" else yolo(tmp_path / part, named=False)
    (tmp_path / "data.yaml").write_text("names:\n  0: cat\n  1: dog\n")
    table = read(tmp_path / place)
    assert table.frame.height == 2
    assert [box["label"] for box in table.frame["boxes"].to_list()[0]] == ["dog", "cat"]


def test_a_folder_with_the_annotations_of_coco_is_no_folder_of_classes(tmp_path):
    path = coco(tmp_path / "below")
    assert read(tmp_path / "below").frame.equals(read(path).frame)
    beside = tmp_path / "beside"
    for name in "abc":
        picture(beside / "train" / f"{name}.png")
    (beside / "train" / "_annotations.coco.json").write_text(path.read_text())
    (beside / "train" / "about.json").write_text('{"images": 3, "annotations": "by hand"}')
    (beside / "train" / "cut.json").write_text('{"images": [], "annotations": [')
    table = read(beside / "train")
    assert table.frame["image"][0] == str(beside / "train" / "a.png")
    assert [len(boxes) for boxes in table.frame["boxes"]] == [1, 0, 2]
    assert list(read_parts(beside)) == ["train"]
    apart = tmp_path / "apart"
    for name in "abc":
        picture(apart / "train2017" / f"{name}.png")
    (apart / "annotations").mkdir()
    for name in ("train", "val"):
        (apart / "annotations" / f"{name}.json").write_text(path.read_text())
    assert read(apart / "annotations" / "train.json").frame["image"][2] == str(apart / "train2017" / "c.png")
    with pytest.raises(DataError, match=r"several files of boxes in COCO's form \(train\.json, val\.json\)"):
        read(apart)


def test_lines_that_are_none_are_named(tmp_path):
    yolo(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text("0 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.2 0.2 0.3 0.3 0.4 0.4\n")
    with pytest.raises(DataError, match=r"b\.txt, line 2: expected a class number"):
        read(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text("cat 0.5 0.5 0.2 0.4\n")
    with pytest.raises(DataError, match="line 1"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["names: [crow, gull]\n", "\ufeffnames: [crow, gull]\n"])
def test_a_description_far_from_its_pictures_names_their_classes(tmp_path, text):
    yolo(tmp_path / "sets" / "birds", "train", named=False)
    (tmp_path / "sets" / "birds" / "data.yaml").write_text("names: [old, older]\n")
    (tmp_path / "birds.yaml").write_text(f"{text}path: sets/birds\ntrain: images/train\n", encoding="utf-8")
    boxes = read(tmp_path / "birds.yaml").frame["boxes"].to_list()
    assert [box["label"] for box in boxes[0]] == ["gull", "crow"]


def test_no_names_are_looked_for_above_a_set_without_a_folder_of_images(tmp_path):
    (tmp_path / "classes.txt").write_text("foreign\n")
    picture(tmp_path / "deep" / "set" / "a.png")
    assert read_yolo(tmp_path / "deep" / "set").frame["boxes"].to_list() == [[]]
    assert _names(tmp_path / "deep" / "set") == []


def test_pictures_of_another_part_or_set_are_not_taken(tmp_path):
    text = coco(tmp_path / "whole").read_text()
    for part in ("train2017", "val2017"):
        for name in "abc":
            picture(tmp_path / "own" / part / f"{name}.png")
    (tmp_path / "own" / "annotations").mkdir()
    for name in ("val", "instances_val2017"):
        path = tmp_path / "own" / "annotations" / f"{name}.json"
        path.write_text(text)
        assert read(path).frame["image"][0] == str(tmp_path / "own" / "val2017" / "a.png")
    path = path.rename(path.with_name("boxes.json"))
    with pytest.raises(DataError, match=r"'a.png' is in .*train2017 and in .*val2017"):
        read(path)
    picture(tmp_path / "other" / "a.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "boxes.json").write_text(text)
    assert read(tmp_path / "mine" / "boxes.json").frame["image"][0] == "a.png"


@pytest.mark.parametrize(
    "value",
    [
        {"images": [1], "annotations": [2]},
        {"images": [{"id": [1], "file_name": "a.png"}], "annotations": []},
        {"images": [], "annotations": [{"image_id": {}}]},
    ],
)
def test_other_json_leaves_a_folder_of_classes_as_it_was(tmp_path, value):
    picture(tmp_path / "cat" / "a.png")
    picture(tmp_path / "dog" / "b.png")
    (tmp_path / "about.json").write_text(json.dumps(value))
    (tmp_path / "folder.json").mkdir()
    assert read(tmp_path).frame["label"].to_list() == ["cat", "dog"]


def test_boxes_that_are_no_four_numbers_are_told(tmp_path):
    path = coco(tmp_path)
    value = json.loads(path.read_text())
    value["annotations"][0]["bbox"], value["annotations"][1]["bbox"] = ["a", 1, 2, 3], [10**400, 1, 2, 3]
    path.write_text(json.dumps(value))
    table = read(path)
    assert [len(boxes) for boxes in table.frame["boxes"]] == [0, 0, 1]
    assert "3 annotations have no image here or no box" in " ".join(table.notes)


def test_a_place_that_cannot_be_is_not_there(tmp_path):
    path = described(tmp_path, f"train: {'x' * 300}\nval: images/train\n")
    with pytest.raises(DataError, match="there is no folder 'xxx"):
        read(path)


@pytest.mark.parametrize("name", ["labels/a.txt", "classes.txt"])
def test_lines_in_another_encoding_are_refused(tmp_path, name):
    yolo(tmp_path)
    (tmp_path / name).write_bytes(b"0 0.5 0.5 0.1 0.1 \xff\n")
    with pytest.raises(DataError, match=r"\.txt is not in UTF-8"):
        read(tmp_path)


def test_numbers_of_classes_beyond_all_sense_are_refused(tmp_path):
    path = described(tmp_path, f"train: images/train\nnames:\n  {'9' * 5000}: cat\n")
    with pytest.raises(DataError, match="expected a list of names"):
        read(path)


def test_files_that_describe_pictures_are_read_once(tmp_path, monkeypatch):
    coco(tmp_path / "coco")
    yolo(tmp_path / "yolo", named=False)
    (tmp_path / "yolo" / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    reads, parses = list[Path](), list[str]()
    keys, decode = yolo_file.read_keys, json.JSONDecoder.decode
    monkeypatch.setattr(yolo_file, "read_keys", lambda path: reads.append(path) or keys(path))
    monkeypatch.setattr(json.JSONDecoder, "decode", lambda self, text: parses.append(text) or decode(self, text))
    for source in (tmp_path / "yolo", tmp_path / "yolo" / "data.yaml"):
        assert read(source).frame["boxes"][0][0]["label"] == "dog"
        assert reads == [tmp_path / "yolo" / "data.yaml"]
        reads.clear()
    assert read(tmp_path / "coco").frame["boxes"][0][0]["label"] == "cat"
    assert len(parses) == 1


def test_a_key_that_stands_twice_in_a_file_of_boxes_is_named(tmp_path):
    path = coco(tmp_path)
    path.write_text(path.read_text().replace('"info"', '"images": [], "info"'))
    for source in (path, tmp_path):
        with pytest.raises(DataError, match=r"train\.json: the key 'images' appears twice"):
            read(source)
