"""An extension of griffe, by which mkdocstrings reads: docstrings are plain texts, not Markdown."""

from __future__ import annotations

from typing import Any

import griffe
from reference import prose


class Plain(griffe.Extension):
    """Escapes in every docstring what Markdown would take for marks of its own."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and value."""
        if obj.docstring is not None:
            obj.docstring.value = prose(obj.docstring.value)
