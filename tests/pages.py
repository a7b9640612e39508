"""What the tests of pages share: the texts in both languages, their examples, headings, and what examples print."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"^ *print\(.*\)  # (->|about) (.+)$", re.MULTILINE)


def both(name: str) -> tuple[str, str]:
    """A page in English and in Chinese, by its path without the ending."""
    english, chinese = ((ROOT / f"{name}{end}").read_text(encoding="utf-8") for end in (".md", ".zh-CN.md"))
    return english, chinese


def blocks(text: str) -> list[str]:
    """The Python examples of a page."""
    return BLOCK.findall(text)


def undocumented(block: str) -> str:
    """What a block does, without what it says in docstrings."""
    return ast.dump(ast.parse(re.sub(r'""".*?"""', '""', block, flags=re.DOTALL)))


def check_same(english: str, chinese: str, *, parts: int) -> None:
    """Both run the same, announce the same, and have so many parts."""
    assert [undocumented(block) for block in blocks(chinese)] == [undocumented(block) for block in blocks(english)]
    assert [PRINTS.findall(block) for block in blocks(chinese)] == [PRINTS.findall(block) for block in blocks(english)]
    assert english.count("\n## ") == chinese.count("\n## ") == parts


def check_contents(text: str) -> None:
    """The list of contents names all headings in their order, and leads to them."""
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    listed = re.findall(r"^\d+\. \[(.+)\]\(#(.+)\)$", text, re.MULTILINE)
    assert [f"{number}. {name}" for number, (name, _) in enumerate(listed, 1)] == headings
    for heading, (_, anchor) in zip(headings, listed, strict=True):
        assert anchor == re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def printed(name: str, text: str, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[str, list[str]]]:
    """Runs the examples one after another; each, with the lines that it prints."""
    space: dict[str, object] = {"__name__": "example"}
    for block in blocks(text):
        exec(compile(block, f"{name}.md", "exec"), space)
        yield block, capsys.readouterr().out.splitlines()


def check_printed(name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example prints what it announces: exactly after "->", nearly after "about", of which several may be."""
    for block, lines in printed(name, text, capsys):
        for sign, expected in PRINTS.findall(block):
            if sign == "->":
                assert expected in lines
                continue
            for one in expected.split(", then "):
                assert any(near(line, one) for line in lines), (expected, lines)


def near(line: str, expected: str) -> bool:
    """Whether a printed number of as many decimals is about the expected one."""
    places = len(expected.partition(".")[2])
    if not re.fullmatch(rf"\d+\.\d{{{places}}}", line):
        return False
    return abs(float(line) - float(expected)) < max(0.06 if places == 2 else 0.25, 0.05 * float(expected))
