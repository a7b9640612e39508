"""What is given to draw for: arrays that are one value, or several."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.core.spec import Spec
from ranvier.model.sample import _several

GREY, COLOUR = Spec("pixels", (8, 8), size=1), Spec("pixels", (8, 8), size=3)


@pytest.mark.parametrize(
    ("shape", "spec", "rows"),
    [
        ((8, 8), GREY, 1),
        ((8, 8, 1), GREY, 1),
        ((8, 8, 3), GREY, 1),
        ((8, 8, 4), GREY, 1),
        ((1, 8, 8), GREY, 1),
        ((3, 8, 8), GREY, 3),
        ((5, 8, 8), GREY, 5),
        ((2, 8, 8, 1), GREY, 2),
        ((8, 8), COLOUR, 1),
        ((8, 8, 3), COLOUR, 1),
        ((3, 8, 8), COLOUR, 1),
        ((5, 8, 8), COLOUR, 5),
        ((2, 3, 8, 8), COLOUR, 2),
        ((4,), Spec("vector", (4,)), 1),
        ((2, 4), Spec("vector", (4,)), 2),
        ((4,), Spec("scalar"), 4),
        ((), Spec("scalar"), 1),
    ],
)
def test_an_array_is_one_value_or_several(shape, spec, rows):
    for array in (np.zeros(shape), torch.zeros(shape)):
        given = _several(array, spec)
        assert len(given) == rows
        assert tuple(given[0].shape) == (shape if rows == 1 else shape[1:])
