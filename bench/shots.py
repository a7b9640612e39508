"""Draws of few rows that both sides of a bench share: which classes are learnt, and which rows have labels."""

from __future__ import annotations

import numpy as np

CLASSES, SHOTS = 10, 5
SEED = 20_261_127


def halves() -> list[tuple[list[int], list[int]]]:
    """Ten times (classes trained on, classes never trained on), five each: five permutations, each both ways round."""
    found = []
    for split in range(5):
        order = np.random.default_rng([SEED, split]).permutation(CLASSES)
        one, other = sorted(order[:5].tolist()), sorted(order[5:].tolist())
        found += [(one, other), (other, one)]
    return found


def shots(code: np.ndarray, novel: list[int], split: int, draw: int) -> np.ndarray:
    """(5, 5) rows of the training part: five of each class never trained on. code: (N,) of all its rows."""
    random = np.random.default_rng([SEED, split, draw])
    return np.stack([random.choice(np.flatnonzero(code == c), SHOTS, replace=False) for c in novel])


def labelled(rows: int, labels: int, draw: int) -> np.ndarray:
    """(labels,) which of so many rows have a label."""
    return np.random.default_rng([SEED, draw]).permutation(rows)[:labels]
