"""What looks on while a run goes: the log file and a stop by time."""

from __future__ import annotations

import json
import time
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


class Deadline(Callback):
    """Stops a run at the first log after `seconds`: a last resort, as where it stops depends on the machine."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.started = seconds, time.perf_counter()

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """True once the time is over."""
        return time.perf_counter() - self.started > self.seconds
