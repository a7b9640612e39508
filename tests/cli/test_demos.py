"""The demos in full, as a newcomer runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "target", "floor"),
    [("images", "label", 0.85), ("reviews", "sentiment", 0.75), ("table", "species", 0.95)],
)
def test_demo_in_full(what: str, target: str, floor: float, tmp_path: Path):
    command = [sys.executable, "-m", "ranvier", "demo", what, "--no-progress", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["test"]["targets"][target]["metrics"]["accuracy"] >= floor
    assert (tmp_path / found["model"]).is_file()
