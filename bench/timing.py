"""Timing one call; standard library only, so that it runs in each peer's own environment."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_ms(call: Callable[[], object], calls: int) -> float:
    """Median milliseconds of a call, after a first one that does not count."""
    call()
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3
