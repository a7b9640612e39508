"""Figures of texts: how far they surprised the network, and how near what it wrote comes to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ranvier.evaluate.score import TargetReport, amounts, nothing_to_score
from ranvier.ops.texts import Texts

SPOILT = "of some rows the network's probabilities are no numbers"


class TextScores:
    """The figures of a column of texts over rows that come a piece at a time; memory does not grow with them."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.rows = self.missing = 0
        self.nats = self.tokens = self.characters = 0.0

    def add(
        self,
        nats: np.ndarray,
        count: np.ndarray,
        read: Sequence[str],
        true: Sequence[str],
        said: Sequence[str] | None,
        *,
        observed: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> None:
        """Adds N rows.

        nats, count: (N,) the surprise at each text's tokens, and how many they are. read: the texts as far as these go.
        true: the texts in full. said: what was written, if anything was.
        """
        rows, amount = amounts(observed, weight)
        self.rows += int(rows.sum())
        self.missing += int((~rows).sum())
        self.nats += float(amount @ np.where(rows, nats, 0.0))
        self.tokens += float(amount @ count)
        self.characters += float(amount @ np.array([len(text) + 1 for text in read], np.float64))  # the end is one
        if said is not None:
            kept = np.flatnonzero(rows).tolist()
            self.texts.add([said[row] for row in kept], [true[row] for row in kept])

    def report(self) -> TargetReport:
        """The figures of all rows so far. Raises DataError if none of them has a truth and weight."""
        if not self.rows:
            raise nothing_to_score(self.missing)
        figures = self.texts.compute()
        notes = {} if math.isfinite(self.nats) else {"perplexity": SPOILT}
        if self.tokens:
            each = self.nats / self.tokens
            figures["perplexity"] = math.exp(each) if each < 700 else math.inf
            figures["bits_per_character"] = self.nats / math.log(2) / self.characters
        return TargetReport("text", figures, self.rows, self.missing, notes=notes)
