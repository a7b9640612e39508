"""A network that writes: from the tokens so far, and perhaps a memory, to scores of the next one.

Shapes: B rows, T tokens written, S tokens of the memory, D features, V tokens of the vocabulary.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.decoder import LookName, RecurrentDecoder, Written
from ranvier.nets.dropout import Dropout
from ranvier.nets.ngrams import NGrams
from ranvier.nets.transformer import Reading, Transformer

WriterName = Literal["transformer", "rnn", "lstm", "gru"]
STD = 0.02  # of a Transformer's vectors: larger, and each token would first be thought to follow itself
BLOCK = 12  # times the square of its width has a block of a Transformer, and have the tables of n-grams together


class Begun:
    """How far a writer has written: what its network keeps, and the last tokens (B, K), as many as n-grams reach."""

    def __init__(self, kept: Reading | Written, last: Tensor) -> None:
        self.kept, self.last = kept, last

    def take(self, rows: Tensor, memory: Tensor | None = None) -> None:
        """Goes on with these rows (B') of those so far (see `generate.Place`)."""
        self.kept.take(rows, memory)
        self.last = self.last.index_select(0, rows)

    def add(self, tokens: Tensor) -> Tensor:
        """Takes in (B, T) more; the last ones before them."""
        before = self.last
        self.last = torch.cat([before, tokens], 1)[:, tokens.shape[1] :]
        return before


class Writer(nn.Module):
    """p(x_t | x_<t, memory) = softmax(E h_t), E the tokens' own vectors, h_t of a causal network over those before.

    One matrix reads and writes (Press & Wolf, EACL 2017). size: V. kind: a causal Transformer, or a recurrent network
    that looks at the memory (`nets.RecurrentDecoder`). depth: blocks, or recurrent layers. heads: of the Transformer.
    attention: of the recurrent one. memory: its width, 0 = none. grams: the longest n-gram whose vector is added to
    that of its last token (`nets.NGrams`), the tables together being as many numbers as a block; 0 = none. Raises
    PlanError as these do.
    """

    def __init__(
        self,
        size: int,
        width: int,
        /,
        *,
        kind: WriterName = "transformer",
        depth: int = 2,
        heads: int = 4,
        attention: LookName = "dot",
        dropout: float = 0.0,
        memory: int = 0,
        grams: int = 0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, width)
        nn.init.normal_(self.embedding.weight, std=STD if kind == "transformer" else 1 / math.sqrt(width))
        self.grams = NGrams(width, longest=grams, rows=BLOCK * width // max(1, grams - 1)) if grams else None
        self.dropout = Dropout(dropout)
        self.body: Transformer | RecurrentDecoder
        if kind == "transformer":
            self.body = Transformer(width, depth=depth, heads=heads, dropout=dropout, causal=True, memory=memory)
        else:
            self.body = RecurrentDecoder(
                width, cell=kind, layers=depth, attention=attention, dropout=dropout, memory=memory
            )

    def forward(
        self,
        tokens: Int[Tensor, "b t"],
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b t v"]:
        """(B, T) to (B, T, V), scores of the token after each; padding stands after the real ones."""
        return self.scores(self.hidden(tokens, memory, memory_mask))

    def hidden(
        self,
        tokens: Int[Tensor, "b t"],
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """(B, T, width), what `scores` reads: not all of it need be scored."""
        return self.body(self._vectors(tokens, tokens), memory=memory, memory_mask=memory_mask)

    def scores(self, hidden: Float[Tensor, "*n d"]) -> Float[Tensor, "*n v"]:
        """(..., width) to (..., V)."""
        return F.linear(hidden, self.embedding.weight)

    def start(
        self,
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
        *,
        rows: int,
    ) -> Begun:
        """Nothing written yet, in B rows."""
        device = self.embedding.weight.device
        last = torch.zeros(rows, self.grams.before if self.grams else 0, dtype=torch.long, device=device)
        if isinstance(self.body, Transformer):
            return Begun(self.body.start(memory, memory_mask), last)
        return Begun(self.body.start(memory, memory_mask, rows=rows), last)

    def next(self, tokens: Int[Tensor, "b t"], place: Begun, mask: Bool[Tensor, "b t"] | None) -> Float[Tensor, "b v"]:
        """(B, V) scores of the token after T more; mask: padding stands before the real ones, None = none."""
        return self.scores(self.read(tokens, place, mask))

    def read(self, tokens: Int[Tensor, "b t"], place: Begun, mask: Bool[Tensor, "b t"] | None) -> Float[Tensor, "b d"]:
        """(B, width) what `scores` reads of the last of T more tokens."""
        told = tokens if mask is None else tokens.masked_fill(~mask, 0)  # as if nothing stood before the real ones
        x = self._vectors(tokens, told, place.add(told))
        return self.body.read(x, place.kept, mask)[:, -1]  # type: ignore[arg-type]

    def _vectors(self, tokens: Tensor, told: Tensor, last: Tensor | None = None) -> Tensor:
        """(B, T, width) of the tokens, and of n-grams of what is told of them and the last ones before."""
        x = self.embedding(tokens)
        return self.dropout(x if self.grams is None else x + self.grams(told, last))
