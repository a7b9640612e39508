"""Pictures, masks and boxes moved alike: exact where pixels are whole, and together always."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.core.protocols import Value
from ranvier.core.spec import Spec
from ranvier.feed.augment.image import ImageAugment
from ranvier.ops.geometry import affine, move_boxes, move_labels, move_pixels

HEIGHT, WIDTH = 24, 32
PICTURE, MASK, BOXES = Spec("pixels", (HEIGHT, WIDTH), 1), Spec("mask", (HEIGHT, WIDTH), 3), Spec("boxes", (None, 5), 3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scenes(rows=32, low=4, high=12):
    """Each a bright rectangle on black: pixels, mask, boxes, its corners (B, 4) in pixels."""
    size = torch.randint(low, high, (rows, 2), generator=generator(1))
    start = (torch.rand(rows, 2, generator=generator(2)) * (torch.tensor([HEIGHT, WIDTH]) - size)).long()
    masks = torch.zeros(rows, HEIGHT, WIDTH, dtype=torch.uint8)
    for row in range(rows):
        (top, left), (tall, wide) = start[row].tolist(), size[row].tolist()
        masks[row, top : top + tall, left : left + wide] = 1
    corners = torch.cat([start, start + size], 1)[:, [1, 0, 3, 2]]
    boxes = torch.cat([corners / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]), torch.full((rows, 1), 2.0)], 1)
    return 255 * masks[..., None], masks, boxes[:, None], corners


def around(masks):
    """The corners (B, 4) of what is 1 in each mask."""
    found = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        found.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else [0] * 4)
    return torch.tensor(found)


def identity(rows):
    one, none = torch.ones(rows), torch.zeros(rows)
    return affine(one, one, none, none, none, HEIGHT / WIDTH)


def test_nothing_moves_by_the_identity():
    pixels, masks, boxes, _ = scenes()
    same = identity(len(pixels))
    assert torch.equal(move_pixels(pixels, same), pixels)
    assert torch.equal(move_labels(masks, same), masks)
    moved, there = move_boxes(boxes[..., :4], same)
    torch.testing.assert_close(moved, boxes[..., :4])
    assert there.all()


@pytest.mark.parametrize("flip", [False, True])
def test_whole_moves_and_mirrors_are_exact_for_masks_and_boxes(flip):
    pixels, masks, boxes, _ = scenes()
    augment = ImageAugment(PICTURE, flip=flip, shift=3, crop=1.0)
    shown = augment(Value(pixels), generator(5)).data
    assert not torch.equal(shown, pixels)
    mask = augment.carry(Value(masks), MASK, generator(5)).data
    assert torch.equal(255 * mask[..., None], shown)
    assert torch.equal(augment.carry(Value(pixels), PICTURE, generator(5)).data, shown)
    found = augment.carry(Value(boxes, torch.ones(len(boxes), 1, dtype=torch.bool)), BOXES, generator(5))
    assert (found.data[..., 4] == 2).all()
    inside = ((around(mask) > 0) & (around(mask) < torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT]))).all(1)
    assert inside.sum() > 10  # an edge that is repeated is no edge of the thing
    scale = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    torch.testing.assert_close(found.data[inside, 0, :4] * scale, around(mask)[inside].float())


def test_crops_move_masks_and_boxes_with_the_picture():
    pixels, masks, boxes, _ = scenes()
    augment = ImageAugment(PICTURE, flip=True, shift=0, crop=0.4)
    shown = augment(Value(pixels), generator(7)).data[..., 0]
    mask = augment.carry(Value(masks), MASK, generator(7)).data
    assert ((shown >= 128) != mask.bool()).float().mean() < 0.01  # halfway between pixels only
    found = augment.carry(Value(boxes, torch.ones(len(boxes), 1, dtype=torch.bool)), BOXES, generator(7))
    assert found.mask is not None
    there = found.mask[:, 0]
    assert 0 < there.sum() < len(there)  # some have left the picture
    scale = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    assert ((found.data[there, 0, :4] * scale) - around(mask)[there]).abs().max() <= 1.0
    left = mask.flatten(1).sum(1) / (before := masks.flatten(1).sum(1))
    assert left[there].min() > left[~there].max()  # what has mostly left is gone
    assert (before > 0).all()


def test_turns_are_round_and_boxes_lie_around_what_is_turned():
    rows, quarter = 4, torch.full((4,), math.pi / 2)
    one, none = torch.ones(rows), torch.zeros(rows)
    square = torch.randint(0, 3, (rows, 16, 16), dtype=torch.uint8, generator=generator(3))
    turned = move_labels(square, affine(one, one, none, none, quarter, 1.0))
    assert torch.equal(turned, square.rot90(1, (1, 2))) or torch.equal(turned, square.rot90(-1, (1, 2)))
    boxes = torch.tensor([0.25, 0.375, 0.5, 0.75]).expand(rows, 1, 4)
    back, _ = move_boxes(
        move_boxes(boxes, affine(one, one, none, none, quarter, 1.0))[0], affine(one, one, none, none, -quarter, 1.0)
    )
    torch.testing.assert_close(back, boxes)
    _, masks, boxes, _ = scenes(high=8)
    augment = ImageAugment(PICTURE, flip=False, shift=0, rotate=30.0)
    mask = augment.carry(Value(masks), MASK, generator(9)).data
    found = augment.carry(Value(boxes, torch.ones(len(boxes), 1, dtype=torch.bool)), BOXES, generator(9)).data[:, 0, :4]
    edges = around(mask) / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    whole = (found > 0).all(1) & (found < 1).all(1)
    whole &= ((boxes[:, 0, :4] > 0) & (boxes[:, 0, :4] < 1)).all(1)  # an edge is repeated, and turns in from beyond
    assert whole.sum() > 10
    slack = 1.5 / HEIGHT
    assert (found[whole, :2] <= edges[whole, :2] + slack).all()
    assert (found[whole, 2:] >= edges[whole, 2:] - slack).all()


def test_what_is_mostly_cut_off_is_gone():
    half = torch.full((1,), 0.5)
    places = affine(half, half, half - 1, half - 1, torch.zeros(1), 1.0)  # the upper left quarter
    boxes = torch.tensor([[[0.1, 0.1, 0.3, 0.3], [0.3, 0.3, 0.6, 0.6], [0.49, 0.49, 0.8, 0.8], [0.6, 0.6, 0.9, 0.9]]])
    found, there = move_boxes(boxes, places)
    torch.testing.assert_close(found[0, :2], torch.tensor([[0.2, 0.2, 0.6, 0.6], [0.6, 0.6, 1.0, 1.0]]))
    assert there.tolist() == [[True, True, False, False]]
