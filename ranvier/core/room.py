"""Room for arrays of all rows: in memory, or where they would fill it in a file that is mapped into it."""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ranvier.core.errors import DataError
from ranvier.core.limits import in_memory, left_to_groups

SHARE = 0.25  # of the memory that is free, above which an array is kept on disk
PLACES = ("/var/tmp", ".")  # where else files may lie, if the folder for temporary ones is in memory itself


class _Budget:
    """Memory that was free when the first of several threads began, of which they take what they then fill."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users, self.left = 0, math.inf


_budget = _Budget()


@contextmanager
def one_budget() -> Iterator[None]:
    """Inside, whoever asks for room, in any thread, has a share of what those before have left, filled or not yet.

    For zeros take up memory only when they are written to, so that what is free says nothing of those just given.
    """
    with _budget.lock:
        if not _budget.users:
            _budget.left = free_memory()
        _budget.users += 1
    try:
        yield
    finally:
        with _budget.lock:
            _budget.users -= 1
            if not _budget.users:
                _budget.left = math.inf


def room(shape: tuple[int, ...], dtype: type[np.generic], what: str) -> tuple[np.ndarray, list[str]]:
    """Zeros of that shape, and notes: [], or a sentence on where they are if not in memory. what: they are, for people.

    Above SHARE of the free memory they are in a file in the folder for temporary files, or if that is in memory itself
    in another, which has no name, so that it is gone when the array is, however the process ends (on Windows: however
    Python does). Without any folder on a disk they are in memory as far as it goes. Raises DataError if there is no
    room for them.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    with _budget.lock:
        free = min(free_memory(), _budget.left)
        if size <= SHARE * free:
            _budget.left -= size
            return np.zeros(shape, dtype), []
    return _elsewhere(shape, dtype, what, free)


def _elsewhere(shape: tuple[int, ...], dtype: type[np.generic], what: str, free: float) -> tuple[np.ndarray, list[str]]:
    """As `room`, of what is too large to be in memory as long as there is a disk."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    large = f"{what} take {size / 1e9:,.1f} GB"
    folder = "the folder for temporary files"
    try:
        folder = tempfile.gettempdir()
        if in_memory(folder):
            elsewhere = _on_a_disk(size)
            if not elsewhere and size < free:
                told = f"are kept in memory, for {folder} is in memory, too (TMPDIR names a folder on a disk)"
                with _budget.lock:
                    _budget.left -= size
                return np.zeros(shape, dtype), [f"{large}, and {told}"]
            if not elsewhere:
                raise OSError(errno.ENOMEM, "it is in memory itself")
            folder = elsewhere
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), size, folder)
            array = np.memmap(file, dtype, "r+", shape=shape)  # holds the file open itself
    except OSError as error:
        raise DataError(
            f"{large}, too much for the memory that is free, and cannot be kept in {folder}: "
            f"{error.strerror or error}; name a folder with room by the environment variable TMPDIR"
        ) from None
    return array, [f"{large}, and are kept on disk, in {folder} (TMPDIR names another folder)"]


def on_disk(array: np.ndarray) -> bool:
    """Whether the array, or what it is a view of, is mapped from a file."""
    return _mapping(array) is not None


def let_go(array: np.ndarray) -> None:
    """Gives back the memory that an array on disk has taken up by being read and written; nothing is lost of it."""
    mapping = _mapping(array)
    if mapping is not None and hasattr(mapping, "madvise"):  # which Windows lacks, and does by itself
        mapping.madvise(mmap.MADV_DONTNEED)


def amount(size: float) -> str:
    """So many bytes, in a unit for people."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def free_memory() -> float:
    """Bytes that the system says are free for this process; where it says nothing of that, half of all it has."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        free = _all_memory() // 2
    return min(free, left_to_groups())


def _on_a_disk(size: int) -> str:
    """A folder on a disk that has so many bytes free and may be written to; "" for none."""
    for folder in map(os.path.abspath, PLACES):
        usable = os.path.isdir(folder) and os.access(folder, os.W_OK) and not in_memory(folder)
        if usable and shutil.disk_usage(folder).free > size:
            return folder
    return ""


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
    base: object = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return base._mmap  # type: ignore[attr-defined, no-any-return]
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base  # as numpy.frombuffer has it
    return base if isinstance(base, mmap.mmap) else None
