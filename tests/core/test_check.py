"""Numbers that a call is given."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from ranvier.core.check import number, several, whole
from ranvier.core.errors import PlanError


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_whole_numbers_of_any_kind(value):
    found = whole("n", value, 2, 2)
    assert (found, type(found)) == (2, int)


@pytest.mark.parametrize("value", [2.0, "2", True, np.True_, None, 1, 5, float("nan")])
def test_what_is_no_whole_number_within_bounds(value):
    with pytest.raises(PlanError, match=r"^n = .*: expected a whole number, 2 to 4$"):
        whole("n", value, 2, 4)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int8(2)])
def test_numbers_of_any_kind(value):
    found = number("x", value)
    assert (found, type(found)) == (2.0, float)


@pytest.mark.parametrize("value", ["2", True, None, float("nan"), float("inf"), np.float32("nan")])
def test_what_is_no_number(value):
    with pytest.raises(PlanError, match=r"^x = .*: expected a level$"):
        number("x", value, "a level")


@pytest.mark.parametrize(
    "values", [(1, 2), [1, 2], range(1, 3), np.array([1, 2]), torch.tensor([1, 2]), pl.Series([1, 2])]
)
def test_several(values):
    assert several("x", values, number) == [1.0, 2.0]


def test_none_and_what_is_no_list():
    for values in ((), "12", 3, np.array(3), None):
        with pytest.raises(PlanError, match=r"^x = .*: expected a list of one number or more$"):
            several("x", values, number)
    with pytest.raises(PlanError, match=r"^x\[1\] = 'a': expected a finite number$"):
        several("x", (1, "a"), number)
