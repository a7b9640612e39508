"""What Linux says of memory: how much the control groups of this process leave, and which folders lie in it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc/self")
GROUPS = Path("/sys/fs/cgroup")  # version 2; version 1 has the folder "memory" in it
MEMORY = ("tmpfs", "ramfs")  # file systems that are kept in memory
NAMES = {  # of the files of a group, by version: its bound, what it has taken, what that is
    2: ("memory.max", "memory.current", "memory.stat"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
}
CACHED = {2: "inactive_file", 1: "total_inactive_file"}  # bytes of files that make room when they are asked to
UNBOUNDED = 2**60  # version 1 writes a number beyond any memory where there is no bound


def left_to_groups() -> float:
    """Bytes that this process may still take by the bounds of its control group and of those around it; infinite
    without any. Cached files do not count, for they make room."""
    return min((_left(folder, version) for folder, version in _groups()), default=math.inf)


def in_memory(folder: str) -> bool:
    """Whether the folder lies in a file system that is kept in memory itself, so that a file there saves none."""
    try:
        lines = (PROC / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False  # no Linux
    place, found = Path(os.path.realpath(folder)), (-1, "")
    for line in lines:
        mounted, _, system = line.partition(" - ")
        point = Path(mounted.split()[4].replace("\\040", " "))
        if place.is_relative_to(point) and len(point.parts) >= found[0]:  # of equal places the last covers the others
            found = len(point.parts), system.split()[0]
    return found[1] in MEMORY


def _groups() -> Iterator[tuple[Path, int]]:
    """The folder of each control group that this process is in, from its own upwards, with its version."""
    try:
        lines = (PROC / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        number, kinds, name = line.split(":", 2)
        if number == "0" and not kinds:
            root, version = GROUPS, 2
        elif "memory" in kinds.split(","):
            root, version = GROUPS / "memory", 1
        else:
            continue
        own = root / name.lstrip("/")
        for folder in (own, *own.parents):  # in a container the name may be that outside of it, and nothing be there
            yield folder, version
            if folder == root:
                break


def _left(group: Path, version: int) -> float:
    """Bytes that one group leaves; infinite where it says nothing."""
    try:
        most, used, stat = ((group / name).read_text(encoding="ascii").strip() for name in NAMES[version])
    except OSError:
        return math.inf
    if most == "max" or int(most) >= UNBOUNDED:
        return math.inf
    lines = (line.split() for line in stat.splitlines())
    cached = next((int(value) for name, value in lines if name == CACHED[version]), 0)
    return max(0, int(most) - int(used) + cached)
