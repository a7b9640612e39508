"""Small pieces of HTML for notebooks: every text is escaped, every style inline, and colours are those of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

CELL = "padding:2px 10px;text-align:left;vertical-align:top;border:0;border-bottom:1px solid rgba(128,128,128,.3)"
MUTED = "opacity:.7"
MOST = 80  # characters shown of a value


def card(title: str, *parts: str) -> str:
    """A heading above parts that are HTML already."""
    inside = "".join(parts)
    return f'<div style="color:inherit;background:transparent"><p><b>{escape(title)}</b></p>{inside}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of texts and values; HTML in them is shown as it is written."""
    top = "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{escape(short(value))}</td>' for value in row) + "</tr>" for row in rows
    )
    return (
        '<table style="border-collapse:collapse;margin:4px 0;background:transparent">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def lines(texts: Iterable[str]) -> str:
    """A paragraph for each text, muted."""
    return "".join(f'<p style="{MUTED};margin:2px 0">{escape(text)}</p>' for text in texts)


def folded(title: str, inside: str) -> str:
    """HTML that opens at a click on its title."""
    return f'<details><summary style="cursor:pointer">{escape(title)}</summary>{inside}</details>'


def short(value: Any) -> str:
    """A value as a text on one line: numbers to five digits; texts, reasons above all, are not cut."""
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text if isinstance(value, str) or len(text) <= MOST else f"{text[: MOST - 3]}..."
