"""What looks on while a run goes: the log file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ranvier.core.training import Callback


class LogFile(Callback):
    """Appends every record to a file of JSON lines; a resumed run cuts it back to where its checkpoint was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Writes the record; never stops the run."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")
        return False

    def state(self) -> dict[str, Any]:
        """The size of the file in bytes."""
        return {"size": self.path.stat().st_size if self.path.exists() else 0}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Cuts off what was written since."""
        if self.path.exists() and self.path.stat().st_size > state["size"]:
            os.truncate(self.path, state["size"])
