"""Tokens read one after another by a recurrent network: the simple one, the LSTM, the GRU."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.tokens import TokenReader, TokenViews, demand, kept, letters_of, limit_of, settled
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import PoolKind
from ranvier.nets.rnn import GRU, LSTM, RNN

Auto = Literal["auto"]
SHARED_RATE = 2e-3  # where other inputs train beside the tokens
STEPS, MOST = 1_000, 40  # so many steps are taken at least, but no more epochs than these


class _RecurrentEncoder(Encoder):
    """Embedding, dropout, recurrent layers, dropout, and a pool for the vector.

    width: of the outputs, even if bidirectional. layers: recurrent layers. embedding: width of a token's own vector.
    bidirectional: read from both ends. pool: how tokens become a vector; "last" is the last state (of both
    directions). dropout: on token vectors, between layers and on outputs. word_dropout, limit: see `TokenReader`.
    Raises PlanError for a column that holds no tokens.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector", "tokens"})
    tells: ClassVar[bool] = True
    carries = ("width", "layers", "embedding", "bidirectional")
    net: ClassVar[type[RNN] | type[LSTM] | type[GRU]]
    score: ClassVar[float]
    rate: ClassVar[float] = 1e-2  # of tokens alone; gates bound what a step does to the state

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        width: int | Auto = "auto",
        layers: int | Auto = "auto",
        embedding: int | Auto = "auto",
        bidirectional: bool = True,
        pool: PoolKind | Auto = "auto",
        dropout: float | Auto = "auto",
        word_dropout: float | Auto = "auto",
        limit: int | Auto = "auto",
    ) -> None:
        super().__init__()
        demand(type(self), spec, "tokens")
        given = {"width": width, "layers": layers, "embedding": embedding, "pool": pool, "dropout": dropout}
        o = settled(type(self), spec, **given, word_dropout=word_dropout, limit=limit)
        self.width = o["width"]
        reading = {"word_dropout": o["word_dropout"], "limit": o["limit"], "letters": letters_of(spec)}
        self.read = TokenReader(spec.size, o["embedding"], **reading)
        self.dropout = Dropout(o["dropout"])
        self.recurrent = self.net(
            o["embedding"], o["width"], layers=o["layers"], bidirectional=bidirectional, dropout=o["dropout"]
        )
        self.use_last = o["pool"] == "last"
        self.give = TokenViews(self.width, pool=o["pool"], dropout=o["dropout"])

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Tokens (B, T) to the views asked for."""
        tokens = self.read(value)
        tokens.data, last = self.recurrent(self.dropout(tokens.data), tokens.mask)
        return self.give(tokens, needs, last if self.use_last else None)

    def vocabulary(self) -> nn.Embedding:
        return self.read.embedding

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves tokens; not the first choice, because a bag of n-grams is as good on most texts and far faster."""
        if spec.kind != "tokens":
            return 0.0, ""
        return cls.score, "reads tokens in order; slower than a bag of n-grams"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Widths by the size dial; the rest as measured on a few thousand short texts."""
        width = {"s": 64, "m": 128, "l": 256}[facts.size]
        few, rows = facts.rows < 50_000, f"{facts.rows:,} training rows"
        return {
            "width": (width, f"size {facts.size}"),
            "layers": (2 if facts.size == "l" else 1, f"size {facts.size}"),
            "embedding": (width, "as wide as the outputs"),
            "pool": ("max", "a strong sign anywhere in a text counts"),
            "dropout": kept(facts, 0.5 if few else 0.2, 0.1, rows),
            "word_dropout": kept(facts, 0.2 if few else 0.0, 0.0, rows),
            "limit": limit_of(
                spec, {"s": 256, "m": 512, "l": 1024}[facts.size], f"size {facts.size}; steps follow one another"
            ),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW with a clipped gradient, which recurrence needs (Pascanu et al. 2013)."""
        rate = cls.rate if facts.inputs == 1 else SHARED_RATE
        return token_recipe(facts, rate=rate, clip=1.0, reason="recurrent network on tokens")


def token_recipe(facts: Facts, *, rate: float, clip: float, reason: str) -> Choices:
    """Training settings for an encoder that learns its token vectors from these rows alone."""
    few = facts.rows < 50_000
    batch = 16 if facts.rows < 1_000 else 64 if few else 128
    epochs = min(max(6 if few else 4, -(-STEPS * batch // max(1, facts.rows))), MOST)
    return {
        "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, reason),
        "rate": (rate, reason),
        "decay": (0.01, reason),
        "batch": (batch, f"{facts.rows:,} training rows"),
        "epochs": (epochs, f"{facts.rows:,} training rows"),
        "schedule": ({"name": "linear", "warmup": 0.1, "final": 0.0}, "warm-up, then straight down to 0"),
        "clip": (clip, "the gradient through many steps can burst"),
        "keep": ("best", "small sets overfit before the last epoch"),
    }


class RNNEncoder(_RecurrentEncoder):
    """Tokens through a simple recurrent network (Elman 1990): forgets soon, here for comparison.

    `RNNEncoder(spec, *, width, layers, embedding, bidirectional, pool, dropout, word_dropout, limit)`: tokens (B, T)
    to vector (B, width) and tokens (B, T, width); a missing row gets a learned vector, an empty one zeros.
    """

    net = RNN
    score = 0.3
    rate = SHARED_RATE


class LSTMEncoder(_RecurrentEncoder):
    """Tokens through long short-term memory (Hochreiter & Schmidhuber 1997).

    `LSTMEncoder(spec, *, width, layers, embedding, bidirectional, pool, dropout, word_dropout, limit)`: tokens (B, T)
    to vector (B, width) and tokens (B, T, width); a missing row gets a learned vector, an empty one zeros.
    """

    net = LSTM
    score = 0.6


class GRUEncoder(_RecurrentEncoder):
    """Tokens through gated recurrent units (Cho et al. 2014).

    `GRUEncoder(spec, *, width, layers, embedding, bidirectional, pool, dropout, word_dropout, limit)`: tokens (B, T)
    to vector (B, width) and tokens (B, T, width); a missing row gets a learned vector, an empty one zeros.
    """

    net = GRU
    score = 0.5
