"""From seconds to steps."""

from __future__ import annotations

import pytest

from ranvier.train.calibrate import most_within


@pytest.mark.parametrize(("seconds", "steps"), [(0.0, 1), (0.9, 1), (2.0, 1), (4.1, 2), (20.0, 10), (1e9, 50)])
def test_the_most_steps_that_fit_and_at_least_one(seconds, steps):
    assert most_within(seconds, lambda n: 2.0 * n, 50) == steps


def test_what_comes_now_and_then_is_counted():
    costs = {n: n + 5 * -(-n // 10) for n in range(1, 101)}
    for seconds in range(6, 160):
        found = most_within(seconds, costs.__getitem__, 100)
        assert costs[found] <= seconds
        assert found == 100 or costs[found + 1] > seconds
