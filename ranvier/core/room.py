"""Room for arrays of all rows: in memory, or where they would fill it in a file that is mapped into it."""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ranvier.core.errors import DataError

SHARE = 0.25  # of the memory that is free, above which an array is kept on disk
GROUP = Path("/sys/fs/cgroup")  # where Linux says how much memory this process and its like may have


def room(shape: tuple[int, ...], dtype: type[np.generic], what: str) -> tuple[np.ndarray, list[str]]:
    """Zeros of that shape, and notes: [], or a sentence on where they are if not in memory. what: they are, for people.

    Above SHARE of the free memory they are in a file in the folder for temporary files, which has no name, so that it
    is gone when the array is, however the process ends (on Windows: however Python does). Raises DataError if the disk
    has no room for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= SHARE * free_memory():
        return np.zeros(shape, dtype), []
    folder = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            _reserve(file.fileno(), size, folder)
        except OSError as error:
            raise DataError(
                f"{what} take {size / 1e9:,.1f} GB, too much for the memory that is free, and cannot be kept in "
                f"{folder}: {error.strerror}; name a folder with room by the environment variable TMPDIR"
            ) from None
        array = np.memmap(file, dtype, "r+", shape=shape)  # holds the file open itself
    return array, [f"{what} take {size / 1e9:,.1f} GB, and are kept on disk, in {folder} (TMPDIR names another folder)"]


def on_disk(array: np.ndarray) -> bool:
    """Whether the array, or what it is a view of, is mapped from a file."""
    return _mapping(array) is not None


def let_go(array: np.ndarray) -> None:
    """Gives back the memory that an array on disk has taken up by being read and written; nothing is lost of it."""
    mapping = _mapping(array)
    if mapping is not None and hasattr(mapping, "madvise"):  # which Windows lacks, and does by itself
        mapping.madvise(mmap.MADV_DONTNEED)


def free_memory() -> float:
    """Bytes that the system says are free for this process; where it says nothing of that, half of all it has."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        free = _all_memory() // 2
    return min(free, _left_to_group())


def _left_to_group() -> float:
    """Bytes that the control group of this process may still take, where Linux has set it a bound; files that are
    cached do not count, for they make room."""
    try:
        most, used, stat = (
            (GROUP / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current", "stat")
        )
    except OSError:
        return math.inf
    cached = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")), 0)
    return math.inf if most == "max" else max(0, int(most) - int(used) + cached)


def _all_memory() -> int:
    if not hasattr(os, "sysconf"):
        return 8 * 2**30  # of a machine that cannot be asked
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _reserve(file: int, size: int, folder: str) -> None:
    """Makes the file so large, with room on the disk for all of it: a full disk would later end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    if shutil.disk_usage(folder).free < size:
        raise OSError(28, "no space left on device")
    os.truncate(file, size)


def _mapping(array: np.ndarray) -> mmap.mmap | None:
    base = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return base._mmap  # type: ignore[attr-defined, no-any-return]
        base = base.base  # type: ignore[assignment]
    return base if isinstance(base, mmap.mmap) else None
