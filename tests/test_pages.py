"""Pages whose examples run, print what stands beside them, and are the same in both languages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pages import both, check_contents, check_printed, check_same

import ranvier as rv

PNG = b"\x89PNG"
PARTS = {
    "estimators": 4,
    "generators": 12,
    "identity": 7,
    "language": 11,
    "multimodal": 5,
    "style": 4,
    "vision": 8,
}  # of each page
LEAVES: dict[str, Callable[[], bool]] = {  # what its examples have written
    "identity": lambda: len(rv.load("clothes.rv").gallery.names) == 10,
    "style": lambda: Path("painted.png").read_bytes().startswith(PNG),
    "vision": lambda: Path("found.png").read_bytes().startswith(PNG),
}
pages = pytest.mark.parametrize("page", PARTS)


@pages
def test_both_languages_run_the_same(page: str):
    check_same(*both(f"docs/{page}"), parts=PARTS[page])


@pages
def test_contents_lead_to_headings(page: str):
    for text in both(f"docs/{page}"):
        assert ("\n1. [" in text) == (page != "style")  # which is short
        if page != "style":
            check_contents(text)


@pages
def test_the_examples_print_what_the_page_says(
    page: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    check_printed(f"docs/{page}", both(f"docs/{page}")[0], capsys)
    assert LEAVES.get(page, lambda: True)()
