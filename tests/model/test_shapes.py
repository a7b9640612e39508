"""Masks and boxes that do not belong to their picture: of another shape or size, or beyond it."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.core.errors import DataError
from ranvier.model.fit import fit
from ranvier.model.overlay import draw
from ranvier.model.placed import same_shape

QUICK = {"epochs": 0.5, "size": "s", "threads": 1, "progress": False}
WIDE, TALL = 24, 16


def png(array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, "PNG")
    return file.getvalue()


def scenes(rows=40, wrong=(), half=(), box=(4, 4, 8, 8)):
    """Pictures of 24 x 16; the masks of wrong rows are 16 x 24, those of half ones 12 x 8; in each one box."""
    rng = np.random.default_rng(0)
    made = []
    for row in range(rows):
        picture, mask = rng.integers(0, 255, (TALL, WIDE)), np.zeros((TALL, WIDE), np.uint8)
        mask[4:12, 4 + row % 8 : 12 + row % 8] = 1 + row % 2
        mask = mask.T if row in wrong else mask[::2, ::2] if row in half else mask
        things = [dict(zip("xywh", box, strict=True)) | {"label": "ab"[row % 2]}]
        made.append({"picture": png(picture), "mask": png(mask), "things": things})
    return pl.DataFrame(made)


def test_a_shape_is_the_same_up_to_rounding():
    pairs = [
        ((24, 16), (24, 16)),
        ((12, 8), (24, 16)),
        ((33, 22), (100, 66)),
        ((16, 24), (24, 16)),
        ((24, 14), (24, 16)),
    ]
    masks, pictures = np.array(pairs).transpose(1, 0, 2)
    assert same_shape(masks, pictures).tolist() == [True, True, True, False, False]
    assert same_shape(pictures, masks).tolist() == [True, True, True, False, False]


@pytest.fixture(scope="module")
def model():
    """Of masks, two of another shape and three of another size."""
    return fit(scenes(wrong=(7, 31), half=(2, 11, 30)), "mask", inputs=["picture"], split="none", **QUICK)


def test_masks_of_another_shape_do_not_count_and_are_told(model):
    told = " ".join(model.notes)
    assert (
        "mask: 2 of 40 masks have another shape than the picture, and do not count, such as row 7 with 16 x 24 for "
        "24 x 16 pixels" in told
    )
    assert (
        "mask: 3 of 40 masks have another size than the picture, and are scaled to it, such as row 2 with 12 x 8 for "
        "24 x 16 pixels" in told
    )


def test_evaluate_does_not_judge_by_a_stretched_mask(model):
    report = model.judge(scenes(10, wrong=(4,)))
    assert report.targets["mask"].missing == 1
    assert "such as row 4 with 16 x 24 for 24 x 16 pixels" in " ".join(report.notes)
    with pytest.raises(DataError, match="another shape than the picture"):
        model.judge(scenes(6, wrong=range(6)))


def test_where_all_masks_have_another_shape_nothing_is_learnt():
    with pytest.raises(DataError, match=r"no training row has a mask.* 16 x 24 for 24 x 16 .*same proportion"):
        fit(scenes(wrong=range(40)), "mask", inputs=["picture"], **QUICK)


def test_draw_refuses_a_mask_that_it_would_have_to_stretch():
    row = scenes(1).row(0, named=True)
    with pytest.raises(DataError, match="a mask of 16 x 24 pixels over a picture of 24 x 16"):
        draw(row["picture"], mask=scenes(1, wrong=(0,))["mask"][0])
    half = draw(row["picture"], mask=scenes(1, half=(0,))["mask"][0])
    assert half.startswith(b"\x89PNG")


def test_where_all_boxes_lie_beyond_their_pictures_nothing_is_learnt():
    with pytest.raises(DataError) as pixels:
        fit(scenes(box=(400, 40, 80, 80)), "things", inputs=["picture"], **QUICK)
    for what in ("no training row has a box", "lie beyond the picture", "pixels of the picture", "unit = 'share'"):
        assert what in str(pixels.value)
    shares = scenes().with_columns(pl.Series("things", ["1 400 40 80 80"] * 40))
    with pytest.raises(DataError, match=r"read as shares .*unit = 'pixel'"):
        fit(shares, "things", inputs=["picture"], types={"things": "boxes"}, **QUICK)
