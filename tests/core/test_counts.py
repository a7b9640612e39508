"""Counts and the words that go with them."""

from __future__ import annotations

import pytest

from ranvier.core.counts import agreed, counted


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 boxes are left out"),
        (1, "1 box is left out"),
        (1_200, "1,200 boxes are left out"),
    ],
)
def test_words_follow_the_count(count, told):
    assert counted(count, "box|boxes is|are left out") == told


def test_words_alone():
    assert [agreed(count, "has|have no label|labels") for count in (1, 3)] == ["has no label", "have no labels"]
