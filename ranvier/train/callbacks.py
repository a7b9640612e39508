"""What looks on while a run goes: the log file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ranvier.core.errors import RanvierWarning
from ranvier.core.training import Callback


class LogFile(Callback):
    """Appends every record to a file of JSON lines; a resumed run cuts it back to where its checkpoint was.

    Where the file cannot be written, a full disk for one, lines wait until it can, which is told in a RanvierWarning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting = ""
        self.failed = False

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Writes the record; never stops the run."""
        self.waiting += json.dumps(dict(record)) + "\n"
        whole = self._size()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(self.waiting)
            self.waiting = ""
        except OSError as error:
            self._cut(whole)  # of what did not fit
            if not self.failed:
                told = f"{self.path} cannot be written ({error.strerror}); its lines wait until it can"
                warnings.warn(told, RanvierWarning, stacklevel=2)
            self.failed = True
        return False

    def state(self) -> dict[str, Any]:
        """The size of the file in bytes, and the lines that it lacks."""
        return {"size": self._size(), "waiting": self.waiting}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Cuts off what was written since. Raises OSError if the file cannot be written."""
        self.waiting = state["waiting"]
        self._cut(state["size"])

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _cut(self, size: int) -> None:
        if self._size() > size:
            os.truncate(self.path, size)
