"""A tag for every word."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value, View
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.output import check_share, quiet, reference
from ranvier.nets.crf import CRF
from ranvier.nets.dropout import Dropout
from ranvier.ops.tagging import Tagging, may_follow


class TagsHead(Head):
    """The tokens of a column of words (B, T, D) to a label for each word.

    A word's features are those of its first token, by the tokens' spans, so that encoders may divide words. of: the
    column of words, "" = the only input. crf: labels see their neighbours (`ranvier.nets.CRF`), and the best sequence
    as a whole is predicted; else each word's label is a softmax of its own. constrained: labels of the scheme IOB2
    stand only where they may, if crf. dropout: on the features. The loss is in nats, its count the words. A label that
    training never saw teaches nothing: with a softmax its word is left out, with the CRF its row.
    """

    needs: ClassVar[frozenset[View]] = frozenset({"tokens"})

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        of: str = "auto",
        crf: bool = True,
        constrained: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "tags" or spec.size < 1:
            raise PlanError(f"the tags head needs a column of kind 'tags' with labels, not {spec.kind!r}")
        check_share("dropout", dropout)
        self.column, self.labels = "" if of == "auto" else of, spec.labels
        self.dropout, self.out = Dropout(dropout), quiet(width, spec.size)
        first, follows = may_follow(spec.labels) if constrained else (None, None)
        self.crf = CRF(spec.size, first=first, follows=follows) if crf else None

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "a label for each word") if spec.kind == "tags" else (0.0, "the column holds no tags")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        return {"of": reference("tags", "word", facts)}

    def refuses(self, truth: Encoded) -> str:
        if self.crf is None or self.crf.first is None or self.crf.follows is None or not len(truth.data):
            return ""
        barred = np.pad(~self.crf.follows.cpu().numpy(), (0, 1))  # a label not seen in training may be anywhere
        breaks = np.concatenate([[False], barred[truth.data[:-1], truth.data[1:]]])
        begins = truth.bounds[:-1][np.diff(truth.bounds) > 0]
        breaks[begins] = np.pad(~self.crf.first.cpu().numpy(), (0, 1))[truth.data[begins]]
        if not breaks.any():
            return ""
        place = int(breaks.argmax())
        row = int(np.searchsorted(truth.bounds, place, "right")) - 1
        names = [*self.labels, "a label not seen in training"]
        before = "at its beginning" if place in begins else f"after {names[truth.data[place - 1]]}"
        return (
            f"row {row_number(row)} has {names[truth.data[place]]} {before}, where IOB2 has none "
            f"({int(breaks.sum()):,} such words); repair it, or set the head's constrained = False"
        )

    def count(self, y: Value) -> Tensor:
        """(B,) how many words the row's loss is a sum over."""
        return self._taught(y).sum(1).float()

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) -log p of each row's labels, summed over its words."""
        scores, mask = self._scores(f)
        both = min(scores.shape[1], y.data.shape[1])  # the column of words cuts long rows
        scores, truth = scores[:, :both].float(), y.data[:, :both].clamp_max(len(self.labels) - 1)
        known = self._taught(y)[:, :both] & mask[:, :both]
        if self.crf is not None:
            return self.crf(scores, truth, known)
        return F.cross_entropy(scores.mT, truth, reduction="none").masked_fill(~known, 0).sum(1)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"tags": (B, T), "confidence": (B, T) of each word's tag, "mask": (B, T) True where there is a word}."""
        scores, mask = self._scores(f)
        scores = scores.float()
        if self.crf is None:
            probs = scores.softmax(2)
            sure, tags = probs.max(2)
            return {"tags": tags, "confidence": sure, "mask": mask}
        tags, probs = self.crf.best(scores, mask), self.crf.marginals(scores, mask)
        return {"tags": tags, "confidence": probs.gather(2, tags[..., None])[..., 0], "mask": mask}

    def metrics(self) -> Metrics:
        return Tagging(self.labels)

    def _taught(self, y: Value) -> Tensor:
        """(B, T) words whose label is known; none in a row with an unknown one, if labels see one another."""
        assert y.mask is not None
        known = y.mask & (y.data < len(self.labels))
        return known if self.crf is None else known & (known == y.mask).all(1, keepdim=True)

    def _scores(self, f: Features) -> tuple[Tensor, Tensor]:
        """Each word's score of each label (B, W, C), and which words there are (B, W)."""
        tokens = (f.parts[self.column] if self.column else f).tokens
        if tokens is None or tokens.mask is None:
            raise PlanError(
                "tags need the tokens of the column of words; choose an encoder that gives them, such as lstm"
            )
        x, mask = tokens.data, tokens.mask
        if tokens.observed is not None:  # a vector stands there for a missing row, which has no words
            mask = mask & tokens.observed[:, None]
        if tokens.spans is not None:
            x, mask = first_of_words(x, mask, tokens.spans)
        return self.out(self.dropout(x)), mask


def first_of_words(x: Tensor, mask: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (B, T, D) as words (B, W, D), each its first token, and their mask (B, W).

    spans: (B, T, 2) of each token the number of its word and of the next, in order and without gaps; the same number
    twice of a token that belongs to no word.
    """
    if not x.shape[1]:
        return x, mask
    real = mask & (spans[..., 1] > spans[..., 0])
    fresh = real.clone()
    fresh[:, 1:] &= (spans[:, 1:, 0] != spans[:, :-1, 0]) | ~real[:, :-1]
    words = fresh.sum(1)
    there = torch.arange(int(words.max()) if len(words) else 0, device=x.device) < words[:, None]
    place = fresh.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : there.shape[1]]
    return x.gather(1, place[..., None].expand(-1, -1, x.shape[2])), there
