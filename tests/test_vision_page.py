"""The page on masks and boxes: its examples run, print what stands beside them, and are the same in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import both, check_contents, check_printed, check_same

NAME = "docs/vision"
ENGLISH, CHINESE = both(NAME)


def test_both_languages_run_the_same():
    check_same(ENGLISH, CHINESE, parts=8)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_contents_lead_to_headings(text: str):
    check_contents(text)


def test_the_examples_print_what_the_page_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    check_printed(NAME, ENGLISH, capsys)
    assert Path("found.png").read_bytes().startswith(b"\x89PNG")
