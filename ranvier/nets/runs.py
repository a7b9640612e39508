"""Runs of tokens of some texts, which others shall not hold."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

NEXT = 2**20 - 1  # the bits of a key that hold its last token
FACTOR = 0x9E3779B97F4A7C15  # of the hash, a polynomial modulo 2^64: odd, its bits without a pattern
SHARED, SHARE = 10, 0.01  # a run is nobody's own that more texts hold than so many, and than this share of them


class Runs:
    """Which token would end a run of n that stands in one of the texts (MemFree; Ippolito et al., INLG 2023).

    tokens: (N,) of all texts, one after another, each below 2^20. offsets: (texts + 1,) where each begins, and the last
    ends. n: tokens of a run, 2 at least. device: where others are written. Runs that many texts hold, such as those of
    a heading, are left out: those of more than 10 texts and one in a hundred of them. Runs are known by 44 bits of a
    hash of all their tokens but the last, and by that one: 8 bytes a run; beside a million of them one in ten million
    others is taken for one. Raises ValueError.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, n: int, device: torch.device | None = None) -> None:
        if tokens.max(initial=0) > NEXT:
            raise ValueError(f"tokens up to {tokens.max():,}: a run's key holds those up to {NEXT:,}")
        self.n = n
        powers = _powers(n - 1)
        text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        begins = np.flatnonzero(offsets[1:][text] - np.arange(len(text)) >= n)
        wide = tokens.astype(np.int64)
        hashed = np.zeros(len(begins), np.int64)
        for place, power in enumerate(powers):
            hashed += wide[begins + place] * power
        keys, count = _in_texts((hashed & ~NEXT) | wide[begins + n - 1], text[begins])
        self.keys = torch.from_numpy(keys[count <= max(SHARED, SHARE * (len(offsets) - 1))]).to(device)
        self.powers = torch.from_numpy(powers).to(device)

    def __len__(self) -> int:
        return len(self.keys)

    def forbid(self, scores: Tensor, said: Tensor) -> Tensor:
        """Scores (B, V) of the token after those said (B, T): -inf where it would end a run."""
        if said.shape[1] < self.n - 1:
            return scores
        hashed = (said[:, said.shape[1] - self.n + 1 :].long() * self.powers).sum(1) & ~NEXT
        first = torch.searchsorted(self.keys, hashed)
        count = torch.searchsorted(self.keys, hashed | NEXT, right=True) - first
        rows = torch.arange(len(said), device=said.device).repeat_interleave(count)
        which = torch.arange(len(rows), device=said.device) + (first - count.cumsum(0) + count)[rows]
        return scores.index_put((rows, self.keys[which] & NEXT), scores.new_tensor(-torch.inf))


def _powers(n: int) -> np.ndarray:
    """(n,) int64: of the hash's factor, modulo 2^64."""
    powers = [pow(FACTOR, k, 2**64) for k in range(1, n + 1)]
    return np.array(powers, np.uint64).view(np.int64)


def _in_texts(keys: np.ndarray, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The keys (R,), sorted and each once, and how many texts hold it. text: (R,) of each."""
    order = np.lexsort((text, keys))
    keys, text = keys[order], text[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]) | (text[1:] != text[:-1])
    return np.unique(keys[new], return_counts=True)
