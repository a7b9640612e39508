"""Boxes around things in pictures: overlap, the loss of a wrong one, and which of many say the same.

A box is (left, top, right, bottom), in whatever unit, y down.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PIECE = 1 << 20  # pairs of boxes that are compared at a time


def area(boxes: Float[Tensor, "... 4"]) -> Tensor:
    """Width times height, 0 for a box that is inverted."""
    return (boxes[..., 2] - boxes[..., 0]).clamp_min(0) * (boxes[..., 3] - boxes[..., 1]).clamp_min(0)


def box_iou(a: Float[Tensor, "... n 4"], b: Float[Tensor, "... m 4"]) -> Float[Tensor, "... n m"]:
    """Intersection over union of each of `a` with each of `b`; 0 where neither has an area."""
    both = _common(a[..., :, None, :], b[..., None, :, :])
    union = area(a)[..., :, None] + area(b)[..., None, :] - both
    return both / union.clamp_min(1e-12)


def giou_loss(said: Float[Tensor, "... 4"], truth: Float[Tensor, "... 4"]) -> Tensor:
    """1 - (IoU - the share of the box around both that is in neither), from 0 to 2: Rezatofighi et al. 2019.

    Has a gradient where the boxes do not meet. Source: arXiv:1902.09630, algorithm 1.
    """
    both = _common(said, truth)
    union = area(said) + area(truth) - both
    around = torch.cat([torch.minimum(said, truth)[..., :2], torch.maximum(said, truth)[..., 2:]], -1)
    whole = area(around).clamp_min(1e-9)
    return 1 - both / union.clamp_min(1e-9) + (whole - union) / whole


def keep_best(boxes: Float[Tensor, "b k 4"], labels: Int[Tensor, "b k"], overlap: float) -> Bool[Tensor, "b k"]:
    """Which boxes stay, the best first in each row: not one that overlaps a better one that stays, of the same label.

    Greedy non-maximum suppression for all rows at once. overlap: the IoU above which the lesser goes.
    """
    rows = max(1, PIECE // max(1, boxes.shape[1] ** 2))
    pieces = zip(boxes.split(rows), labels.split(rows), strict=True)
    return torch.cat([_kept(own, label, overlap) for own, label in pieces])


def _kept(boxes: Tensor, labels: Tensor, overlap: float) -> Tensor:
    rivals = (box_iou(boxes, boxes) > overlap) & (labels[:, :, None] == labels[:, None, :])
    kept = torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    for place in range(boxes.shape[1] - 1):
        lost = rivals[:, place, place + 1 :] & kept[:, place, None]
        kept[:, place + 1 :] &= ~lost
    return kept


def _common(a: Tensor, b: Tensor) -> Tensor:
    """The area that both have."""
    return area(torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1))
