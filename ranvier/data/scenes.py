"""Pictures with boxes, as detection data come: COCO's JSON, and YOLO's folders of images and labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ranvier.core.errors import DataError
from ranvier.data.folder import IMAGE, images_in
from ranvier.data.table import Table

BOXES = "boxes"
PICTURES, LABELS = "images", "labels"  # subfolders
NAMES = ("classes.txt", "obj.names")  # a class a line
COCO = {"images", "annotations"}
SIDES = {**dict.fromkeys("xywh", pl.Float64), "label": pl.String}
CORNERS = {**dict.fromkeys(("left", "top", "right", "bottom"), pl.Float64), "label": pl.String}


def is_coco(value: Any) -> bool:
    """Whether a JSON value is an object with COCO's lists."""
    return isinstance(value, dict) and value.keys() >= COCO and all(isinstance(value[key], list) for key in COCO)


def from_coco(value: Mapping[str, Any], where: str) -> Table:
    """Columns image (the file) and boxes (x, y, w, h in pixels, label), a row for each image; crowds are left out.

    Files are looked for beside the JSON file, in images/ there, or beside its folder. Raises DataError.
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
    notes = [f"{where}: {crowds:,} crowds are left out"] if crowds else []
    notes += [f"{where}: {strange:,} annotations have no image here or no box, and are left out"] if strange else []
    folder = Path(where).absolute().parent
    paths = [_found(str(name), folder) for name in files.values()]
    things = pl.Series(BOXES, list(boxes.values()), dtype=pl.List(pl.Struct(SIDES)))
    return Table(pl.DataFrame([pl.Series(IMAGE, paths), things]), notes)


def is_yolo(folder: Path) -> bool:
    """Whether there are images/ and labels/ in the folder."""
    return all((folder / name).is_dir() for name in (PICTURES, LABELS))


def read_yolo(folder: Path, part: str = "") -> Table:
    """Columns image (absolute path) and boxes (corners in shares of the picture, label), sorted by file.

    part: the subfolder of images/ and labels/. labels/NAME.txt has a line "class x y width height" for each thing,
    about its centre; where there is none, the picture shows nothing. Classes are named by classes.txt, a line each, if
    there is one in the folder or in labels/. Raises DataError for a line that is none, and if there is no image.
    """
    folder = folder.absolute()
    pictures, labels = folder / PICTURES / part, folder / LABELS / part
    paths, _ = images_in(pictures)
    if not paths:
        raise DataError(f"no images in {pictures}")
    names = _names(folder)
    rows, bare = [], 0
    for path in paths:
        lines = labels / Path(path).relative_to(pictures).with_suffix(".txt")
        bare += not lines.exists()
        rows.append(_things(lines, names) if lines.exists() else [])
    notes = [f"{bare:,} of {len(paths):,} pictures in {pictures} have no file of labels: nothing is to be found there"]
    things = pl.Series(BOXES, rows, dtype=pl.List(pl.Struct(CORNERS)))
    return Table(pl.DataFrame([pl.Series(IMAGE, paths), things]), notes if bare else [])


def _found(name: str, folder: Path) -> str:
    """The file of that name beside the annotations, else the name as it is."""
    places = (folder / name, folder / PICTURES / name, folder.parent / PICTURES / name, folder.parent / name)
    return next((str(place) for place in places if place.exists()), name)


def _names(folder: Path) -> list[str]:
    for place in (folder, folder / LABELS):
        for name in NAMES:
            if (place / name).exists():
                return [line.strip() for line in (place / name).read_text("utf-8").splitlines() if line.strip()]
    return []


def _things(path: Path, names: list[str]) -> list[dict[str, Any]]:
    """The boxes that one file of labels holds."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        parts = line.split()
        if not parts:
            continue
        try:
            code, x, y, wide, tall = int(parts[0]), *map(float, parts[1:5])
        except ValueError:
            code = -1
        if code < 0 or len(parts) not in (5, 6):
            raise DataError(f"{path}, line {number}: expected a class number, x, y, width and height, got {line!r:.60}")
        label = names[code] if code < len(names) else str(code)
        corners = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
        found.append(dict(zip(("left", "top", "right", "bottom"), corners, strict=True)) | {"label": label})
    return found
