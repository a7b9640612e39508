"""Overlap, suppression and average precision against plain references, and the standard evaluator."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ranvier.core.protocols import Value
from ranvier.ops.boxes import area, box_iou, giou_loss, keep_best
from ranvier.ops.detection import Detections


def random_boxes(rng, *shape):
    start = rng.uniform(0, 60, (*shape, 2))
    return np.concatenate([start, start + rng.uniform(9, 40, (*shape, 2))], -1)


def one_iou(a, b):
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(tall, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_iou_is_that_of_pairs_one_by_one():
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, 3, 7), random_boxes(rng, 3, 5)
    found = box_iou(torch.tensor(a), torch.tensor(b)).numpy()
    wanted = [[[one_iou(x, y) for y in b[k]] for x in a[k]] for k in range(3)]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert area(torch.tensor([3.0, 3.0, 1.0, 9.0])) == 0


def test_giou_is_exact_where_it_is_known_and_pulls_boxes_together_that_do_not_meet():
    apart = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
    assert giou_loss(*apart).item() == pytest.approx(1 + 2 / 4)
    assert giou_loss(apart[0], apart[0]).item() == pytest.approx(0)
    said = apart[0].clone().requires_grad_()
    giou_loss(said, apart[1]).sum().backward()
    assert said.grad[0, 2] < 0  # its right edge moves to the right


def test_suppression_is_the_greedy_one():
    rng = np.random.default_rng(1)
    boxes, labels = random_boxes(rng, 6, 40), rng.integers(0, 2, (6, 40))
    kept = keep_best(torch.tensor(boxes), torch.tensor(labels), 0.4).numpy()
    for k in range(6):
        stay = []
        for i in range(40):
            if all(labels[k, i] != labels[k, j] or one_iou(boxes[k, i], boxes[k, j]) <= 0.4 for j in stay):
                stay.append(i)
        assert np.flatnonzero(kept[k]).tolist() == stay
    assert 0 < kept.sum() < kept.size


def cases(seed, rows=12, classes=4):
    """True boxes, and found ones of which many are true ones moved a little; scores of few values, so that some tie."""
    rng = np.random.default_rng(seed)
    true = [random_boxes(rng, n) for n in rng.integers(0, 6, rows)]
    codes = [rng.integers(0, classes, len(boxes)) for boxes in true]
    found, labels = [], []
    for boxes, code in zip(true, codes, strict=True):
        near = np.repeat(boxes, 2, 0) + rng.uniform(-4, 4, (2 * len(boxes), 4))
        found.append(np.concatenate([near, random_boxes(rng, 3)]))
        kept = np.where(rng.random(2 * len(boxes)) < 0.8, np.repeat(code, 2), rng.integers(0, classes, 2 * len(boxes)))
        labels.append(np.concatenate([kept, rng.integers(0, classes, 3)]))
    scores = [rng.permutation(np.linspace(0.05, 0.95, 1000))[: len(boxes)] for boxes in found]
    return true, codes, found, labels, scores


def padded(parts, width=None):
    longest = max(map(len, parts))
    shape = (len(parts), longest) if width is None else (len(parts), longest, width)
    out = np.zeros(shape)
    for row, part in enumerate(parts):
        out[row, : len(part)] = part
    return torch.tensor(out), torch.arange(longest) < torch.tensor([len(part) for part in parts])[:, None]


def reference(true, codes, found, labels, scores, classes):
    """What pycocotools says: mean over overlaps, and at 0.5."""

    def rows(boxes, codes, scores=None):
        told, number = [], 1
        for row, (own, code) in enumerate(zip(boxes, codes, strict=True)):
            for k, (box, label) in enumerate(zip(own, code, strict=True)):
                left, top, right, bottom = map(float, box)
                side = {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
                score = {} if scores is None else {"score": float(scores[row][k])}
                told.append({"id": number, "image_id": row, "category_id": int(label), "iscrowd": 0, **side, **score})
                number += 1
        return told

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": row, "width": 100, "height": 100} for row in range(len(true))],
            "categories": [{"id": code, "name": str(code)} for code in range(classes)],
            "annotations": rows(true, codes),
        }
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(rows(found, labels, scores)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[0], judge.stats[1]


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_the_standard_evaluator(seed):
    true, codes, found, labels, scores = cases(seed)
    metric = Detections(["a", "b", "c", "d"])
    for part in (slice(0, 5), slice(5, None)):  # in pieces
        (boxes, there), (marks, _), (sure, _) = (
            padded(p[part], w) for p, w in ((found, 4), (labels, None), (scores, None))
        )
        truth, mask = padded([np.column_stack([b, c]) for b, c in zip(true[part], codes[part], strict=True)], 5)
        metric.update(
            {"boxes": boxes, "labels": marks.long(), "scores": sure, "there": there}, Value(truth, mask), None
        )
    figures = metric.compute()
    mean, at_half = reference(true, codes, found, labels, scores, 4)
    assert figures["map"] == pytest.approx(mean, abs=1e-9)
    assert figures["map50"] == pytest.approx(at_half, abs=1e-9)
    alike = reference(true, [0 * c for c in codes], found, [0 * c for c in labels], scores, 1)
    assert figures["map50_any"] == pytest.approx(alike[1], abs=1e-9)


def test_rows_without_weight_or_truth_do_not_count():
    box = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]).expand(3, 1, 4)
    said = {
        "boxes": box,
        "labels": torch.zeros(3, 1).long(),
        "scores": torch.ones(3, 1),
        "there": torch.ones(3, 1).bool(),
    }
    far = torch.tensor([0.0, 5.0, 5.0])[:, None, None]
    truth = torch.cat([box + far, torch.zeros(3, 1, 1)], 2)
    y = Value(truth, torch.ones(3, 1, dtype=torch.bool), torch.tensor([True, True, False]))
    metric = Detections(["a", "b"])
    metric.update(said, y, torch.tensor([1.0, 0.0, 1.0]))
    assert metric.compute()["map50"] == 1.0
    assert "1 of 2" in metric.notes["map50"]
    nothing = Detections(["a"])
    assert nothing.compute() == {}
    assert nothing.notes
