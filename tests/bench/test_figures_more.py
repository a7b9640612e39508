"""The arithmetic of the benches of time to a score, of ranks, and of scaling."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench.figures import first_reach, line, marginals, middle, paces, ranks, spread


def test_first_reach_is_the_first_second_of_enough():
    curve = [(1.0, 0.5), (2.0, 0.9), (3.0, 0.8), (4.0, 0.95)]
    assert first_reach(curve, 0.9) == 2.0
    assert first_reach(curve, 0.91) == 4.0
    assert first_reach(curve, 0.96) is None
    assert first_reach([], 0.1) is None


def test_middle_counts_what_was_not_reached_as_latest():
    assert middle([3.0, 1.0, 2.0]) == 2.0
    assert middle([None, 1.0, 2.0]) == 2.0
    assert middle([None, 1.0, None]) is None
    assert middle([1.0, None]) is None  # the higher of two
    assert middle([0.0, 4.0]) == 4.0
    assert middle([]) is None


def test_ranks_are_shared_by_equals():
    assert ranks({"a": 0.7, "b": 0.9, "c": 0.7, "d": 0.1}) == {"a": 2.5, "b": 1.0, "c": 2.5, "d": 4.0}


def test_marginals_are_differences_over_differences():
    assert marginals([100, 200, 500], [1.0, 3.0, 6.0]) == pytest.approx([0.02, 0.01])


def test_spread_is_the_range_over_the_median():
    assert spread([9.0, 10.0, 11.5]) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="above 0"):
        spread([-1.0, 0.0, 1.0])


def test_line_is_the_least_squares_line():
    slope, start, bent = line([1.0, 2.0, 3.0], [5.0, 7.0, 9.0])
    assert (slope, start, bent) == pytest.approx((2.0, 3.0, 0.0))
    slope, start, bent = line([0.0, 1.0, 2.0], [0.0, 4.0, 2.0])  # by hand: y = 1 + x, the middle point 2 above of 4
    assert (slope, start, bent) == pytest.approx((1.0, 1.0, 0.5))


def test_paces_are_what_was_done_a_second_between_points():
    assert paces([(0.0, 0.0), (2.0, 10.0), (2.5, 20.0)]) == [5.0, 20.0]
    assert paces([(1.0, 3.0)]) == []
