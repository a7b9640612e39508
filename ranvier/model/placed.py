"""Targets with places, held against the picture that they are in: boxes as shares of it, masks of its shape."""

from __future__ import annotations

import numpy as np
import polars as pl

from ranvier.columns.mask import VOID
from ranvier.columns.pixels import READ_ERRORS, Source, measure, sources
from ranvier.core.counts import agreed, counted
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
    return sizes_in(plan, frame, name)


def sizes_in(plan: Plan, frame: pl.DataFrame, name: str) -> np.ndarray:
    """(N, 2) width and height of a column's pictures or masks, of which headers are read; no number where none is."""
    return np.array([_size(s) for s in sources(frame[name], plan.columns[name].options.get("folder", ""))], np.float64)


def same_shape(sizes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) whether sizes (N, 2) are as wide for their height as others: to a pixel, as rounding moves either."""
    (wide, tall), (width, height) = sizes.T, others.T
    off = (wide - width * tall / height, tall - height * wide / width)
    back = (width - wide * height / tall, height - tall * width / wide)
    return np.any(np.abs(np.stack([*off, *back])) < 1, axis=0)


def of_shape(truth: Encoded, masks: np.ndarray, pictures: np.ndarray, target: str, notes: list[str]) -> None:
    """Takes masks of another shape than their picture for missing, in place: they would be stretched over it; told.

    masks, pictures: (N, 2) sizes. One of another size but the same shape is scaled, which is told.
    """
    there = truth.observed & ~np.isnan(masks[:, 0]) & ~np.isnan(pictures[:, 0])
    wrong = there & ~same_shape(masks, pictures)
    scaled = there & ~wrong & (masks != pictures).any(1)
    for what, which in (
        ("has|have another shape than the picture, and does|do not count", wrong),
        ("has|have another size than the picture, and is|are scaled to it", scaled),
    ):
        if which.any():
            row = int(which.argmax())
            (wide, tall), (width, height) = masks[row].astype(int), pictures[row].astype(int)
            notes.append(
                f"{target}: {which.sum():,} of {len(which):,} masks {agreed(int(which.sum()), what)}, "
                f"such as row {row_number(row)} with "
                f"{wide} x {tall} for {width} x {height} pixels"
            )
    truth.observed = truth.observed & ~wrong
    truth.data[wrong] = VOID


def in_shares(truth: Encoded, sizes: np.ndarray | None, target: str, notes: list[str]) -> None:
    """Makes shares of boxes in pixels (sizes None: they are shares), in place; what lies beyond is cut off, told."""
    rows = np.repeat(np.arange(len(truth)), np.diff(truth.bounds))
    boxes = truth.data[:, :4]
    if sizes is not None:
        boxes = boxes / np.tile(sizes, 2)[rows]
        lost = np.isnan(sizes[:, 0])
        if (lost & truth.observed).any():
            truth.observed = truth.observed & ~lost
            count, row = int(lost.sum()), int(lost.argmax())
            notes.append(
                f"{target}: {counted(count, 'row|rows has|have')} no picture to be read, such as row "
                f"{row_number(row)}, and {agreed(count, 'does|do')} not count"
            )
        boxes = np.where(lost[rows, None], np.array([0.0, 0.0, 1.0, 1.0]), boxes)  # of no use, and no trouble
    outside = (boxes < 0).any(1) | (boxes > 1).any(1)
    boxes = boxes.clip(0, 1)
    gone = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    for what, which in (
        ("reaches|reach beyond the picture and is|are cut off", outside & ~gone),
        ("lies|lie beyond the picture and is|are left out", gone),
    ):
        if which.any():
            row = int(rows[which][0])
            notes.append(
                f"{target}: {which.sum():,} of {len(which):,} boxes {agreed(int(which.sum()), what)}, "
                f"such as in row {row_number(row)}"
            )
    truth.data = np.concatenate([boxes, truth.data[:, 4:]], 1).astype(np.float32)[~gone]
    counts = np.bincount(rows[~gone], minlength=len(truth))
    truth.offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _size(source: Source | None) -> tuple[float, float]:
    try:
        seen = None if source is None else measure(source)
    except READ_ERRORS:
        seen = None
    return (seen.width, seen.height) if seen else (np.nan, np.nan)
