"""Shape checks at run time in ops/ and nets/, one thread, fixed seeds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

_hook = install_import_hook(["ranvier.ops", "ranvier.nets"], "beartype.beartype")

import torch  # noqa: E402  (after the hook, which must see every import of ops and nets)

torch.set_num_threads(1)  # the tests are small, and run in several processes


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test starts from the same random state."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, or a skip."""
    folder = os.environ.get("RANVIER_DATA")
    if not folder:
        pytest.skip("RANVIER_DATA is not set")
    return Path(folder)
