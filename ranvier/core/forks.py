"""Processes made by fork: the threads that the libraries below compute in are not in the child, which would wait."""

from __future__ import annotations

import os

from ranvier.core.errors import RunError

_pid: list[int] = []  # of the process that was the first to compute


def check_process() -> None:
    """Raises RunError in a child forked from a process that has computed before; there polars and torch never end."""
    if not _pid:
        _pid.append(os.getpid())
    if _pid[0] != os.getpid():
        raise RunError(
            "this process was forked from one in which Ranvier had already read data, and would wait forever for "
            "threads that were left there; start it by multiprocessing.get_context('spawn'), or by joblib"
        )
