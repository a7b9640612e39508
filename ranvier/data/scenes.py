"""Pictures with boxes as COCO's JSON has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.data.folder import IMAGE
from ranvier.data.table import Table

BOXES = "boxes"
PICTURES = "images"  # a subfolder
COCO = {"images", "annotations"}
SIDES = {**dict.fromkeys("xywh", pl.Float64), "label": pl.String}


def is_coco(value: Any) -> bool:
    """Whether a JSON value is an object with COCO's lists."""
    return isinstance(value, dict) and value.keys() >= COCO and all(isinstance(value[key], list) for key in COCO)


def from_coco(value: Mapping[str, Any], where: str) -> Table:
    """Columns image (the file) and boxes (x, y, w, h in pixels, label), a row for each image; crowds are left out.

    Files are looked for beside the JSON file, in images/ there, beside its folder, and in folders of these. Raises
    DataError.
    """
    names = {one["id"]: str(one["name"]) for one in value.get("categories", []) if {"id", "name"} <= one.keys()}
    files = {one["id"]: one["file_name"] for one in value["images"] if {"id", "file_name"} <= one.keys()}
    if not files:
        raise DataError(f'{where}: COCO\'s "images" names no file; each needs an id and a file_name')
    boxes: dict[Any, list[dict[str, Any]]] = {key: [] for key in files}
    crowds = strange = 0
    for one in value["annotations"]:
        box, image = one.get("bbox"), one.get("image_id")
        if one.get("iscrowd"):
            crowds += 1
        elif image not in boxes or not isinstance(box, list) or len(box) != 4:
            strange += 1
        else:
            label = names.get(one.get("category_id"), str(one.get("category_id")))
            boxes[image].append(dict(zip("xywh", map(float, box), strict=True)) | {"label": label})
    notes = [f"{where}: {counted(crowds, 'crowd|crowds is|are left out')}"] if crowds else []
    notes += (
        [f"{where}: {counted(strange, 'annotation|annotations has|have no image here or no box, and is|are left out')}"]
        if strange
        else []
    )
    places = _pictures_near(Path(where).absolute().parent)
    paths = [_found(str(name), places) for name in files.values()]
    things = pl.Series(BOXES, list(boxes.values()), dtype=pl.List(pl.Struct(SIDES)))
    return Table(pl.DataFrame([pl.Series(IMAGE, paths), things]), notes)


def coco_files(folder: Path) -> list[Path]:
    """The JSON files in the folder, or in annotations/ there, that hold COCO's lists."""
    places = [*sorted(folder.glob("*.json")), *sorted((folder / "annotations").glob("*.json"))]
    return [path for path in places if _holds_coco(path.read_bytes())]


def _holds_coco(data: bytes) -> bool:
    if not all(f'"{key}"'.encode() in data for key in COCO):
        return False  # without having read it through
    try:
        return is_coco(json.loads(data))
    except (ValueError, RecursionError):
        return False


def _pictures_near(folder: Path) -> list[Path]:
    """Where pictures of annotations in this folder may be: in it, beside it, and in folders of either."""
    near = [folder, folder / PICTURES, folder.parent / PICTURES, folder.parent]
    return near + [below for place in near if place.is_dir() for below in sorted(place.iterdir()) if below.is_dir()]


def _found(name: str, places: list[Path]) -> str:
    """The file of that name in one of the places, else the name as it is; the place comes first from then on."""
    for place in places:
        if (place / name).exists():
            places.remove(place)
            places.insert(0, place)
            return str(place / name)
    return name
