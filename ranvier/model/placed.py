"""Boxes between the units of their raw values and shares of the picture that they are in."""

from __future__ import annotations

import numpy as np
import polars as pl

from ranvier.columns.pixels import READ_ERRORS, Source, measure, sources
from ranvier.core.errors import DataError
from ranvier.core.plan import Plan
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded


def picture_sizes(plan: Plan, frame: pl.DataFrame, target: str) -> np.ndarray:
    """(N, 2) width and height of the picture in which each row's target has places, not a number where none is read.

    Raises DataError where it is not in the data.
    """
    pictures = [name for name in plan.inputs if plan.columns[name].type == "image"]
    name = plan.targets[target].head.get("of") or next(iter(pictures), "")
    if name not in frame.columns:
        raise DataError(f"the picture {name!r}, in which {target!r} has its places, is not in the data")
    return np.array([_size(s) for s in sources(frame[name], plan.columns[name].options.get("folder", ""))], np.float64)


def in_shares(truth: Encoded, sizes: np.ndarray | None, target: str, notes: list[str]) -> None:
    """Makes shares of boxes in pixels (sizes None: they are shares), in place; what lies beyond is cut off, told."""
    assert truth.offsets is not None
    rows = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
    boxes = truth.data[:, :4]
    if sizes is not None:
        boxes = boxes / np.tile(sizes, 2)[rows]
        lost = np.isnan(sizes[:, 0])
        if (lost & truth.observed).any():
            truth.observed = truth.observed & ~lost
            count, row = int(lost.sum()), int(lost.argmax())
            notes.append(
                f"{target}: {count:,} rows have no picture to be read, such as row {row_number(row)}; they do not count"
            )
        boxes = np.where(lost[rows, None], np.array([0.0, 0.0, 1.0, 1.0]), boxes)  # of no use, and no trouble
    outside = (boxes < 0).any(1) | (boxes > 1).any(1)
    boxes = boxes.clip(0, 1)
    gone = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    for what, which in (
        ("reach beyond their picture and are cut off", outside & ~gone),
        ("lie beyond their picture and are left out", gone),
    ):
        if which.any():
            row = int(rows[which][0])
            notes.append(f"{target}: {which.sum():,} of {len(which):,} boxes {what}, such as in row {row_number(row)}")
    truth.data = np.concatenate([boxes, truth.data[:, 4:]], 1).astype(np.float32)[~gone]
    counts = np.bincount(rows[~gone], minlength=len(truth))
    truth.offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _size(source: Source | None) -> tuple[float, float]:
    try:
        seen = None if source is None else measure(source)
    except READ_ERRORS:
        seen = None
    return (seen.width, seen.height) if seen else (np.nan, np.nan)
