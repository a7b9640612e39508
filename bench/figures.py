"""The arithmetic of the benches: pure functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


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
