"""What `Encoded` tells of itself."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier.core.spec import Encoded


def test_bounds_and_padding_are_of_ragged_columns():
    ragged = Encoded(np.array([1, 2, 3]), np.ones(3, bool), np.array([0, 2, 2, 3]))
    assert ragged.bounds.tolist() == [0, 2, 2, 3]
    wide, mask = ragged.padded()
    assert wide.tolist() == [[1, 2], [0, 0], [3, 0]]
    assert mask.tolist() == [[True, True], [False, False], [True, False]]


def test_a_column_of_one_shape_has_no_bounds():
    even = Encoded(np.zeros((3, 2)), np.ones(3, bool))
    for ask in (lambda: even.bounds, even.padded):
        with pytest.raises(ValueError, match="no offsets"):
            ask()
