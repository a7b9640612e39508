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


def test_what_cannot_be_read_is_told():
    with pytest.raises(DataError, match="cannot draw"):
        draw(b"no picture")
    with pytest.raises(DataError, match="cannot draw"):
        draw(GREY, mask=np.zeros((2, 2, 3)))
