"""Figures of detection: average precision over rows that come a piece at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ranvier.core.protocols import Value
from ranvier.ops.boxes import box_iou
from ranvier.ops.streams import NO_ROWS, Spoilt, amounts

OVERLAPS = torch.linspace(0.5, 0.95, 10, dtype=torch.float64)
PIECE = 1 << 20  # pairs of a found and a true box that are compared at a time
RECALLS = np.linspace(0.0, 1.0, 101)


class Detections:
    """Figures of found boxes: {"boxes": (B, K, 4), "scores": (B, K), "labels": (B, K), "there": (B, K) bool}.

    The truth is (B, N, 5), the last number the class, its mask True where there is a box. map50: the mean over classes
    of the average precision at an overlap (IoU) of 0.5, of classes that are met in the truth; map: its mean over ten
    overlaps from 0.5 to 0.95; map50_any: the average precision at 0.5 of all classes as one. Average precision is the
    mean over 101 recalls of the best precision at that recall or a higher one; a found box is right where it overlaps
    most a true one of its class that no surer one has taken (Lin et al. 2014, arXiv:1405.0312, and its evaluation of
    2017, without crowds and sizes). Rows of weight 0 count nowhere, others once. Memory grows with the boxes found.
    """

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self._true = np.zeros(len(labels) + 1, np.int64)
        self._rows = 0

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch; weight (B,) or None for ones."""
        assert y.mask is not None
        amount = amounts(y, weight, y.data.device)
        rows = amount > 0
        self._rows += int(rows.sum())
        said = self.spoilt.add({name: prediction[name].flatten(1) for name in ("boxes", "scores")}, amount)
        order = said["scores"].argsort(dim=1, descending=True, stable=True)
        boxes = said["boxes"].unflatten(1, (-1, 4)).gather(1, order[..., None].expand(-1, -1, 4))
        labels, there = (prediction[name].gather(1, order) for name in ("labels", "there"))
        scores = said["scores"].gather(1, order)
        there = there & rows[:, None]
        true, mask = y.data, y.mask & rows[:, None]
        rows_at_once = max(1, PIECE // max(1, boxes.shape[1] * true.shape[1]))
        pieces = (part.split(rows_at_once) for part in (boxes, labels, scores, there, true, mask))
        for box, label, score, found, truth, known in zip(*pieces, strict=True):
            overlap = torch.where(known[:, None, :], box_iou(box.double(), truth[..., :4].double()), -1.0)
            alike = label[:, :, None] == truth[:, None, :, 4].long()
            right = _matched(torch.where(alike, overlap, -1.0), found)
            anyhow = _matched(overlap, found)[..., 0]
            self._found.append(tuple(part[found].cpu().numpy() for part in (score, label, right, anyhow)))  # type: ignore[arg-type]
        codes = true[..., 4][mask].long().clamp(max=len(self.labels))
        self._true += torch.bincount(codes.cpu(), minlength=len(self._true)).numpy()

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight or no box was to be found."""
        self.notes = {}
        if not self._rows or not self._true.sum():
            self.notes["all"] = NO_ROWS if not self._rows else "no row has a box to be found"
            return {}
        scores, labels, right, anyhow = (np.concatenate(part) for part in zip(*self._found, strict=True))
        order = np.argsort(-scores, kind="mergesort")
        labels, right, anyhow = labels[order], right[order], anyhow[order]
        met = np.flatnonzero(self._true[: len(self.labels)])
        figures: dict[str, float] = {}
        if len(met):
            each = np.array([_precision(right[labels == code], int(self._true[code])) for code in met])
            figures = {"map50": float(each[:, 0].mean()), "map": float(each.mean())}
        figures["map50_any"] = float(_precision(anyhow[:, None], int(self._true.sum()))[0])
        figures |= (
            {f"ap50_{self.labels[code]}": float(ap) for code, ap in zip(met, each[:, 0], strict=True)}
            if len(met)
            else {}
        )
        if len(met) < len(self.labels):
            self.notes["map50"] = f"of {len(met)} of {len(self.labels)} classes, the others are not met in the truth"
        return self.spoilt.shown(figures, self.notes)


def _matched(overlap: Float[Tensor, "b k n"], there: Bool[Tensor, "b k"]) -> Bool[Tensor, "b k t"]:
    """Which of the found boxes, the surest first, are right at each overlap; overlap: -1 where none is to be found."""
    size, count, true = overlap.shape
    least = OVERLAPS.to(overlap.device)[None, :, None]
    taken = torch.zeros((size, len(OVERLAPS), true), dtype=torch.bool, device=overlap.device)
    right = torch.zeros((size, count, len(OVERLAPS)), dtype=torch.bool, device=overlap.device)
    if not true:
        return right
    for place in range(count):
        own = overlap[:, place, None, :]
        free = torch.where((own >= least) & ~taken & there[:, place, None, None], own, -1.0)
        best, at = free.flip(2).max(2)  # of equal overlaps the last, as the reference takes it
        hit = best >= 0
        right[:, place] = hit
        taken |= hit[..., None] & (torch.arange(true, device=at.device) == (true - 1 - at)[..., None])
    return right


def _precision(right: np.ndarray, true: int) -> np.ndarray:
    """(T,) average precision of found boxes (M, T), the surest first, of so many to be found."""
    hits, misses = np.cumsum(right, 0, dtype=np.float64), np.cumsum(~right, 0, dtype=np.float64)
    recall, precision = hits / true, hits / np.maximum(hits + misses, np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1], 0)[::-1]
    found = np.zeros(right.shape[1])
    for column in range(right.shape[1]):
        at = np.searchsorted(recall[:, column], RECALLS, side="left")
        found[column] = np.append(precision[:, column], 0.0)[at.clip(max=len(right))].mean()
    return found
