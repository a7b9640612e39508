"""Seconds since this process was started, the scores seen on the way, and its memory.

The standard library only, so that it runs in each peer's own environment.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

STARTED = "BENCH_STARTED"  # set by the process that starts this one: seconds since the epoch
_BEGAN = float(os.environ.get(STARTED, time.time()))


def since_start() -> float:
    """Seconds since the parent started this process; starting Python and importing count."""
    return time.time() - _BEGAN


def peak() -> float:
    """Gigabytes of memory held at most, so far (Linux), by this program alone.

    `ru_maxrss` will not do: it begins with what the process that started this one had held.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e9


def held() -> float:
    """Gigabytes of memory held now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


class Curve:
    """Validation scores by the second at which each was known.

    target: the score to reach, 0 = none. limit: seconds after which to give up, 0 = never.
    """

    def __init__(self, target: float = 0.0, limit: float = 0.0) -> None:
        self.target, self.limit = target, limit
        self.points: list[tuple[float, float]] = []

    def add(self, score: float) -> bool:
        """Notes a score; True if the run is to stop: it has reached the target, or is out of time."""
        self.points.append((since_start(), float(score)))
        return self.reached or self.late

    @property
    def reached(self) -> bool:
        """Whether the last score is the target's or higher."""
        return bool(self.target and self.points and self.points[-1][1] >= self.target)

    @property
    def late(self) -> bool:
        """Whether the limit has passed."""
        return bool(self.limit) and since_start() >= self.limit

    def answer(self) -> dict[str, object]:
        """What a side prints of it: the points, the seconds until the target (None if it was not reached)."""
        return {"curve": self.points, "reached": self.points[-1][0] if self.reached else None, "target": self.target}
