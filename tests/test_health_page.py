"""The page on gradient health: its examples run, give the figures beside them, and are the same in both languages."""

from __future__ import annotations

import re
import warnings

import pytest
from pages import blocks, both, check_same, printed

from ranvier.core.errors import RanvierWarning
from ranvier.ops import collapse
from ranvier.train import troubles

NAME = "docs/health"
ENGLISH, CHINESE = both(NAME)


def figures(text: str) -> list[float]:
    """The figures in comments at the ends of lines, or alone on lines."""
    return [float(found) for found in re.findall(r"(?:^|# )(\d\.\d\d)$", text, re.MULTILINE)]


def test_both_languages_run_the_same():
    check_same(ENGLISH, CHINESE, parts=11)
    assert figures("\n".join(blocks(CHINESE))) == figures("\n".join(blocks(ENGLISH)))


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_limits_are_those_of_the_code(text: str):
    table = "".join(line for line in text.splitlines() if line.startswith("|"))
    limits = (f"{troubles.VANISHED:.0e}".replace("e-0", "e-"), f"{troubles.EXPLODED:.0f}")
    shares = (f"{troubles.DEAD:.0%}".replace("%", " %"), f"{troubles.SATURATED:.0%}".replace("%", " %"))
    assert all(limit in table for limit in (*limits, *shares))
    for limit in (collapse.ALIKE, collapse.SURE, collapse.LOUD):
        assert re.search(rf"(?<![\d.e-]){limit:g}(?![\d.])", table)


def test_the_examples_give_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    page = "\n".join(blocks(ENGLISH))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        told = "\n".join(line for _, lines in printed(NAME, ENGLISH, capsys) for line in lines)
    assert figures(told) == pytest.approx(figures(page), abs=0.1)
    assert len(figures(page)) == 15
    assert {one.category for one in caught} == {RanvierWarning}
    said = told + "".join(str(one.message) for one in caught)
    assert all(f"({kind}; so in " in said for kind in troubles.CURES)
    assert "L1 left 5 of 10 inputs: bill_length_mm" in told
    assert "noise_" not in told
