"""Losses and figures of masks: a class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.protocols import Value
from ranvier.ops.streams import NO_ROWS, Spoilt, amounts

VOID = 255
PIECE = 1 << 20  # pixels that are counted at a time


def pixel_cross_entropy(logits: Float[Tensor, "b c h w"], truth: Integer[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Each row's mean of -log softmax at the truth, over the pixels of known class; 0 where there is none."""
    known = truth < logits.shape[1]
    each = F.cross_entropy(logits.float(), torch.where(known, truth, VOID).long(), ignore_index=VOID, reduction="none")
    return each.flatten(1).sum(1) / known.flatten(1).sum(1).clamp_min(1)


def dice(logits: Float[Tensor, "b c h w"], truth: Integer[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """1 less the mean over the classes in a row's truth of the Dice coefficient 2 sum(p y) / (sum(p) + sum(y)).

    p: softmax of the logits. Source: Milletari et al. 2016, "V-Net", arXiv:1606.04797, section 3, with sum(p) for its
    sum of squares, for each class.
    """
    known = (truth < logits.shape[1]).flatten(1)
    at = torch.where(known, truth.flatten(1), 0).long()  # (B, H W)
    probabilities = logits.float().softmax(1).flatten(2)
    right = probabilities.gather(1, at[:, None])[:, 0] * known
    none = probabilities.new_zeros(probabilities.shape[:2])
    both, area = none.scatter_add(1, at, right), none.scatter_add(1, at, known.float())
    said = probabilities.sum(2) if known.all() else (probabilities * known[:, None]).sum(2)
    share = 2 * both / (said + area).clamp_min(1)
    there = (area > 0).float()
    return 1 - (share * there).sum(1) / there.sum(1).clamp_min(1)


class Masks:
    """Figures of predicted masks, from {"classes": (B, H, W), "confidence": (B,)} and (B, H, W), over all pixels
    of known class.

    pixel_accuracy: the share that is right. mean_iou: the mean over classes of intersection / union of where a class is
    predicted and where it is, over all rows together (Everingham et al. 2010, PASCAL VOC, 4.2), of classes that are met
    in either; iou_<label> each. foreground_iou: the same of all classes but the first as one. Pixels of a class that
    training never saw (codes from C on, but for 255) are wrong, whatever is said. Rows count by weight.
    """

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._table: Tensor | None = (
            None  # (C + 1, C): weight of pixels, truth by predicted; last, those of no class seen
        )

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch; weight (B,) or None for ones."""
        said, count = prediction["classes"], len(self.labels)
        amount = amounts(y, weight, said.device)
        self.spoilt.add({"confidence": prediction["confidence"]}, amount)
        rows = max(1, PIECE // max(1, said[0].numel() if len(said) else 1))
        pieces = (part.split(rows) for part in (said, y.data, amount))
        for one, truth, each in zip(*pieces, strict=True):
            code = truth.long().clamp(max=count)  # `count`: one that training never saw
            places = torch.where(truth == VOID, (count + 1) * count, code * count + one.long()).flatten(1)
            weights = each[:, None].expand_as(places).flatten()
            table = torch.bincount(places.flatten(), weights, (count + 1) * count + 1)[:-1].view(count + 1, count)
            self._table = table if self._table is None else self._table + table

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        if self._table is None or not self._table.sum() > 0:
            self.notes["all"] = NO_ROWS
            return {}
        table = self._table.cpu()
        union = table.sum(0) + table.sum(1)[:-1] - table.diagonal()
        met = union > 0
        each = table.diagonal() / union.clamp_min(1e-12)
        figures = {
            "mean_iou": float(each[met].mean()),
            "pixel_accuracy": float(table.diagonal().sum() / table.sum()),
        }
        beyond = table.sum() - table[0, 0]
        if len(self.labels) > 1 and beyond > 0:
            figures["foreground_iou"] = float(table[1:, 1:].sum() / beyond)
        figures |= {
            f"iou_{name}": float(share) for name, share, there in zip(self.labels, each, met, strict=True) if there
        }
        if not met.all():
            absent = ", ".join(name for name, there in zip(self.labels, met, strict=True) if not there)
            self.notes["mean_iou"] = f"without {absent}: neither in the truth nor predicted"
        return self.spoilt.shown(figures, self.notes)
