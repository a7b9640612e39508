"""The page on style: its examples run, print what stands beside them, and are the same in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import both, check_printed, check_same

NAME = "docs/style"
ENGLISH, CHINESE = both(NAME)


def test_both_languages_run_the_same():
    check_same(ENGLISH, CHINESE, parts=4)


def test_the_examples_print_what_the_page_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    check_printed(NAME, ENGLISH, capsys)
    assert Path("painted.png").read_bytes().startswith(b"\x89PNG")
