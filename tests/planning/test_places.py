"""What a plan takes masks and boxes for, in the forms that they come in."""

from __future__ import annotations

import numpy as np
import polars as pl

from ranvier.planning.make import make_plan

ROWS = 30


def test_arrays_of_pictures_and_masks_need_no_words():
    x = np.random.default_rng(0).integers(0, 256, (ROWS, 16, 16), dtype=np.uint8)
    y = np.zeros((ROWS, 16, 16), np.uint8)
    for k in range(ROWS):
        y[k, k % 8 : k % 8 + 6, 3:9] = 1
    plan = make_plan({"picture": x, "mask": y}, "mask")
    assert {name: column.type for name, column in plan.columns.items()} == {"picture": "image", "mask": "mask"}
    assert list(plan.inputs) == ["picture"]


def test_one_box_in_every_row_is_planned():
    x = np.random.default_rng(0).integers(0, 256, (ROWS, 16, 16), dtype=np.uint8)
    things = [[{"x": k % 5, "y": 2, "w": 4, "h": 5, "label": "cat"}] for k in range(ROWS)]
    plan = make_plan(pl.DataFrame({"picture": x, "things": things}), "things")
    assert {name: column.type for name, column in plan.columns.items()} == {"picture": "image", "things": "boxes"}
