"""A few of the kills of the bench."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench import kills


@pytest.mark.slow
def test_runs_that_are_killed_end_with_the_weights_of_those_left_alone(tmp_path, real_data):
    """`python -m bench kills` does it fifty times, also to pictures, a translation and a GAN."""
    cases = [("table", False), ("table", True)]
    for tally in kills.kill_all(real_data, tmp_path / "runs", cases, 8, seed=1).values():
        assert tally.kills == 4
        assert tally.same == tally.runs > 0


def test_weights_and_columns_are_what_is_compared(tmp_path):
    import zipfile

    for name, weights in (("one", b"1"), ("other", b"2"), ("again", b"1")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("weights.safetensors", weights)
            archive.writestr("columns.json", b"{}")
            archive.writestr("model.json", name)  # which holds the seconds that it took
    one, other, again = (kills.learnt(tmp_path / name) for name in ("one", "other", "again"))
    assert one == again != other
    assert list(one) == ["weights.safetensors", "columns.json"]
