"""The page on energies: its example runs, gives about the figures beside it, and is the same in both languages."""

from __future__ import annotations

import pytest
from pages import PRINTS, both, check_same, printed

NAME = "docs/energy"
ENGLISH, CHINESE = both(NAME)


def test_both_languages_run_the_same():
    check_same(ENGLISH, CHINESE, parts=2)


def test_the_example_gives_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    lines = [float(line) for _, some in printed(NAME, ENGLISH, capsys) for line in some]
    assert lines == pytest.approx([float(figure) for _, figure in PRINTS.findall(ENGLISH)], abs=0.06)
    assert len(lines) == 5
