"""What looks on while a run goes: the log file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ranvier.core.protocols import Callback


class LogFile(Callback):
    """Appends every record to a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Writes the record; never stops the run."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")
        return False
