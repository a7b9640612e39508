"""The arithmetic and the table of the bench of intervals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench import child, uncertainty
from bench.figures import band, held
from bench.job import Job


def test_held_counts_and_scores():
    low, high, truth = np.array([[0.0, 1.0, 0.0], [1.0, 2.0, 4.0], [1.0, 0.5, 5.0]])
    assert held(low, high, truth, 0.9) == pytest.approx(
        {"rows": 3, "covered": 1, "width": 6.0, "score": 6.0 + 20 * (0.5 + 1.0)}
    )


def test_band_is_exact():
    assert band(1, 0.9) == (0, 1)
    assert band(10, 0.5) == (1, 9)  # P(0) = 0.001, P(<= 1) = 0.011
    low, high = band(442, 0.9)
    drawn = np.random.default_rng(0).binomial(442, 0.9, 400_000)
    assert (drawn < low).mean() < 0.005 < (drawn <= low).mean() + 0.0005
    assert (drawn <= high).mean() > 0.995 - 0.0005
    assert (drawn < high).mean() < 0.995 + 0.0005


@pytest.mark.parametrize(
    ("covered", "score", "verdict"), [(90, 50.0, "met"), (60, 50.0, "MISSED"), (90, 70.0, "MISSED")]
)
def test_the_bar_asks_for_coverage_and_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, covered, score, verdict):
    def side(covered: int, score: float) -> child.Child:
        line = {"rows": 100, "covered": covered, "width": 40.0, "score": score, "seconds": 1.0}
        return child.Child([line, line], 2.0, 0.5)

    monkeypatch.setattr(child, "ours", lambda *_: side(covered, score))
    monkeypatch.setattr(child, "peer", lambda *_: side(91, 60.0))
    page = uncertainty.run(Job(tmp_path, quick=True))
    assert f"**{verdict}**" in page
    assert "| autos | ranvier | 200 |" in page
    assert f"| {score / 60:.3f} |" in page
