"""Losses that do not move, and those that have next to nothing left to lose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

RECORDS, STEPS = 50, 300  # of a run before which nothing is said of it
SOME = 10  # records of its beginning, and of its end, that are compared
LEARNT = 1e-2  # of the first loss
HARDLY = 2e-3  # of the first loss, or less than chance brings
NO_LOSS = {"step", "seconds", "rows", "sparsity"}  # what else is in a record
NO_LOSSES = ("val_", "health/")
CURE = (
    "try another train.rate, ten times higher or lower, check that the inputs tell something of the target, and that "
    "its values belong to their rows"
)


def losses(record: Mapping[str, float]) -> dict[str, float]:
    """The losses of a record in the log, by term."""
    return {k: v for k, v in record.items() if k not in NO_LOSS and not k.startswith(NO_LOSSES)}


def learnt(history: Sequence[Mapping[str, float]]) -> bool:
    """Whether all losses have come near 0, to 1 % of what they were: no gradient is left then, and none is needed.

    In some record each: single batches that are not known yet stand out later on.
    """
    first = losses(history[0]) if history else {}
    lowest = {name: min(record[name] for record in history if name in record) for name in first}
    return bool(first) and all(0 <= lowest[name] <= LEARNT * first[name] for name in first)


def stalled(history: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """{term: what is wrong} for losses that are at the end what they were at the beginning; {} while it is early.

    Compared are the means of the first and the last ten records: they differ by less than 0.2 % of the first, and than
    the standard error of their difference.
    """
    if len(history) < RECORDS or history[-1]["step"] < STEPS:
        return {}
    found = {}
    for name in losses(history[-1]):
        values = [record[name] for record in history if name in record]
        first, last = values[:SOME], values[-SOME:]
        before, after = sum(first) / len(first), sum(last) / len(last)
        noise = math.hypot(_error(first, before), _error(last, after))
        if len(values) >= RECORDS and before - after < max(HARDLY * abs(before), noise):
            told = f"{before:.4g} at the beginning, {after:.4g} at step {history[-1]['step']:.0f}"
            found[name] = f"the loss {name!r} does not get smaller ({told}; stalled): {CURE}"
    return found


def _error(values: Sequence[float], mean: float) -> float:
    """Of the mean, the standard error."""
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
