"""One model of every type of column, and one of a small table, for the tests of this folder."""

from __future__ import annotations

import pytest
import torch
from model.made import TARGETS, mixed, table

from ranvier.model.fit import fit


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As checkpoints say how many there were, and the models are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def everything():
    """Every type of column in, three targets out."""
    return fit(mixed(), TARGETS, epochs=2, size="s", threads=1, progress=False)


@pytest.fixture(scope="session")
def rows():
    """Rows that `everything` has not seen."""
    return mixed(30, seed=1)


@pytest.fixture(scope="session")
def small():
    """Two numbers and a category to a category."""
    return fit(table(), "y", inputs=["a", "b", "c"], epochs=6, threads=1, progress=False)
