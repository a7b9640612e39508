"""Things laid over other pictures: pixels, masks and boxes agree, by hand and at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ranvier as rv
from ranvier.core.errors import PlanError
from ranvier.core.protocols import Batch, Value
from ranvier.core.spec import Spec
from ranvier.feed.paste import Paste
from ranvier.ops.segmentation import VOID

SIDE, ROWS = 8, 32
PICTURE = Spec("pixels", (SIDE, SIDE), 1)
MASK, BOXES = Spec("mask", (SIDE, SIDE), 3, labels=("ground", "a", "b")), Spec("boxes", (None, 5), 2, labels=("a", "b"))


def scene(rows=ROWS, gaps=False):
    """Pictures that are 10 times their masks on a ground of their row's number, a square in each, and its box."""
    rng = np.random.default_rng(0)
    picture = np.tile(np.arange(rows, dtype=np.uint8)[:, None, None] + 100, (1, SIDE, SIDE))
    mask, boxes = np.zeros((rows, SIDE, SIDE), np.uint8), np.zeros((rows, 1, 5), np.float32)
    for row in range(rows):
        (top, left), side, label = rng.integers(0, 5, 2), rng.integers(2, 4), rng.integers(1, 3)
        mask[row, top : top + side, left : left + side] = label
        boxes[row, 0] = [left / SIDE, top / SIDE, (left + side) / SIDE, (top + side) / SIDE, label - 1]
    picture = np.where(mask, 10 * mask, picture)
    observed = torch.from_numpy(np.arange(rows) % 3 > 0) if gaps else None
    return Batch(
        rows,
        {"picture": Value(torch.from_numpy(picture)[..., None], observed=observed)},
        {
            "mask": Value(torch.from_numpy(mask)),
            "boxes": Value(torch.from_numpy(boxes), torch.ones(rows, 1, dtype=torch.bool)),
        },
    )


def pasted(batch, *, chance=1.0, places=None, seed=1):
    places = places or {"mask": MASK, "boxes": BOXES}
    found = Paste({"picture": PICTURE}, {"picture": places}, chance=chance)(batch, np.random.default_rng(seed))
    return found, torch.from_numpy(np.random.default_rng(seed).permutation(batch.size))


def test_pixels_masks_and_boxes_agree():
    before = scene()
    found, order = pasted(before)
    picture, mask, boxes = found.inputs["picture"].data[..., 0], found.targets["mask"].data, found.targets["boxes"]
    own, its = before.targets["mask"].data, before.targets["mask"].data[order]
    assert torch.equal(mask, torch.where(its > 0, its, own))
    ground = torch.arange(ROWS, dtype=torch.uint8)[:, None, None] + 100
    assert torch.equal(picture, torch.where(mask > 0, 10 * mask, ground.expand_as(mask)))
    assert torch.equal(boxes.data[:, 1], before.targets["boxes"].data[order, 0])
    assert boxes.mask is not None
    assert boxes.mask[:, 1].all()
    left = ((own > 0) & (its == 0)).flatten(1).sum(1) / (own > 0).flatten(1).sum(1)
    assert torch.equal(boxes.mask[:, 0], left >= 0.25)
    assert not boxes.mask[:, 0].all()  # some are hidden
    assert torch.equal(before.targets["mask"].data, scene().targets["mask"].data)  # the batch is left alone


def test_without_masks_boxes_say_where_things_are():
    before = scene()
    found, order = pasted(before, places={"boxes": BOXES})
    its = before.targets["mask"].data[order] > 0
    wanted = torch.where(its, before.inputs["picture"].data[order, ..., 0], before.inputs["picture"].data[..., 0])
    assert torch.equal(found.inputs["picture"].data[..., 0], wanted)


@pytest.mark.parametrize("zoom", [2, 3])
def test_a_mask_may_be_of_another_size_than_its_picture(zoom):
    before = scene()
    picture = before.inputs["picture"]
    picture.data = picture.data.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    found, _ = pasted(before)
    same, _ = pasted(scene())
    assert torch.equal(found.targets["mask"].data, same.targets["mask"].data)
    assert torch.equal(found.inputs["picture"].data[:, ::zoom, ::zoom], same.inputs["picture"].data)
    assert torch.equal(found.inputs["picture"].data[:, zoom - 1 :: zoom], found.inputs["picture"].data[:, ::zoom])


