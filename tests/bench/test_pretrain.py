"""The tables of the bench of pretraining."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

import pytest

from bench import child, pretrain
from bench.job import Job


def answers(*asked: object, script: str) -> child.Child:
    assert script == "ours_pretrain"
    figure = "rouge_l" if "next" in asked else "accuracy"
    lines: list[dict[str, object]] = [{"rows": 9, "seconds": 1.0, "rss": 0.5, "perplexity": 40.0}]
    for labels in (100, 300):
        for start, value in (("pretrained", 0.7), ("anew", 0.5 if labels == 100 else 0.75)):
            lines.append({"labels": labels, "draw": 0, "start": start, figure: value, "seconds": 2.0})
    return child.Child(lines, 3.0, 0.0)


def test_gains_are_of_the_pretrained_over_the_same_network_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "ours", answers)
    page = pretrain.run(Job(tmp_path, quick=True))
    assert "| snippets | 100 | 70.0 ± 0.0 | 50.0 ± 0.0 |  | +20.0 | 2 | 2 |" in page
    assert "| summaries | 300 | 70.0 ± 0.0 | 75.0 ± 0.0 |  | -5.0 | 2 | 2 |" in page
    assert "**MISSED**" in page
