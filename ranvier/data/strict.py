"""JSON in which no key of an object stands twice."""

from __future__ import annotations

import json
from typing import Any


class Twice(Exception):
    """A key, quoted, that appears twice in one object."""


def parsed(text: str) -> Any:
    """The value. Raises Twice, what json.loads does for no JSON (JSONDecodeError), and RecursionError."""
    return _DECODER.decode(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise Twice(repr(next(name for name in names if names.count(name) > 1)))
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
