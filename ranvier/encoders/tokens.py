"""What encoders of tokens share: reading integers as vectors, and giving the views with missing rows in their place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.nets.dropout import Dropout
from ranvier.nets.letters import Letters
from ranvier.nets.pool import Missing, Pool, PoolKind


def settled(part: type[Encoder], spec: Spec, **given: Any) -> dict[str, Any]:
    """The given options, with each "auto" as the part would choose it for some ten thousand rows of that spec."""
    chosen = part.choose(spec, Facts(rows=10_000))
    return {name: chosen[name][0] if value == "auto" else value for name, value in given.items()}


def demand(part: type[Encoder], spec: Spec, *kinds: str) -> None:
    """Raises PlanError if the spec is of none of the kinds."""
    if spec.kind not in kinds:
        raise PlanError(f"{part.__name__} reads a column of kind {' or '.join(kinds)}, and this one is {spec.kind!r}")


def letters_of(spec: Spec) -> int:
    """How many bytes of each word's letters come with it."""
    return int(spec.shape[1] or 0) - 1 if len(spec.shape) > 1 else 0


def limit_of(spec: Spec, usual: int, why: str) -> tuple[int, str]:
    """How many tokens of a row are read, and why: of words all, for each may be asked for a tag."""
    return (0, "the column cuts what is too long, and says so") if spec.unit == "word" else (usual, why)


def kept(facts: Facts, usual: float, most: float, why: str) -> tuple[float, str]:
    """How much is dropped of what is read: at most `most` where a single word may tell, or words are hidden already."""
    reasons = {
        "answers": "an answer may hang on a single word",
        "texts": "each word that is written may hang on a single one",
        "hidden": "what is hidden is noise enough",
    }
    return (min(usual, most), reasons[facts.outcome]) if facts.outcome in reasons else (usual, why)


class TokenReader(nn.Module):
    """Tokens (B, T) to vectors (B, T, width).

    size: the vocabulary. word_dropout: the chance that a token is hidden (its vector zeroed) in training, so that no
    single word decides (Bowman et al. 2016, sec. 3.1; Gal & Ghahramani 2016). limit: how many tokens of a row are
    read, counted from its start; the rest are not seen. 0 = all. letters: bytes of each word that come with it, tokens
    being (B, T, 1 + letters); what they say (`nets.Letters`) is added to the word's vector, and is not hidden with it.
    """

    def __init__(
        self, size: int, width: int, /, *, word_dropout: float = 0.0, limit: int = 0, letters: int = 0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.letters = Letters(width) if letters else None
        self.word_dropout, self.limit = word_dropout, limit

    def forward(self, value: Value) -> Value:
        """The tokens read, as vectors (B, T, width), always with a mask; T is at least 1, so that reading is safe."""
        value = self._cut(value)
        ids = value.data
        mask = ids.new_ones(ids.shape[:2], dtype=torch.bool) if value.mask is None else value.mask
        if ids.shape[1] == 0:  # a batch of empty rows gets a column of padding
            ids, mask = ids.new_zeros(ids.shape[0], 1, *ids.shape[2:]), mask.new_zeros(ids.shape[0], 1)
        words = ids if self.letters is None else ids[..., 0]
        x = self.embedding(words if words.dtype in (torch.int32, torch.int64) else words.long())
        if self.training and self.word_dropout:
            x = x.masked_fill(torch.rand(words.shape, device=ids.device)[..., None] < self.word_dropout, 0)
        if self.letters is not None:
            x = x + self.letters(ids[..., 1:])
        return Value(x, mask, value.observed, _padded(value.spans, ids.shape[1]), words)

    def _cut(self, value: Value) -> Value:
        if not self.limit:
            return value
        mask, spans = (None if t is None else t[:, : self.limit] for t in (value.mask, value.spans))
        return Value(value.data[:, : self.limit], mask, value.observed, spans)


def _padded(spans: Tensor | None, length: int) -> Tensor | None:
    if spans is None or spans.shape[1] == length:
        return spans
    return spans.new_zeros(spans.shape[0], length, spans.shape[2])


def _known(tokens: Value) -> Tensor | None:
    """Which tokens these are; -1 where a learned vector stands for a missing row."""
    if tokens.ids is None or tokens.observed is None:
        return tokens.ids
    return tokens.ids.long().masked_fill(~tokens.observed[:, None], -1)


class TokenViews(nn.Module):
    """Contextual tokens (B, T, width) as the views asked for, a learned vector standing for each missing row.

    pool: how tokens become a vector. dropout: on both views, the vector's after pooling.
    """

    def __init__(self, width: int, /, *, pool: PoolKind = "mean", dropout: float = 0.0) -> None:
        super().__init__()
        self.pool, self.missing, self.dropout = Pool(width, kind=pool), Missing(width), Dropout(dropout)

    def forward(self, tokens: Value, needs: frozenset[View], last: Tensor | None = None) -> Features:
        """tokens: with a mask. last: the vector (B, width) to use in place of the pool's, if there is one."""
        x, mask = tokens.data, tokens.mask
        features = Features(x.shape[0])  # len(x) would fix the number of rows in an export
        if "vector" in needs:
            vector = self.pool(x, mask) if last is None else last
            features.vector = self.missing(self.dropout(vector), tokens.observed)
        if "tokens" in needs:
            assert mask is not None  # TokenReader always gives one
            shown = self.missing.tokens(self.dropout(x), mask, tokens.observed)
            features.tokens = Value(*shown, tokens.observed, tokens.spans, _known(tokens))
        return features
