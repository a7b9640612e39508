"""Pictures with boxes as COCO's JSON has them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.data.folder import IMAGE
from ranvier.data.strict import Twice, parsed
from ranvier.data.table import Table

BOXES = "boxes"
PICTURES, ANNOTATIONS = "images", "annotations"  # subfolders
COCO = {"images", "annotations"}
SIDES = {**dict.fromkeys("xywh", pl.Float64), "label": pl.String}


def is_coco(value: Any) -> bool:
    """Whether a JSON value is an object with COCO's lists, of objects whose ids are numbers or texts."""
    return isinstance(value, dict) and value.keys() >= COCO and all(_objects(value[key]) for key in COCO)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and _named(one) for one in value)


def _named(one: Mapping[str, Any]) -> bool:
    return all(isinstance(one.get(key), str | int | float | None) for key in ("id", "image_id", "category_id"))


def from_coco(value: Mapping[str, Any], where: str) -> Table:
    """Columns image (the file) and boxes (x, y, w, h in pixels, label), a row for each image; crowds are left out.

    Files are looked for beside the JSON file, in images/ there, beside its folder, and in folders of these. Raises
    DataError.
    """
    kinds = value["categories"] if _objects(value.get("categories")) else []
    names = {one["id"]: str(one["name"]) for one in kinds if {"id", "name"} <= one.keys()}
    files = {one["id"]: one["file_name"] for one in value["images"] if {"id", "file_name"} <= one.keys()}
    if not files:
        raise DataError(f'{where}: COCO\'s "images" names no file; each needs an id and a file_name')
    boxes: dict[Any, list[dict[str, Any]]] = {key: [] for key in files}
    crowds = strange = 0
    for one in value["annotations"]:
        box, image = _sides(one.get("bbox")), one.get("image_id")
        if one.get("iscrowd"):
            crowds += 1
        elif image not in boxes or box is None:
            strange += 1
        else:
            label = names.get(one.get("category_id"), str(one.get("category_id")))
            boxes[image].append(dict(zip("xywh", box, strict=True)) | {"label": label})
    notes = [f"{where}: {counted(crowds, 'crowd|crowds is|are left out')}"] if crowds else []
    notes += (
        [f"{where}: {counted(strange, 'annotation|annotations has|have no image here or no box, and is|are left out')}"]
        if strange
        else []
    )
    near = _Near(Path(where).absolute())
    paths = [near.found(str(name)) for name in files.values()]
    things = pl.Series(BOXES, list(boxes.values()), dtype=pl.List(pl.Struct(SIDES)))
    return Table(pl.DataFrame([pl.Series(IMAGE, paths), things]), notes)


def coco_files(folder: Path) -> dict[Path, Any]:
    """The JSON files in the folder, or in annotations/ there, that hold COCO's lists, with what they hold.

    Raises DataError for a key that is there twice.
    """
    places = [*sorted(folder.glob("*.json")), *sorted((folder / ANNOTATIONS).glob("*.json"))]
    found = {path: _coco(path) for path in places if path.is_file()}
    return {path: value for path, value in found.items() if value is not None}


def _coco(path: Path) -> Any:
    """What the file holds; None where it is not COCO's."""
    data = path.read_bytes()
    if not all(f'"{key}"'.encode() in data for key in COCO):
        return None  # without having read it through
    try:
        value = parsed(data.decode(json.detect_encoding(data)))
    except Twice as error:
        raise DataError(f"{path}: the key {error} appears twice in one object") from None
    except (ValueError, RecursionError):
        return None
    return value if is_coco(value) else None


def _sides(box: Any) -> list[float] | None:
    """Four numbers, or None where they are none."""
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return None
    try:
        return [float(side) for side in box]
    except OverflowError:
        return None


class _Near:
    """Where the pictures of a file of annotations may be: in its folder, beside it, and in folders of either.

    Folders beside it count only where its own is called annotations: else they may be other sets of data.
    """

    def __init__(self, file: Path) -> None:
        folder = file.parent
        self.file, self.places = file, [folder, folder / PICTURES, folder.parent / PICTURES, folder.parent]
        wide = self.places if folder.name == ANNOTATIONS else self.places[:3]
        self.below = [below for place in wide for below in _folders(place)]

    def found(self, name: str) -> str:
        """The file of that name, else the name as it is. Raises DataError where several folders have it."""
        for place in self.places:
            if os.path.exists(place / name):
                return str(place / name)
        having = [place for place in self.below if os.path.exists(place / name)]
        if len(having) > 1:
            stem = self.file.stem
            alike = [
                place for place in having if place.name in stem or stem in place.name
            ]  # instances_val2017: val2017
            if len(alike) != 1:
                raise DataError(
                    f"{self.file}: {name!r} is in {having[0]} and in {having[1]}; "
                    "put the file of boxes into the folder of its pictures, or call it as that is called"
                )
            having = alike
        return str(having[0] / name) if having else name


def _folders(place: Path) -> list[Path]:
    """The folders in a place, none where nobody may look into it."""
    try:
        return [below for below in sorted(place.iterdir()) if os.path.isdir(below)]
    except OSError:
        return []
