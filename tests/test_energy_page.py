"""The page on energies: its example runs, gives about the figures beside it, and is the same in both languages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
ENGLISH = (DOCS / "energy.md").read_text(encoding="utf-8")
CHINESE = (DOCS / "energy.zh-CN.md").read_text(encoding="utf-8")
PRINTS = re.compile(r"^print\(.*\)  # about (.+)$", re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def undocumented(block: str) -> str:
    """What a block does, without what it says in docstrings."""
    return ast.dump(ast.parse(re.sub(r'""".*?"""', '""', block, flags=re.DOTALL)))


def test_both_languages_run_the_same():
    assert [undocumented(block) for block in blocks(CHINESE)] == [undocumented(block) for block in blocks(ENGLISH)]
    assert [PRINTS.findall(block) for block in blocks(CHINESE)] == [PRINTS.findall(block) for block in blocks(ENGLISH)]
    assert ENGLISH.count("\n## ") == CHINESE.count("\n## ") == 2


def test_the_example_gives_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    page = "\n".join(blocks(ENGLISH))
    exec(compile(page, "docs/energy.md", "exec"), {"__name__": "example"})
    printed = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == pytest.approx([float(figure) for figure in PRINTS.findall(page)], abs=0.06)
    assert len(printed) == 5
