"""Character n-grams of words, as numbers of buckets: what vectors of unknown words are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A polynomial over code points, spread by the finaliser of MurmurHash3, all in 64 bits
FACTOR, MIX = np.uint64(0x100000001B3), np.uint64(0xFF51AFD7ED558CCD)
BEGIN, END = "<", ">"


def marked(word: str) -> str:
    """The word with signs for its begin and end."""
    return f"{BEGIN}{word}{END}"


def buckets_of(texts: Sequence[str], lengths: tuple[int, int], buckets: int) -> tuple[np.ndarray, np.ndarray]:
    """Texts (N,) as the buckets (M,) of their n-grams, and where each text's begin (N + 1,).

    lengths: of the shortest and longest n-gram, in characters (Bojanowski et al. 2017, sec. 3.2).
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(sizes)
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    text = np.repeat(np.arange(len(texts)), sizes)
    left = np.repeat(ends, sizes) - np.arange(len(codes))  # characters from here to the text's end
    found, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    hashed = np.zeros(len(codes), np.uint64)
    for length in range(1, lengths[1] + 1):
        whole = len(codes) - length + 1
        if whole <= 0:
            break
        hashed = hashed[:whole] * FACTOR + codes[length - 1 :] + np.uint64(1)
        if length >= lengths[0]:
            inside = left[:whole] >= length
            found.append((_mixed(hashed[inside]) % np.uint64(buckets)).astype(np.int64))
            owners.append(text[:whole][inside])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(found)[order], np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(texts)))])


def _mixed(number: np.ndarray) -> np.ndarray:
    shifted = number ^ (number >> np.uint64(33))
    shifted = shifted * MIX
    return shifted ^ (shifted >> np.uint64(33))


@dataclass(frozen=True)
class Grams:
    """Vectors of n-grams. lengths: of the shortest and longest. buckets: that they are hashed to.

    rows: (R,) the buckets met in training, rising. table: (R, width) their vectors.
    """

    lengths: tuple[int, int]
    buckets: int
    rows: np.ndarray
    table: np.ndarray

    def vector(self, text: str) -> np.ndarray | None:
        """(width,): the mean over the text's n-grams that were met in training; None if there are none."""
        found, _ = buckets_of([text], self.lengths, self.buckets)
        places = np.searchsorted(self.rows, found)
        places = places[(places < len(self.rows)) & (self.rows[np.minimum(places, len(self.rows) - 1)] == found)]
        return self.table[places].mean(0) if len(places) else None