def test_a_run_whose_masks_are_smaller_than_its_pictures():
    rng = np.random.default_rng(0)
    frame = {
        "picture": [*rng.integers(0, 255, (24, 16, 16), np.uint8)],
        "mask": [*np.kron(rng.integers(0, 3, (24, 2, 2)), np.ones((1, 4, 4))).astype(np.uint8)],
    }
    plan = rv.plan(frame, "mask", inputs=["picture"], types={"mask": "mask"}, epochs=1, size="s", threads=1)
    assert plan.train.mix["name"] == "paste"
    model = rv.fit(plan, progress=False)
    assert 0 <= model.report.headline["mean_iou"] <= 1


def test_a_target_that_would_no_longer_be_true_is_refused_in_the_plan():
    rng = np.random.default_rng(0)
    frame = {
        "picture": [*rng.integers(0, 255, (24, 16, 16), np.uint8)],
        "mask": [*np.kron(rng.integers(0, 3, (24, 4, 4)), np.ones((1, 4, 4))).astype(np.uint8)],
        "kind": ["cat", "dog"] * 12,
        "count": rng.normal(size=24),
    }
    how = {"inputs": ["picture"], "types": {"mask": "mask"}, "size": "s", "epochs": 1}
    for other in ("kind", "count"):
        assert rv.plan(frame, ["mask", other], **how).train.mix["name"] == "none"
        with pytest.raises(PlanError, match=rf"train\.mix = 'paste': .* '{other}' would no longer be true"):
            rv.plan(frame, ["mask", other], mix="paste", **how)
    assert rv.plan(frame, "mask", mix="paste", **how).train.mix["name"] == "paste"


def test_chance_and_gaps_leave_rows_as_they_are():
    before = scene(gaps=True)
    none, _ = pasted(before, chance=0.0)
    assert torch.equal(none.inputs["picture"].data, before.inputs["picture"].data)
    assert torch.equal(none.targets["mask"].data, before.targets["mask"].data)
    found, order = pasted(before)
    observed = before.inputs["picture"].observed
    assert observed is not None
    moved = (found.targets["mask"].data != before.targets["mask"].data).flatten(1).any(1)
    assert not moved[~(observed & observed[order])].any()
    assert moved.any()


def test_what_is_unknown_is_not_laid_over():
    before = scene()
    before.targets["mask"].data[:, 0] = VOID
    found, _ = pasted(before)
    assert (found.targets["mask"].data[:, 0] == VOID).all()
    assert torch.equal(found.inputs["picture"].data[:, 0], before.inputs["picture"].data[:, 0])


@pytest.mark.parametrize(
    ("places", "chance"), [({}, 0.5), ({"picture": {"y": PICTURE}}, 0.5), ({"picture": {"mask": MASK}}, 2.0)]
)
def test_what_it_refuses(places, chance):
    with pytest.raises(PlanError):
        Paste({"picture": PICTURE}, places, chance=chance)


def test_it_is_chosen_for_masks_alone():
    rng = np.random.default_rng(0)
    frame = {
        "picture": [*rng.integers(0, 255, (12, 8, 8), np.uint8)],
        "mask": [*np.repeat(np.repeat(rng.integers(0, 3, (12, 2, 2), np.uint8), 4, 1), 4, 2)],
        "kind": ["a", "b"] * 6,
    }
    how = {"inputs": ["picture"], "types": {"mask": "mask"}}
    assert rv.plan(frame, ["mask"], **how).train.mix == {"name": "paste", "chance": 0.5}
    assert rv.plan(frame, ["mask", "kind"], **how).train.mix == {"name": "none"}
    assert rv.plan(frame, ["kind"], inputs=["picture"]).train.mix == {"name": "none"}
    with pytest.raises(PlanError, match="neither is wanted"):
        rv.plan(frame, ["kind"], inputs=["picture"], mix={"name": "paste"})
