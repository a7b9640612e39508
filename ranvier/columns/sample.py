"""Texts of a stream, evenly spread over it, for a tokenizer to learn from."""

from __future__ import annotations

import polars as pl

SAMPLE = 20_000_000  # characters that the tokenizer learns from
SAMPLE_TEXT = 20_000  # of which from one text


class Sample:
    """Texts evenly spread over a stream, of bounded size, however the stream is chunked.

    rows, characters: of the whole stream. blank: rows of it that hold white space at most.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.rows = self.characters = self.blank = 0
        self._held, self._step = 0, 1

    def add(self, strings: pl.Series) -> None:
        """Keeps every `step`-th text; each time they grow too large, every second of them."""
        self.characters += int(strings.str.len_chars().sum())
        self.blank += int((strings.str.strip_chars() == "").sum())
        for text in strings.str.head(SAMPLE_TEXT):
            if self.rows % self._step == 0:
                self.texts.append(text)
                self._held += len(text)
            self.rows += 1
            if self._held > SAMPLE:
                self.texts = self.texts[::2]
                self._held, self._step = sum(map(len, self.texts)), 2 * self._step
