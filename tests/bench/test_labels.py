"""The tables of the bench of few labels."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

import polars as pl
import pytest

from bench import child, labels
from bench.job import Job
from bench.ours_labels import drawn


def answers(*asked: object, script: str) -> child.Child:
    assert script == "ours_labels"
    lines: list[dict[str, object]] = [{"rows": 9, "seconds": 1.0, "rss": 0.5, "found": 0.25}]
    for draw in (0, 1):
        for start, value in (("scratch", 0.7), ("probe", 0.72), ("tuned", 0.76)):
            lines.append({"labels": 100, "draw": draw, "start": start, "accuracy": value + draw / 50, "seconds": 2.0})
    return child.Child(lines, 3.0, 0.0)


def test_gains_are_over_the_same_rows_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "ours", answers)
    page = labels.run(Job(tmp_path, quick=True))
    assert "| contrastive | 100 | 71.0 ± 1.0 | 73.0 ± 1.0 | 77.0 ± 1.0 | +6.0 | 2 | 2 | 2 |" in page
    assert "found 0.250" in page
    assert "**MISSED**" not in page


def test_draws_hold_as_many_of_each_class():
    rows = pl.DataFrame({"image": range(300), "label": [str(k % 10) for k in range(300)]})
    one, other = drawn(rows, 100, 0), drawn(rows, 100, 1)
    assert one["label"].value_counts()["count"].to_list() == [10] * 10
    assert one["image"].n_unique() == 100
    assert not one.equals(other)
    assert one.equals(drawn(rows, 100, 0))
