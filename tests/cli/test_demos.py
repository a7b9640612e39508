"""The demos, as a newcomer runs them; what they reach is asserted only where no clock decides it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ranvier as rv
from ranvier.samples import path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "time", "target", "floor"),
    [
        ("images", "20s", "label", 0.0),  # as many epochs as the time allows
        ("reviews", "10m", "sentiment", 0.75),  # these two are done long before
        ("table", "10m", "species", 0.95),
    ],
)
def test_demo_in_full(what: str, time: str, target: str, floor: float, tmp_path: Path):
    command = [sys.executable, "-m", "ranvier", "demo", what, "--no-progress", "--json", "--time", time]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["test"]["targets"][target]["metrics"]["accuracy"] >= floor
    assert (tmp_path / found["model"]).is_file()


@pytest.mark.slow
def test_the_pictures_of_the_demo_are_learnt_in_eight_epochs():
    model = rv.fit(path("fashion_train"), "label", test=path("fashion_test"), epochs=8, progress=False)
    assert model.test_report.metrics["accuracy"] >= 0.85
