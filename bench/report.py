"""Markdown: tables, and the results page, of which each bench replaces its own section."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

HEAD = """# Results

Ours beside peers on the same machine, written by `python -m bench`. Every side runs in a process of its own, and every
peer in an environment of its own (`bench/peers/*.txt`). Each section says when, where and with which command it was
made; "load" is the machine's 1-minute load average just before a run (0 is calm).
"""


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A Markdown table; the columns are the first row's keys, and a number stands at the right."""
    if not rows:
        return "(nothing was run)\n"
    names = list(rows[0])
    right = [all(_is_number(row.get(name, "")) for row in rows) for name in names]
    lines = [names, [("---:" if r else "---") for r in right], *([row.get(name, "") for name in names] for row in rows)]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _is_number(cell: object) -> bool:
    return bool(re.match(r"^[+-]?[\d.,]+", str(cell)))


def verdict(met: bool, bar: str, seen: str) -> str:
    """One line: the bar, what was seen, and whether that is enough."""
    return f"**{'met' if met else 'MISSED'}**: bar {bar}; seen {seen}.\n"


def replace(page: str, name: str, body: str) -> str:
    """The page with the section `## name` replaced, or added at the end; the other sections stay as they are."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    sections[name] = f"\n{body.strip()}\n\n"
    text = HEAD + "\n" + "".join(f"## {title}\n{content}" for title, content in sections.items())
    return text.rstrip() + "\n"
