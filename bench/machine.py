"""What a section says of where and when it was made."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def stamp(command: str) -> str:
    """Lines with date, processor, cores, memory, versions, load and the exact command."""
    load = " ".join(f"{x:.2f}" for x in os.getloadavg())
    limits = "; ".join(f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS",) if name in os.environ)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {processor()}, {cores()} cores, {memory():.0f} GB · "
        f"Python {platform.python_version()}, torch {version('torch')} · "
        f"threads: {limits or 'as each library chooses'} · load before: {load}\n\n```\n{command}\n```\n"
    )


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(info) if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """Gigabytes of memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
