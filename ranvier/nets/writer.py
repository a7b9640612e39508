"""A network that writes: from the tokens so far, and perhaps a memory, to scores of the next one.

Shapes: B rows, T tokens written, S tokens of the memory, D features, V tokens of the vocabulary.
"""

from __future__ import annotations

import math
from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.decoder import LookName, RecurrentDecoder, Written
from ranvier.nets.dropout import Dropout
from ranvier.nets.transformer import Reading, Transformer

WriterName = Literal["transformer", "rnn", "lstm", "gru"]
Place = Reading | Written
STD = 0.02  # of a Transformer's vectors: larger, and each token would first be thought to follow itself


class Writer(nn.Module):
    """p(x_t | x_<t, memory) = softmax(E h_t), E the tokens' own vectors, h_t of a causal network over those before.

    One matrix reads and writes (Press & Wolf, EACL 2017). size: V. kind: a causal Transformer, or a recurrent network
    that looks at the memory (`nets.RecurrentDecoder`). depth: blocks, or recurrent layers. heads: of the Transformer.
    attention: of the recurrent one. memory: its width, 0 = none. Raises PlanError as these do.
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
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, width)
        nn.init.normal_(self.embedding.weight, std=STD if kind == "transformer" else 1 / math.sqrt(width))
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
        return self.body(self._vectors(tokens), memory=memory, memory_mask=memory_mask)

    def scores(self, hidden: Float[Tensor, "*n d"]) -> Float[Tensor, "*n v"]:
        """(..., width) to (..., V)."""
        return F.linear(hidden, self.embedding.weight)

    def start(
        self,
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
        *,
        rows: int,
    ) -> Place:
        """Nothing written yet, in B rows."""
        if isinstance(self.body, Transformer):
            return self.body.start(memory, memory_mask)
        return self.body.start(memory, memory_mask, rows=rows)

    def next(self, tokens: Int[Tensor, "b t"], place: Place, mask: Bool[Tensor, "b t"] | None) -> Float[Tensor, "b v"]:
        """(B, V) scores of the token after T more; mask: padding stands before the real ones, None = none."""
        return self.scores(self.read(tokens, place, mask))

    def read(self, tokens: Int[Tensor, "b t"], place: Place, mask: Bool[Tensor, "b t"] | None) -> Float[Tensor, "b d"]:
        """(B, width) what `scores` reads of the last of T more tokens."""
        return self.body.read(self._vectors(tokens), place, mask)[:, -1]  # type: ignore[arg-type]

    def _vectors(self, tokens: Tensor) -> Tensor:
        return self.dropout(self.embedding(tokens))
