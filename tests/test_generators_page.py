"""The page on generators: its examples run, print what stands beside them, and are the same in both languages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH = (ROOT / "docs" / "generators.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "docs" / "generators.zh-CN.md").read_text(encoding="utf-8")
PRINTS = re.compile(r"^ *print\(.*\)  # (->|about) (.+)$", re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def undocumented(block: str) -> str:
    """What a block does, without what it says in docstrings."""
    return ast.dump(ast.parse(re.sub(r'""".*?"""', '""', block, flags=re.DOTALL)))


def near(line: str, expected: str) -> bool:
    """Whether a printed number of as many decimals is about the expected one."""
    places = len(expected.partition(".")[2])
    if not re.fullmatch(rf"\d+\.\d{{{places}}}", line):
        return False
    return abs(float(line) - float(expected)) < max(0.06 if places == 2 else 0.25, 0.05 * float(expected))


def test_both_languages_run_the_same():
    assert [undocumented(block) for block in blocks(CHINESE)] == [undocumented(block) for block in blocks(ENGLISH)]
    assert [PRINTS.findall(block) for block in blocks(CHINESE)] == [PRINTS.findall(block) for block in blocks(ENGLISH)]
    assert ENGLISH.count("\n## ") == CHINESE.count("\n## ") == 12


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_contents_lead_to_headings(text: str):
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    listed = re.findall(r"^\d+\. \[(.+)\]\(#(.+)\)$", text, re.MULTILINE)
    assert [f"{number}. {name}" for number, (name, _) in enumerate(listed, 1)] == headings
    for heading, (_, anchor) in zip(headings, listed, strict=True):
        assert anchor == re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_examples_print_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    space: dict[str, object] = {"__name__": "example"}
    for block in blocks(ENGLISH):
        exec(compile(block, "docs/generators.md", "exec"), space)
        printed = capsys.readouterr().out.splitlines()
        for sign, expected in PRINTS.findall(block):
            if sign == "->":
                assert expected in printed
                continue
            for one in expected.split(", then "):
                assert any(near(line, one) for line in printed), (expected, printed)
