"""A folder of images, in subfolders named after their classes; optionally train/ and test/ above."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from ranvier.core.counts import agreed, counted
from ranvier.core.errors import DataError
from ranvier.data.table import Table

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
IMAGE = "image"  # the column of files
PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def parts_of(folder: Path) -> dict[str, Path]:
    """Its subfolders train, val and test by part, if there is a train among them, else none."""
    found = {PARTS[p.name.lower()]: p for p in _folders(folder) if p.name.lower() in PARTS}
    return {part: found[part] for part in ("train", "val", "test") if part in found} if "train" in found else {}


def names_image(path: Path) -> bool:
    """Whether it is, by its name, the file of a picture."""
    return path.suffix.lower() in IMAGES and not path.is_dir()


def read_folder(folder: Path) -> Table:
    """Columns image (absolute path) and label (name of the subfolder), sorted; without subfolders only image.

    Images deeper inside a class's folder count to the class; other files are left out and counted. Raises
    DataError if there is no image.
    """
    folder = folder.absolute()
    notes: list[str] = []
    paths: list[str] = []
    labels: list[str] = []
    others = 0
    for child in _folders(folder):
        found, left = images_in(child)
        others += left
        if not found and not left:
            notes.append(f"{child.name}/ is empty and left out")
        paths += found
        labels += [child.name] * len(found)
    loose, left = images_in(folder, deep=False)
    others += left
    if paths and loose:
        notes.append(
            f"{counted(len(loose), 'image|images')} directly in {folder} "
            f"{agreed(len(loose), 'has|have no class and is|are left out')}"
        )
    if others:
        notes.append(
            f"{counted(others, 'file|files')} in {folder} "
            f"{agreed(others, 'is|are no image|images and is|are left out')}"
        )
    if paths:
        return Table(pl.DataFrame({IMAGE: paths, "label": labels}), notes)
    if loose:
        return Table(pl.DataFrame({IMAGE: loose}), notes)
    raise DataError(
        f"no images in {folder} or its subfolders (looked for {' '.join(sorted(IMAGES))}); expected CLASS/picture.png. "
        f"For several tables in a folder, give a pattern such as {folder}/*.csv"
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def images_in(folder: Path, deep: bool = True) -> tuple[list[str], int]:
    """Image paths below a folder, sorted, and the number of other files; hidden ones are passed over."""
    found: list[str] = []
    others = 0
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__"))) if deep else []
        for name in sorted(files):
            if name.startswith("."):
                continue
            if os.path.splitext(name)[1].lower() in IMAGES:
                found.append(os.path.join(place, name))
            else:
                others += 1
    return found, others
