"""The READMEs: their examples run, say the same in both languages, and name verbs and files that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pages import ROOT, blocks, both

from ranvier.core.registry import names

ENGLISH, CHINESE = both("README")
EXAMPLES = blocks(ENGLISH)


def test_seven_examples():
    assert len(EXAMPLES) == 7
    assert [ast.dump(ast.parse(b)) for b in blocks(CHINESE)] == [ast.dump(ast.parse(b)) for b in EXAMPLES]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README example {number + 1}", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_what_is_named_exists(text: str):
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [name for name in linked if not (ROOT / name).exists()] == []
    table = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    assert set(names("column")) <= table
    first_screen = text.splitlines()[:24]
    assert {"make demo", "make test"} <= {line.split("#")[0].strip() for line in first_screen}


def test_same_commands():
    def verbs(text: str) -> list[str]:
        return re.findall(r"`ranvier (\w+)", text)

    assert verbs(ENGLISH) == verbs(CHINESE)
