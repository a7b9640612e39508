"""The page on inputs of several kinds: its examples run, print what stands beside them, the same in both languages."""

from __future__ import annotations

import pytest
from pages import both, check_contents, check_printed, check_same

NAME = "docs/multimodal"
ENGLISH, CHINESE = both(NAME)


def test_both_languages_run_the_same():
    check_same(ENGLISH, CHINESE, parts=5)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_contents_lead_to_headings(text: str):
    check_contents(text)


def test_the_examples_print_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    check_printed(NAME, ENGLISH, capsys)
