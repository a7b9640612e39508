"""The same work for several things at once, where the work leaves Python to others: arrays, tables, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
MOST = 8


def each(function: Callable[[A], B], things: Iterable[A]) -> list[B]:
    """What the function gives for each, in their order, by as many threads as there are cores, 8 at most.

    The first error, in that order, is raised. Context variables are as they are here.
    """
    waiting = list(things)
    workers = min(MOST, os.cpu_count() or 1, len(waiting))
    if workers < 2:
        return [function(thing) for thing in waiting]
    with ThreadPoolExecutor(workers) as pool:
        contexts = [copy_context() for _ in waiting]  # one cannot be entered twice at a time
        return list(pool.map(lambda context, thing: context.run(function, thing), contexts, waiting))
