"""Losses and figures of masks against plain sums over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.core.protocols import Value
from ranvier.ops.segmentation import VOID, Masks, dice, pixel_cross_entropy


def example(rows=3, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, 5, 6, generator=generator, dtype=torch.float32)
    truth = torch.randint(0, classes, (rows, 5, 6), generator=generator).to(torch.uint8)
    truth[0, :2] = VOID
    return logits, truth


def test_cross_entropy_is_the_mean_over_known_pixels():
    logits, truth = example()
    logs = logits.log_softmax(1).numpy()
    for row, found in enumerate(pixel_cross_entropy(logits, truth).tolist()):
        each = [-logs[row, truth[row, i, j], i, j] for i in range(5) for j in range(6) if truth[row, i, j] != VOID]
        assert found == pytest.approx(np.mean(each), rel=1e-5)
    nothing = torch.full_like(truth, VOID)
    assert pixel_cross_entropy(logits, nothing).tolist() == dice(logits, nothing).sub(1).tolist() == [0.0] * 3


def test_dice_is_the_mean_of_the_classes_that_are_there():
    logits, truth = example()
    truth[1] = 2
    chances = logits.softmax(1).numpy()
    for row, found in enumerate(dice(logits, truth).tolist()):
        known = truth[row].numpy() != VOID
        shares = []
        for code in np.unique(truth[row].numpy()[known]):
            there = (truth[row].numpy() == code) & known
            said = chances[row, code] * known
            shares.append(2 * (said * there).sum() / (said.sum() + there.sum()))
        assert found == pytest.approx(1 - np.mean(shares), rel=1e-5)
    right = torch.nn.functional.one_hot(torch.where(truth == VOID, 0, truth).long(), 4).movedim(3, 1) * 100.0
    assert dice(right, truth).abs().max() < 1e-4


def test_both_have_the_gradient_of_finite_differences():
    logits, truth = example(rows=2)
    logits = logits.double().requires_grad_()
    step = 1e-3
    for loss in (pixel_cross_entropy, dice):
        gradient = torch.autograd.grad(loss(logits, truth).sum(), logits)[0]
        for place in ((0, 1, 3, 2), (1, 0, 0, 5)):
            moved = torch.zeros_like(logits)
            moved[place] = step
            slope = (loss(logits + moved, truth) - loss(logits - moved, truth)).sum() / (2 * step)
            assert gradient[place].item() == pytest.approx(slope.item(), abs=2e-4)


def test_figures_are_those_of_sets_of_pixels_however_rows_come():
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 3, (20, 6, 7)), rng.integers(0, 3, (20, 6, 7))
    truth[rng.random(truth.shape) < 0.1] = VOID
    truth[0], said[0] = 1, 1
    observed = torch.tensor([True] * 19 + [False])
    metric = Masks(["ground", "tree", "house", "sea"])
    for rows in (slice(0, 7), slice(7, 20)):
        y = Value(torch.tensor(truth[rows]).to(torch.uint8), observed=observed[rows])
        given = {"classes": torch.tensor(said[rows]).to(torch.uint8), "confidence": torch.ones(len(said[rows]))}
        metric.update(given, y, None)
    figures = metric.compute()
    t, s = truth[:19].ravel(), said[:19].ravel()
    t, s = t[t != VOID], s[t != VOID]
    each = [((t == k) & (s == k)).sum() / ((t == k) | (s == k)).sum() for k in range(3)]
    assert figures["mean_iou"] == pytest.approx(np.mean(each))
    assert figures["iou_tree"] == pytest.approx(each[1])
    assert "iou_sea" not in figures
    assert "sea" in metric.notes["mean_iou"]
    assert figures["pixel_accuracy"] == pytest.approx((t == s).mean())
    assert figures["foreground_iou"] == pytest.approx(((t > 0) & (s > 0)).sum() / ((t > 0) | (s > 0)).sum())


def test_rows_count_by_weight_and_none_is_told():
    truth = torch.tensor([[[0, 1]], [[1, 1]]], dtype=torch.uint8)
    said = {"classes": torch.tensor([[[0, 1]], [[0, 0]]], dtype=torch.uint8), "confidence": torch.ones(2)}
    metric = Masks(["a", "b"])
    metric.update(said, Value(truth), torch.tensor([3.0, 1.0]))
    assert metric.compute()["pixel_accuracy"] == pytest.approx(6 / 8)
    nothing = Masks(["a", "b"])
    assert nothing.compute() == {}
    nothing.update(said, Value(truth), torch.zeros(2))
    assert nothing.compute() == {}
    assert nothing.notes
    spoilt = Masks(["a", "b"])
    spoilt.update(said | {"confidence": torch.tensor([1.0, float("nan")])}, Value(truth), None)
    assert np.isnan(spoilt.compute()["mean_iou"])
    assert "1 rows" in spoilt.notes["all"]


def test_a_class_that_training_never_saw_is_wrong_in_figures_and_no_matter_in_losses():
    logits, truth = example()
    truth[truth == 2] = 254
    marked = torch.where(truth == 254, VOID, truth)
    for loss in (pixel_cross_entropy, dice):
        assert torch.equal(loss(logits, truth), loss(logits, marked))
    y = torch.tensor([[[0, 1, 254, 254]]], dtype=torch.uint8)
    metric = Masks(["a", "b"])
    metric.update({"classes": torch.tensor([[[0, 1, 1, 0]]]), "confidence": torch.ones(1)}, Value(y), None)
    figures = metric.compute()
    assert figures["pixel_accuracy"] == 0.5
    assert figures["iou_a"] == figures["iou_b"] == 0.5
    assert figures["foreground_iou"] == pytest.approx(2 / 3)
