"""Tokens as a bag of hashed n-grams: the first choice for texts."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.tokens import demand, settled
from ranvier.nets.bag import HashedBag
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import Missing

Auto = Literal["auto"]

SEEN = 30_000_000  # tokens of training after which one pass more teaches little
STEPS = 500  # the fewest in which the table fills
REFIT = 50_000  # training rows below which the validation rows are worth a second training


class BagEncoder(Encoder):
    """A learned vector for every n-gram of 1 to `order` tokens, summed over the row (`nets.bag.HashedBag`).

    Linear but for what follows it, like TF-IDF with logistic regression, yet learnt in a few quick passes. width: of
    the vector. order: longest n-gram. buckets: rows of the table that n-grams of two and more tokens share. dropout:
    on the vector. A missing row gets a learned vector, an empty one zeros. Raises PlanError for a column that holds
    no tokens.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector"})
    carries = ("width", "order", "buckets")

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        width: int | Auto = "auto",
        order: int | Auto = "auto",
        buckets: int | Auto = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        demand(type(self), spec, "tokens")
        o = settled(type(self), spec, width=width, order=order, buckets=buckets)
        self.width = o["width"]
        self.bag = HashedBag(spec.size, o["width"], order=o["order"], buckets=o["buckets"])
        self.missing, self.dropout = Missing(self.width), Dropout(dropout)

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Tokens (B, T), or words with their letters (B, T, 1 + L), to the vector (B, width)."""
        words = value.data if value.data.ndim == 2 else value.data[..., 0]
        vector = self.dropout(self.bag(words, value.mask))
        return Features(vector.shape[0], self.missing(vector, value.observed))

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The first choice for tokens, where a vector is enough."""
        if spec.kind != "tokens":
            return 0.0, ""
        if "tokens" in facts.views:
            return 0.1, "one vector of all tokens, where a head reads each"
        return 0.9, "n-grams say most of what a text is about, and take seconds to learn"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Width by the size dial; the table by the number of n-grams that there may be."""
        order = 3
        grams = facts.rows * max(facts.length, 32) * (order - 1) / 2  # a row is on average half the 95th percentile
        buckets = 2 ** int(min(max(round(math.log2(grams / 4)), 14), {"s": 17, "m": 18, "l": 20}[facts.size]))
        return {
            "width": ({"s": 16, "m": 32, "l": 64}[facts.size], f"size {facts.size}"),
            "order": (order, "three subwords are about a word and its neighbours"),
            "buckets": (buckets, f"{facts.rows:,} rows of up to {facts.length:,} tokens, size {facts.size}"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Adam at a steady batch; passes until the tokens have been seen often enough."""
        tokens = max(facts.rows, 1) * max(facts.length, 32) / 2
        batch = 64 if facts.rows < 100_000 else 256
        epochs = min(max(round(SEEN / tokens), 2), 4)
        epochs = max(epochs, min(-(-STEPS * batch // max(facts.rows, 1)), 100))  # few rows have to be seen more often
        reason = "a table of n-grams that starts at zero"
        return {
            "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, reason),
            "rate": (2e-3, reason),
            "decay": (0.0, reason),
            "batch": (batch, f"{facts.rows:,} training rows"),
            "epochs": (epochs, f"{facts.rows:,} rows of up to {facts.length:,} tokens"),
            "schedule": ({"name": "linear", "warmup": 0.0, "final": 0.0}, "straight down to 0"),
            "clip": (0.0, "the gradient of a bag cannot burst"),
            "precision": ("fp32", "sums, not products: half precision would be no faster"),
            "keep": ("last", "the schedule ends where validation has always been best"),
            "refit": (facts.rows < REFIT, "every row counts" if facts.rows < REFIT else "there are rows enough"),
        }
