"""Rows by the numbers that the user knows them by, where only some of the rows are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_numbers: ContextVar[np.ndarray | None] = ContextVar("numbers", default=None)


@contextmanager
def numbered(numbers: np.ndarray | None) -> Iterator[None]:
    """Within it, messages name the rows at hand by these numbers (N,); None = by their places, from 0.

    For columns learn from and encode the rows of one part of the data, such as those that train, and know no others.
    """
    token = _numbers.set(numbers)
    try:
        yield
    finally:
        _numbers.reset(token)


def row_number(place: int) -> int:
    """The number, for a message, of the row at that place (from 0) of those at hand."""
    numbers = _numbers.get()
    return int(place) if numbers is None else int(numbers[place])
