"""The arithmetic and the tables of the benches."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench import report
from bench.figures import bootstrap, normalised, paired
from bench.timing import median_ms


def test_normalised_runs_from_the_worst_to_the_best():
    assert normalised({"a": 0.7, "b": 0.9, "c": 0.75}) == pytest.approx({"a": 0.0, "b": 1.0, "c": 0.25})
    assert normalised({"a": 0.5, "b": 0.5}) == {"a": 1.0, "b": 1.0}


def test_paired_is_mean_and_standard_error_of_the_difference():
    mean, error = paired([0.9, 0.8, 0.7, 0.8], [0.8, 0.8, 0.5, 0.9])
    assert mean == pytest.approx(0.05)
    assert error == pytest.approx(np.sqrt((0.05**2 + 0.05**2 + 0.15**2 + 0.15**2) / 3) / 2)
    with pytest.raises(ValueError, match="equally long"):
        paired([1.0, 2.0], [1.0])


def test_bootstrap_agrees_with_drawing_row_by_row():
    random = np.random.default_rng(1)
    peer = random.random(400) < 0.75
    ours = peer ^ (random.random(400) < 0.1)
    drawn = random.integers(0, 400, (4_000, 400))
    difference = (ours[drawn].astype(int) - peer[drawn]).sum(1)
    slow = (difference > 0).mean() + 0.5 * (difference == 0).mean()
    assert 0.01 < slow < 0.99
    assert bootstrap(ours, peer) == pytest.approx(slow, abs=0.03)


def test_bootstrap_of_certain_cases():
    right, wrong = np.ones(50, bool), np.zeros(50, bool)
    assert bootstrap(right, wrong) == 1.0
    assert bootstrap(wrong, right) == 0.0
    assert bootstrap(right, right) == 0.5  # nothing but ties


def test_bootstrap_of_several_seeds_counts_a_row_with_its_mean():
    random = np.random.default_rng(2)
    ours, peer = random.random((2, 3, 300)) < 0.6
    assert bootstrap(ours, peer) == bootstrap(ours.mean(0), peer.mean(0))
    assert bootstrap(ours, peer) + bootstrap(peer, ours) == pytest.approx(1.0, abs=0.03)
    with pytest.raises(ValueError, match="same test rows"):
        bootstrap(ours, peer[:, :-1])


def test_table_puts_numbers_at_the_right():
    text = report.table([{"side": "a|b", "s": "1.5", "x": "2.0 x"}, {"side": "peer", "s": "+12", "x": ""}])
    assert text == "| side | s | x |\n| --- | ---: | --- |\n| a\\|b | 1.5 | 2.0 x |\n| peer | +12 |  |\n"
    assert report.table([]) == "(nothing was run)\n"


def test_replace_keeps_the_other_sections():
    page = report.replace("", "one", "first")
    page = report.replace(page, "two", "second\n")
    page = report.replace(page, "one", "anew")
    assert page == report.HEAD + "\n## one\n\nanew\n\n## two\n\nsecond\n"


def test_verdict_says_whether_the_bar_is_met():
    assert report.verdict(True, "<= 5 ms", "4 ms") == "**met**: bar <= 5 ms; seen 4 ms.\n"
    assert report.verdict(False, "<= 5 ms", "6 ms").startswith("**MISSED**")


def test_median_leaves_the_first_call_out():
    calls: list[int] = []
    assert median_ms(lambda: calls.append(1), 5) < 1_000
    assert len(calls) == 6
