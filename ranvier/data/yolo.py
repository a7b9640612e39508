"""YOLO's folders: pictures in images/, a file of lines in labels/ for each, names and parts in data.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ranvier.core.counts import agreed
from ranvier.core.errors import DataError
from ranvier.data.folder import IMAGE, PARTS, images_in, parts_of
from ranvier.data.keys import FILES, read_keys
from ranvier.data.scenes import BOXES, PICTURES
from ranvier.data.table import Table

LABELS = "labels"  # the folder beside PICTURES
NAMES = ("classes.txt", "obj.names")  # a class a line
CORNERS = {**dict.fromkeys(("left", "top", "right", "bottom"), pl.Float64), "label": pl.String}


def yolo_parts(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The folders of pictures by part, of which there may be only "train"; none where this is no folder of YOLO's.

    It is one if it has images/ and labels/, if it is such an images/, or a folder within with a twin in labels/; if its
    data.yaml names folders that are there; or if its subfolders train, val and test have images/ and labels/. And the
    classes that a data.yaml there names.
    """
    folder = folder.absolute()
    described = next((folder / name for name in FILES if (folder / name).is_file()), None)
    places, names = read_keys(described) if described is not None else ({}, [])
    if parts := _described(folder, places):
        return parts, names
    pictures = folder / PICTURES if (folder / LABELS).is_dir() and (folder / PICTURES).is_dir() else folder
    if _labels_of(pictures).is_dir() and _labels_of(pictures) != pictures:
        return parts_of(pictures) or {"train": pictures}, names
    parts = {part: within / PICTURES for part, within in parts_of(folder).items()}
    return (parts if all(p.is_dir() and _labels_of(p).is_dir() for p in parts.values()) else {}), names


def described_parts(path: Path) -> tuple[dict[str, Path], list[str]]:
    """The folders of pictures that a data.yaml names, by part, and its classes, none where it names none.

    Raises DataError where a folder is not there.
    """
    places, names = read_keys(path)
    parts = _described(path.absolute().parent, places)
    lacking = [part for part in ("train", "val", "test") if part in places and part not in parts]
    if lacking or "train" not in parts:
        part = (lacking or ["train"])[0]
        what = f"{part}: there is no folder {places[part]!r}" if part in places else "no key `train`"
        raise DataError(f"{path}: {what}; expected the folder of pictures, from the folder of this file or from `path`")
    return parts, names


def read_yolo(pictures: Path, names: Sequence[str] = ()) -> Table:
    """Columns image (absolute path) and boxes (corners in shares of the picture, label), sorted by file.

    pictures: the folder images/, or one within. For NAME.jpg the file NAME.txt in the same place of labels/ has a line
    "class x y width height" for each thing, about its centre; where there is none, the picture shows nothing. Classes
    are those given, or are named by classes.txt, a line each, or by `names` in data.yaml, in one of the folders above
    the pictures, or in labels/. Raises DataError for a line that is none, names that cannot be read, and if there is no
    image.
    """
    labels = _labels_of(pictures)
    paths, _ = images_in(pictures)
    if not paths:
        raise DataError(f"no images in {pictures}")
    names = names or _names(pictures)
    rows, bare = [], 0
    for path in paths:
        lines = labels / Path(path).relative_to(pictures).with_suffix(".txt")
        bare += not lines.exists()
        rows.append(_things(lines, names) if lines.exists() else [])
    notes = [
        f"{bare:,} of {len(paths):,} pictures in {pictures} {agreed(bare, 'has|have')} no file of "
        "labels: nothing is to be found there"
    ]
    things = pl.Series(BOXES, rows, dtype=pl.List(pl.Struct(CORNERS)))
    return Table(pl.DataFrame([pl.Series(IMAGE, paths), things]), notes if bare else [])


def _described(base: Path, places: Mapping[str, str]) -> dict[str, Path]:
    """The folders that a data.yaml in `base` names, as far as they are there."""
    found = {part: _folder(base, places.get("path", ""), places[part]) for part in places}
    parts = {part: found[part] for part in ("train", "val", "test") if part in found}
    return {part: place for part, place in parts.items() if place is not None} if parts.get("train") else {}


def _folder(base: Path, above: str, name: str) -> Path | None:
    """The folder of pictures that is named so, beside the file or below `path`, which may have been moved since."""
    inside = name.removeprefix("./")
    while inside.startswith("../"):  # written for a file that lay one folder deeper, as some programs do
        inside = inside.removeprefix("../")
    for place in (base / above / name, base / name, base / inside):
        if os.path.isdir(place):  # which is false of what nobody may look into, and of names too long
            found = Path(os.path.normpath(place))
            return found / PICTURES if os.path.isdir(found / PICTURES) else found
    return None


def _labels_of(pictures: Path) -> Path:
    """Where labels of these pictures are: the last images/ of the path is labels/; the same path if there is none."""
    parts = list(pictures.parts)
    for place in range(len(parts) - 1, -1, -1):
        if parts[place] == PICTURES:
            return Path(*parts[:place], LABELS, *parts[place + 1 :])
    return pictures


def _names(pictures: Path) -> list[str]:
    """The classes by their numbers; none where nothing names them."""
    below = pictures.parts[::-1].index(PICTURES) if PICTURES in pictures.parts else 0
    folders = [pictures, *pictures.parents[:below]]
    folders.append(folders[-1].parent)
    if folders[-1].name.lower() in PARTS:  # train/images: what describes all parts is above
        folders.append(folders[-1].parent)
    for folder in folders:
        for place in (folder, folder / LABELS):
            for name in NAMES:
                if (place / name).is_file():
                    return [line.strip() for line in _lines(place / name) if line.strip()]
        for name in FILES:
            if (folder / name).is_file() and (names := read_keys(folder / name)[1]):
                return names
    return []


def _lines(path: Path) -> list[str]:
    """Raises DataError for a file that is not in UTF-8."""
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8 ({error.reason} at byte {error.start}); save it so") from None


def _things(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The boxes that one file of labels holds."""
    found = []
    for number, line in enumerate(_lines(path), 1):
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
