"""Memory that training frees and takes again at every step."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# of malloc.h, glibc
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
EVERYTHING = 2**31 - 1
# What is left behind: glibc cannot be asked what there was, and these are where its own thresholds end up.
MAPPED, TRIMMED, MAPPINGS = 2**25, 2**26, 65_536

_lock, _inside = threading.Lock(), [0]  # how many hold memory now, in all threads


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, the C library keeps what is freed for what comes next; at the end it gives back what lies idle.

    By default it returns large blocks to the system at once, and each page of the next one is then fetched and cleared
    anew: of a Transformer's step on two cores that took up to a seventh. Does nothing where the library is not glibc.
    """
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _inside[0] += 1
        if _inside[0] == 1:
            library.mallopt(M_MMAP_MAX, 0)
            library.mallopt(M_TRIM_THRESHOLD, EVERYTHING)
    try:
        yield
    finally:
        with _lock:
            _inside[0] -= 1
            if not _inside[0]:
                for name, value in ((M_MMAP_MAX, MAPPINGS), (M_MMAP_THRESHOLD, MAPPED), (M_TRIM_THRESHOLD, TRIMMED)):
                    library.mallopt(name, value)
                library.malloc_trim(0)


@cache
def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
