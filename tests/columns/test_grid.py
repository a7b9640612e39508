"""Many pictures as one: where each stands, how square the whole is, what is left over."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier.columns.grid import grid


def pictures(count: int, height: int = 3, width: int = 3, channels: int = 1) -> np.ndarray:
    """Picture k is all k + 1."""
    values = np.arange(1, count + 1, dtype=np.uint8)
    return np.broadcast_to(values[:, None, None, None], (count, height, width, channels))


@pytest.mark.parametrize(("count", "down", "across"), [(1, 1, 1), (4, 2, 2), (5, 2, 3), (64, 8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_stands_in_its_place(count, down, across, channels):
    made = grid(pictures(count, channels=channels))
    assert made.shape == (4 * down + 1, 4 * across + 1, channels)
    assert made.dtype == np.uint8
    for place in range(down * across):
        top, left = 4 * (place // across), 4 * (place % across)
        assert (made[top, left : left + 5] == 0).all()  # the line above
        assert (made[top : top + 5, left] == 0).all()  # the line before
        assert (made[top + 1 : top + 4, left + 1 : left + 4] == (place + 1) * (place < count)).all()
    assert (made[-1] == 0).all()
    assert (made[:, -1] == 0).all()


def test_flat_pictures_make_a_square_too():
    height, width, _ = grid(pictures(16, height=3, width=15)).shape
    assert (height, width) == (33, 33)


def test_as_many_side_by_side_as_asked():
    assert grid(pictures(6), across=6).shape == (5, 25, 1)
    assert grid(pictures(2), across=6).shape == (5, 9, 1)
    with pytest.raises(ValueError, match="at least one"):
        grid(pictures(3)[:0])
