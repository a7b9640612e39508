"""What `balance` makes of rows: weights, or chances of being drawn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import DataError
from ranvier.model.layout import Layout, learn_columns
from ranvier.planning.make import make_plan

FRAME = pl.DataFrame({"x": np.arange(12.0), "y": ["a"] * 6 + ["b"] * 2 + ["c", None, None, None], "z": np.arange(12.0)})


def layout_and_table(balance: str, **more):
    plan = make_plan(FRAME, ["y", "z"], inputs=["x"], balance=balance, split="none", **more)
    plan.columns["y"].options["rare"] = 2  # so that the only c is not known
    layout = Layout(plan, learn_columns(plan, FRAME, []))
    return layout, layout.encode(FRAME, [])


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_every_class_weighs_the_same_and_no_row_is_lost(balance):
    layout, table = layout_and_table(balance)
    weight, chances = layout.balanced(table)
    share = weight if balance == "loss" else chances
    assert (chances is None) == (balance == "loss")
    assert share[:6].sum() == pytest.approx(share[6:8].sum())
    np.testing.assert_allclose(share[8:], share[:8].mean())  # unknown and missing classes count as the mean row
    assert share.mean() == pytest.approx(1.0)


def test_without_a_category_it_is_refused():
    plan = make_plan(FRAME.drop("y"), "z", split="none")
    plan.data.balance = "loss"
    layout = Layout(plan, learn_columns(plan, FRAME, []))
    with pytest.raises(DataError, match="needs a target that is a category"):
        layout.balanced(layout.encode(FRAME, []))
