"""A picture to the boxes of things in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value, View
from ranvier.core.spec import Given, Spec
from ranvier.heads.maps import WIDTH, grids_of
from ranvier.heads.output import check_share
from ranvier.nets.activations import ActivationName
from ranvier.nets.cnn import convolution
from ranvier.nets.norms import NormName
from ranvier.nets.pyramid import FeaturePyramid
from ranvier.ops.assign import aligned
from ranvier.ops.boxes import giou_loss, keep_best
from ranvier.ops.detection import Detections

Auto = Literal["auto"]
LOOKED_AT = 300  # places of a row that are looked at for boxes that say the same
FAINT = 0.01  # chance from which on a box counts for figures
RARE = 0.01  # chance of a thing at a place, at first
LONG = 20.0  # strides from a place to a side of its box, at most, at first e ** 0.7


class BoxesHead(Head):
    """The maps of a picture's encoder to boxes with labels, without anchors: each place says what is there, and how far
    its sides are (Tian et al. 2019, "FCOS", arXiv:1904.01355).

    The maps from stride `finest` on become as many that know the coarser ones (`nets.FeaturePyramid`, `layer_width`
    channels); two convolutions and two more, the same for all, make the scores of the classes, each by itself, and the
    four distances. Which places are to find a thing is settled by how well they do (`ops.assign.aligned`). The loss is
    the cross-entropy of all scores with how sure a place may be, and `box` times the GIoU loss weighted by that; its
    count is the number of things, and 1. `overlap`: IoU above which the less sure of two boxes of a class is left out;
    `least`: chance from which on a box is predicted (figures take all from 0.01 on); `most`: boxes of a row, at most.
    of: the input that they are in, "" = the only picture. Raises PlanError for a column of another kind, and where no
    encoder, or more than one, gives maps.
    """

    welcomes: frozenset[View] = frozenset({"maps"})
    ways = ("least", "most", "overlap")
    splits = False  # batch norm, unless an instance has another

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        given: Mapping[str, Given] | None = None,
        /,
        *,
        of: str = "",
        layer_width: int | Auto = "auto",
        finest: Count = 8,
        box: float = 2.0,
        overlap: float = 0.6,
        least: float = 0.3,
        most: Count = 100,
        activation: ActivationName = "relu",
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        if spec.kind != "boxes":
            raise PlanError(f"the boxes head needs a column of kind 'boxes', not {spec.kind!r}")
        _check(least, overlap)
        if box < 0:
            raise PlanError(f"box = {box:g}: expected a weight of 0 or more")
        self.labels, self.box, self.overlap, self.least, self.most = list(spec.labels), box, overlap, least, most
        self.splits = norm != "batch"
        self.of, grids = grids_of(given or {}, of, "boxes")
        self.first = next((k for k, (_, stride) in enumerate(grids) if stride >= finest), len(grids) - 1)
        used = grids[self.first :]
        inner = WIDTH["m"] if layer_width == "auto" else layer_width
        self.strides = [stride for _, stride in used]
        self.all = nn.Linear(width, used[-1][0])
        self.pyramid = FeaturePyramid([channels for channels, _ in used], inner, activation=activation, norm=norm)
        tower = "group" if norm == "batch" else norm  # maps of all finenesses go through one, batches of which differ
        self.classes, self.sides = (
            nn.Sequential(convolution(inner, inner, activation=activation, norm=tower), nn.Conv2d(inner, out, 1))
            for out in (spec.size, 4)
        )
        nn.init.zeros_(self.all.weight)
        nn.init.constant_(self.classes[-1].bias, -math.log(1 / RARE - 1))  # type: ignore[arg-type]
        nn.init.constant_(self.sides[-1].bias, 0.7)  # type: ignore[arg-type]

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "things in a picture") if spec.kind == "boxes" else (0.0, "the column holds no boxes")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Channels by the capacity dial."""
        return {"layer_width": (WIDTH[facts.size], f"size {facts.size}")}

    def count(self, y: Value) -> Tensor:
        """(B,) how many things there are, and 1, for places without any learn too."""
        assert y.mask is not None
        return 1.0 + y.mask.sum(1)

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the cross-entropy of the scores and the GIoU loss of the boxes."""
        assert y.mask is not None
        scores, said, centres = self._said(f)
        truth, labels = y.data[..., :4], y.data[..., 4].long()
        there = y.mask & (labels < len(self.labels))
        labels = torch.where(there, labels, 0)
        thing, sure = aligned(scores.sigmoid(), said, centres, truth, labels, there)
        found, at = thing >= 0, thing.clamp_min(0)
        wanted = torch.zeros_like(scores)
        if truth.shape[1]:
            wanted.scatter_(2, labels.gather(1, at)[..., None], (sure * found)[..., None])
            own = truth.gather(1, at[..., None].expand(-1, -1, 4))
            wrong = giou_loss(said, torch.where(found[..., None], own, said.detach()))
            boxes = (wrong * sure).sum(1)
        else:
            boxes = scores.new_zeros(len(scores))
        return F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").sum((1, 2)) + self.box * boxes

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"boxes": (B, K, 4) in shares, "scores", "labels", "there": (B, K)}, the surest first.

        how: `ways`, options of other values. Raises PlanError as making it does.
        """
        least, most, overlap = (how.get(way, getattr(self, way)) for way in self.ways)
        _check(least, overlap)
        scores, said, _ = self._said(f)
        chance, labels = scores.sigmoid().max(2)
        chance, at = chance.topk(min(LOOKED_AT, chance.shape[1]), 1)
        labels = labels.gather(1, at)
        boxes = said.gather(1, at[..., None].expand(-1, -1, 4)).clamp(0, 1)
        kept = keep_best(boxes, labels, overlap) & (chance >= least)
        chance, order = torch.where(kept, chance, -1.0).topk(min(most, chance.shape[1]), 1)
        boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
        return {"boxes": boxes, "scores": chance.clamp_min(0), "labels": labels.gather(1, order), "there": chance >= 0}

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """As `predict`, with boxes that are not sure: precision is told at every recall."""
        return self.predict(f, least=FAINT)

    def metrics(self) -> Metrics:
        """Average precision."""
        return Detections(self.labels)

    def _said(self, f: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (B, P, classes), boxes (B, P, 4), and centres (P, 2), in shares of the picture, of all places."""
        every = f.parts[self.of].maps
        height, width = (side * every[0][1] for side in every[0][0].shape[2:])
        maps = [m for m, _ in every[self.first :]]
        maps[-1] = maps[-1] + self.all(f.as_vector())[:, :, None, None]
        scores, boxes, centres = [], [], []
        for x, stride in zip(self.pyramid(maps), self.strides, strict=True):
            scores.append(self.classes(x).flatten(2).mT.float())
            away = LONG * (self.sides(x).flatten(2).mT.float() - math.log(LONG)).sigmoid()  # e ** x while it is small
            down, right = (torch.arange(side, device=x.device) + 0.5 for side in x.shape[2:])
            at = torch.stack([right.repeat(len(down)), down.repeat_interleave(len(right))], 1) * stride
            size = torch.tensor([width, height], device=x.device)
            sides = away * stride
            boxes.append(torch.cat([at - sides[..., :2], at + sides[..., 2:]], 2) / size.repeat(2))
            centres.append(at / size)
        return torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(centres)


def _check(least: float, overlap: float) -> None:
    """Raises PlanError for what is no share."""
    check_share("least", least)
    if not 0 < overlap <= 1:
        raise PlanError(f"overlap = {overlap:g}: expected a share above 0")
