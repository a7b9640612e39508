"""Counts in messages, with the words that go with them."""

from __future__ import annotations

import re

_EITHER = re.compile(r"(\w+)\|(\w+)")


def agreed(count: int, words: str) -> str:
    """The words as they are for so many: of `one|many` the first for 1, else the second. No data stand in them."""
    return _EITHER.sub(r"\1" if count == 1 else r"\2", words)


def counted(count: int, words: str) -> str:
    """The count before its words (see `agreed`): counted(1, "value|values is|are missing") is "1 value is missing"."""
    return f"{count:,} {agreed(count, words)}"
