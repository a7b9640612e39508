"""The arithmetic of the benches: pure functions of numpy arrays."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def normalised(means: Mapping[str, float]) -> dict[str, float]:
    """Each method's score on a scale from the worst (0) to the best (1) of those compared; 1 for all if all are equal.

    means: method -> mean score on one set, higher is better. It lets sets with different scores be averaged; what one
    method gets depends on which others take part.
    """
    worst, best = min(means.values()), max(means.values())
    if best == worst:
        return dict.fromkeys(means, 1.0)
    return {name: (value - worst) / (best - worst) for name, value in means.items()}


def paired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """(mean of a - b, its standard error) over folds that both have run; the error is sd / sqrt(folds).

    Folds of one table share training rows, so the true error is larger: two of these are passed too easily, which
    is the strict side for counting losses. Raises ValueError for unequal lengths or fewer than two folds.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"expected two equally long lists of at least 2 scores; got {len(a)} and {len(b)}")
    difference = np.asarray(a, float) - np.asarray(b, float)
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def bootstrap(ours: np.ndarray, peer: np.ndarray, draws: int = 10_000, seed: int = 0) -> float:
    """P(ours > peer): the share of resamples of the test rows in which ours has the higher accuracy; a tie is half.

    ours, peer: how right each row was, (N,) or (seeds, N): with several seeds a row counts with its mean over them,
    since only rows are drawn anew. Both are read on the same drawn rows. Raises ValueError for unlike numbers of rows.
    """
    a, b = (np.atleast_2d(np.asarray(side, float)).mean(0) for side in (ours, peer))
    if a.shape != b.shape:
        raise ValueError(f"ours has {len(a)} rows and the peer {len(b)}; expected the same test rows")
    difference = a - b
    random = np.random.default_rng(seed)
    n = len(difference)
    # the sum over drawn rows depends only on how often each value of the difference is drawn
    values, counts = np.unique(difference, return_counts=True)
    sums = random.multinomial(n, counts / n, size=draws) @ values
    level = np.isclose(sums, 0.0, atol=1e-9)
    return float(((sums > 0) & ~level).mean() + 0.5 * level.mean())


def held(low: np.ndarray, high: np.ndarray, truth: np.ndarray, level: float) -> dict[str, float]:
    """How many of the rows' intervals hold the truth; sums of their widths and of their interval scores.

    A row's score is width + 2 / (1 - level) (how far the truth lies outside), lower is better (Gneiting and Raftery
    2007, doi:10.1198/016214506000001437, equation 43).
    """
    outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    wide = high - low
    score = wide + 2 / (1 - level) * outside
    return {
        "rows": len(truth),
        "covered": int(((low <= truth) & (truth <= high)).sum()),
        "width": float(wide.sum()),
        "score": float(score.sum()),
    }


def band(rows: int, share: float, inside: float = 0.99) -> tuple[int, int]:
    """The counts that a binomial variable of so many rows lies between with this probability, its tails alike.

    The smallest counts whose distribution functions are at least (1 - inside) / 2 and (1 + inside) / 2.
    """
    k = np.arange(rows + 1)
    logs = np.concatenate([[0.0], np.log(np.arange(1, rows + 1)).cumsum()])
    upto = np.exp(logs[-1] - logs - logs[::-1] + k * np.log(share) + (rows - k) * np.log1p(-share)).cumsum()
    low, high = np.searchsorted(upto, [(1 - inside) / 2, (1 + inside) / 2])
    return int(low), int(high)


def first_reach(curve: Sequence[Sequence[float]], target: float) -> float | None:
    """The second of the first score that is the target or more; None if there is none. curve: (second, score) pairs."""
    return next((second for second, score in curve if score >= target), None)


def middle(values: Sequence[float | None]) -> float | None:
    """The median, None counting as later than all numbers; None if that is what stands in the middle.

    The higher of the two in the middle, if there are two: a run that did not get there cannot be averaged.
    """
    if not values:
        return None
    ordered = sorted(values, key=lambda value: (value is None, value or 0.0))
    return ordered[len(ordered) // 2]


def ranks(means: Mapping[str, float]) -> dict[str, float]:
    """Each method's rank, 1 for the highest mean; equal means share the mean of their ranks."""
    return {
        name: 1 + sum(other > value for other in means.values()) + (sum(o == value for o in means.values()) - 1) / 2
        for name, value in means.items()
    }


def marginals(sizes: Sequence[int], totals: Sequence[float]) -> list[float]:
    """What one row more costs between each size and the next: differences of totals over differences of sizes."""
    steps = zip(sizes, sizes[1:], totals, totals[1:], strict=False)
    return [(after - before) / (more - rows) for rows, more, before, after in steps]


def paces(points: Sequence[Sequence[float]]) -> list[float]:
    """What was done a second between each point and the next. points: (seconds, how much had been done)."""
    return [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(points)]


def spread(values: Sequence[float]) -> float:
    """(largest - smallest) / median. Raises ValueError for a median that is not above 0."""
    center = statistics.median(values)
    if center <= 0:
        raise ValueError(f"the median is {center}; a spread needs one above 0")
    return (max(values) - min(values)) / center


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """(slope, intercept, largest distance of a point from the line / the range of y) of the least-squares line."""
    slope, intercept = np.polyfit(np.asarray(x, float), np.asarray(y, float), 1)
    distance = np.abs(np.asarray(y, float) - (slope * np.asarray(x, float) + intercept)).max()
    return float(slope), float(intercept), float(distance / max(np.ptp(np.asarray(y, float)), 1e-12))


def runs(rows: Iterable[Sequence[T]], n: int) -> set[tuple[T, ...]]:
    """Every run of n neighbours in any of the rows."""
    return {tuple(row[k : k + n]) for row in rows for k in range(len(row) - n + 1)}
