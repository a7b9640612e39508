"""Pairs of a word and its neighbours out of running text, many at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ranvier.core.rng import seed_of
from ranvier.lexicon.corpus import Corpus

KEPT = 1e-4  # share of the text above which a word is met less often than it stands there
POWER = 0.75  # of the noise: between the words' own shares and equal ones


class Pairs:
    """An endless stream of blocks of pairs: rows in a new order each epoch, frequent words thinned out, a window of
    random size about each word (Mikolov et al. 2013, sec. 2.3; 2013a, sec. 3).

    block: running words in a block. noise: words drawn for a block, by their counts to the power of 0.75. A word is
    kept with the chance sqrt(t / f) + t / f, where f is its share and t is 0.0001, or what each word would have if all
    were as frequent, so that of few words none is rare.
    """

    def __init__(self, corpus: Corpus, *, window: int, negatives: int, block: int, noise: int, seed: int) -> None:
        self.corpus, self.window, self.negatives = corpus, window, negatives
        self.block, self.noise, self.seed = block, noise, seed
        share = corpus.counts / corpus.counts.sum()
        least = max(KEPT, 1 / len(share))
        self.keep = np.minimum(1, np.sqrt(least / share) + least / share)
        self.words = float((self.keep * corpus.counts).sum())  # expected of an epoch
        chances = np.cumsum(corpus.counts**POWER)
        self.chances = chances / chances[-1]
        self.steps = max(1, int(np.ceil(self.words / block)))  # of an epoch, about

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Blocks as (words (U,), others (V,), near (U, V), far (V,)), as `SkipGram.slopes` takes them."""
        place = np.zeros(len(self.corpus.words), np.int64)
        epoch = 0
        while True:
            random = np.random.default_rng(seed_of(self.seed, "pairs", epoch))
            ids, row = self._thinned(random)
            for start in range(0, len(ids), self.block):
                one, other = self._near(row, start, min(start + self.block, len(ids)), random)
                if len(one):
                    yield self._counted(ids[one], ids[other], place, random)
            epoch += 1

    def _thinned(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        ids, row = self.corpus.ids, self.corpus.row
        kept = random.random(len(ids)) < self.keep[ids]
        ids, row = ids[kept], row[kept]
        order = np.argsort(random.permutation(int(self.corpus.row[-1]) + 1)[row], kind="stable")
        return ids[order], row[order]

    def _near(
        self, row: np.ndarray, start: int, stop: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places of words and of their neighbours in the same row."""
        offsets = np.concatenate([np.arange(-self.window, 0), np.arange(1, self.window + 1)])
        radius = random.integers(1, self.window + 1, stop - start)
        own = np.arange(start, stop)
        other = own[:, None] + offsets
        real = (np.abs(offsets) <= radius[:, None]) & (other >= 0) & (other < len(row))
        real &= row[np.clip(other, 0, len(row) - 1)] == row[own][:, None]
        return own[np.nonzero(real)[0]], other[real]

    def _counted(
        self, one: np.ndarray, other: np.ndarray, place: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        drawn = np.searchsorted(self.chances, random.random(self.noise), side="right")
        words, others = _distinct(place, one), _distinct(place, other, drawn)
        place[words] = np.arange(len(words))
        rows = place[one]
        place[others] = np.arange(len(others))
        near = np.bincount(rows * len(others) + place[other], minlength=len(words) * len(others))
        far = np.bincount(place[drawn], minlength=len(others)) * (self.negatives / self.noise)
        return words, others, near.astype(np.float32).reshape(len(words), len(others)), far.astype(np.float32)


def _distinct(place: np.ndarray, *ids: np.ndarray) -> np.ndarray:
    """The numbers that occur, rising. place: room for all."""
    place[:] = 0
    for some in ids:
        place[some] = 1
    return np.flatnonzero(place)
