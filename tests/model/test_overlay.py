"""Masks and boxes drawn on their picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ranvier.columns.labels import PALETTE, written
from ranvier.core.errors import DataError
from ranvier.model.overlay import draw

GREY = np.full((64, 128, 3), 128, np.uint8)


def shown(**what):
    with Image.open(io.BytesIO(draw(GREY, **what))) as image:
        return np.asarray(image.convert("RGB"))


def test_a_mask_covers_its_pixels_only_and_the_picture_is_seen_through():
    codes = np.zeros((64, 128), np.int64)
    codes[16:32, 32:64] = 3
    for mask in (codes, written(codes, False, [])):
        found = shown(mask=mask)
        assert found.shape == (256, 512, 3)
        assert (found[:60] == 128).all()
        np.testing.assert_allclose(found[100, 200], (128 + np.array(PALETTE[9:12])) / 2, atol=1)


def test_boxes_have_their_lines_where_they_are_and_a_name():
    plain = shown()
    box = {"x": 32.0, "y": 16.0, "w": 32.0, "h": 32.0, "label": "cat", "score": 0.5}
    found = shown(boxes=[box])
    changed = (found != plain).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (rows[0], columns[0]) == (64, 128)
    assert rows[-1] == 192
    assert changed[150, 128:130].all()
    assert not changed[150, 140:240].any()  # nothing within
    assert (shown(boxes=[{**box, "label": "dog"}]) != found).any()
    del box["score"]
    assert (shown(boxes=[box]) != found).any()


def test_boxes_in_shares_are_shares_of_the_picture():
    pixels = {"x": 32, "y": 16, "w": 32, "h": 32, "label": "cat"}
    shares = {"x": 0.25, "y": 0.25, "w": 0.25, "h": 0.5, "label": "cat"}
    assert (shown(boxes=[shares]) == shown(boxes=[pixels])).all()
    small = {"x": 0, "y": 0, "w": 1, "h": 1, "label": "dog"}
    found = shown(boxes=[small, pixels])  # one pixel beside a box in pixels
    assert (found[:, 300:] == 128).all()
    assert (shown(boxes=[small])[:, 300:] != 128).any()
    assert (shown(boxes=[{**pixels, "w": 1e300}])[64:66, 200:] != 128).any()  # beyond the picture


def test_colours_of_a_mask_are_its_own_and_high_numbers_have_some():
    codes = np.zeros((64, 128), np.int64)
    codes[16:32, 32:64] = 200  # a blue below 256
    np.testing.assert_allclose(shown(mask=written(codes, True, []))[100, 200], [64, 64, 164], atol=1)
    high = np.where(codes > 0, 258, 0)
    for mask in (high, written(high, False, [])):
        np.testing.assert_allclose(shown(mask=mask)[100, 200], (128 + np.array(PALETTE[6:9])) / 2, atol=1)


BOX = {"x": 1, "y": 1, "w": 9, "h": 9, "label": "cat"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({**BOX, "w": -1}, "w = -1 and h = 9"),
        ([1, 2, 30, 40], "expected a dict such as"),
        ({**BOX, "x": None}, "x = None: expected a number"),
        ({**BOX, "y": float("nan")}, "y = nan"),
        ({"x": 1}, "y = None"),
        ({**BOX, "score": "sure"}, "score = 'sure'"),
    ],
)
def test_boxes_that_are_none_are_told(wrong, told):
    with pytest.raises(DataError, match=told):
        draw(GREY, boxes=[BOX, wrong])
    assert (shown(boxes=[{**BOX, "score": None}]) == shown(boxes=[BOX])).all()


def test_what_cannot_be_read_is_told():
    with pytest.raises(DataError, match="cannot draw"):
        draw(b"no picture")
    with pytest.raises(DataError, match="cannot draw"):
        draw(GREY, mask=np.zeros((2, 2, 3)))
    with pytest.raises(DataError, match="a mask with the value -1"):
        draw(GREY, mask=np.full((64, 128), -1))
