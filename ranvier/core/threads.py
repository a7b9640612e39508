"""The same work for several things at once, where the work leaves Python to others: arrays, tables, files."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
MOST = 8
AHEAD = 2


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


def ahead(function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
    """What the function gives for each, in their order; two more are in the making while one is worked on.

    The things are taken by the caller's thread. An error is raised in its turn.
    """
    with ThreadPoolExecutor(AHEAD) as pool:
        coming = deque[Future[B]]()
        for thing in things:
            coming.append(pool.submit(copy_context().run, function, thing))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
