"""Words as the pieces that a tokenizer divides them into."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from ranvier.columns.foreign import size_of
from ranvier.columns.text import HIDDEN

STRANGE = "?"  # stands for a word of which another's tokenizer reads nothing


class Pieces:
    """A tokenizer that reads words one at a time. foreign: it is a pretrained model's.

    Such a one has signs of its own at both ends of a row, and reads a word as it stands in a text, behind a space. A
    word always has one piece at least, and none that is such a sign, however it is spelled.
    """

    def __init__(self, tokenizer: Tokenizer, *, foreign: bool = False) -> None:
        self.tokenizer, self.foreign = tokenizer, foreign
        self.size = size_of(tokenizer) if foreign else tokenizer.get_vocab_size()
        self.first, self.last, self._nothing = [], [], [HIDDEN]
        if foreign:
            alone, signed = (tokenizer.encode(STRANGE, add_special_tokens=on).ids for on in (False, True))
            start = next(i for i in range(len(signed) + 1) if signed[i : i + len(alone)] == alone)
            self.first, self.last = signed[:start], signed[start + len(alone) :]
            self._nothing = alone[:1] or [0]

    @property
    def signs(self) -> int:
        """How many of a row's tokens belong to no word."""
        return len(self.first) + len(self.last)

    def of(self, words: Sequence[str]) -> list[list[int]]:
        """The pieces of each word, without signs."""
        read = [f" {word}" for word in words] if self.foreign else list(words)
        found = [one.ids or self._nothing for one in self.tokenizer.encode_batch_fast(read, add_special_tokens=False)]
        signs = {*self.first, *self.last}
        for place, ids in enumerate(found) if signs else ():
            if not signs.isdisjoint(ids):  # a vocabulary may hold a sign as a word: its letters are read one by one
                apart = self.tokenizer.encode(" ".join(words[place]), add_special_tokens=False).ids
                found[place] = [token for token in apart if token not in signs] or self._nothing
        return found

    def joined(
        self, pieces: Sequence[Sequence[int]], codes: np.ndarray, bounds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of words, `codes` into different ones (W,) with the rows' bounds (N + 1,), as tokens.

        Gives tokens (T,), their rows' bounds (N + 1,), and spans (T, 2) in words, which are empty for signs.
        """
        sizes = np.array([len(ids) for ids in (*pieces, self.first, self.last)], np.int64)
        words = np.diff(bounds)
        own = np.insert(codes, bounds[:-1], len(pieces))  # the sign before each row,
        own = np.insert(own, bounds[1:] + np.arange(1, len(words) + 1), len(pieces) + 1)  # and that behind it
        bounds = bounds + 2 * np.arange(len(bounds))
        number = np.arange(len(own)) - np.repeat(bounds[:-1], words + 2) - 1
        begin = np.maximum(number, 0)
        end = np.where(own < len(pieces), begin + 1, begin)
        taken = sizes[own]
        starts, ends = np.cumsum(sizes) - sizes, np.concatenate([[0], np.cumsum(taken)])
        table = np.fromiter(chain(*pieces, self.first, self.last), np.int32, int(sizes.sum()))
        tokens = table[np.repeat(starts[own] - ends[:-1], taken) + np.arange(ends[-1])]
        return tokens, ends[bounds], np.repeat(np.stack([begin, end], 1).astype(np.int32), taken, axis=0)

    def within(self, sizes: np.ndarray, bounds: np.ndarray, most: int) -> np.ndarray:
        """(N,) how many words of each row fit into so many tokens, signs included; sizes: (W,) pieces of each word."""
        total = np.concatenate([[0], np.cumsum(sizes)])
        last = np.searchsorted(total, total[bounds[:-1]] + most - self.signs, "right") - 1
        return np.minimum(last, bounds[1:]) - bounds[:-1]
