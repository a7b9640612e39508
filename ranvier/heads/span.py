"""An answer within a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.columns.span import NONE
from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Value, View
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.output import check_share, quiet
from ranvier.nets.attention import Attention, allowed_keys
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import masked_mean
from ranvier.nets.transformer import Transformer
from ranvier.ops.spans import best_span

Auto = Literal["auto"]
HEAD = 32  # features of a head of attention


class SpanHead(Head):
    """The tokens of a passage (B, T, width) to the first and the last token of the answer (Devlin et al. 2019, 4.2).

    of: the column of the passage, "" = the only input; "auto" = the only text among the inputs, or the longest.
    others: tokens of the passage look at those of the other inputs, such as the question; "auto" = if there are any.
    layer_width, depth: of the Transformer that looks, its width a multiple of 32. dropout: inside it and on what it
    gives. longest: tokens of an answer at most. "No answer" is one more place, scored by the mean of the tokens. The
    loss is -log p(start) - log p(end), in nats, its count 1 a row; an answer of which no token is read adds none. Where
    tokens have no spans, places are counted in tokens.
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
        others: bool | Auto = "auto",
        layer_width: int | Auto = "auto",
        depth: int = 2,
        dropout: float = 0.1,
        longest: int = 64,
    ) -> None:
        super().__init__()
        if spec.kind != "span":
            raise PlanError(f"the span head needs a column of kind 'span', not {spec.kind!r}")
        check_share("dropout", dropout)
        inner = 128 if layer_width == "auto" else layer_width
        if inner < HEAD or inner % HEAD or depth < 1 or longest < 1:
            least = f"layer_width = {inner}, depth = {depth}, longest = {longest}"
            raise PlanError(f"{least}: a multiple of {HEAD}, and the others at least 1")
        self.column, self.longest = "" if of == "auto" else of, longest
        self.others = False if others == "auto" else others
        self.enter = nn.Linear(width, inner)
        self.ask = Ask(inner) if self.others else None
        self.look = Transformer(inner, depth=depth, heads=inner // HEAD, dropout=dropout)
        self.dropout, self.out, self.none = Dropout(dropout), quiet(inner, 2), quiet(inner, 2)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "an answer within a text") if spec.kind == "span" else (0.0, "the column holds no answers")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Raises PlanError if no input is a text."""
        more = facts.inputs - 1
        return {
            "of": _passage(facts),
            "others": (more > 0, f"{more} more to read" if more > 0 else "there is no other input"),
            "layer_width": ({"s": 64, "m": 128, "l": 256}[facts.size], f"size {facts.size}"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW with warm-up, which attention needs."""
        reason, rows = "looks from text to text", f"{facts.rows:,} training rows"
        return {
            "optimizer": ({"name": "adamw", "betas": [0.9, 0.98]}, reason),
            "rate": (8e-4, reason),
            "decay": (0.01, reason),
            "batch": (32, rows),
            "epochs": (30 if facts.rows < 5_000 else 12 if facts.rows < 50_000 else 4, rows),
            "schedule": ({"name": "linear", "warmup": 0.1, "final": 0.0}, "attention diverges without warm-up"),
            "clip": (1.0, "steadies the first steps"),
            "keep": ("best", "small sets overfit before the last epoch"),
        }

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any], *, target: bool) -> Choices:
        """Where each token stands in its text, and in scripts without spaces no token of several characters."""
        if kind != "text" or target:
            return {}
        return {"spans": (True, "answers are told in characters"), "apart": (True, "answers may end at any character")}

    def refuses(self, truth: Encoded) -> str:
        """Where rows have no answers at all, most likely another text is meant."""
        if (truth.data[truth.observed] >= 0).any() or not len(truth):
            return ""
        where = f" that is within what is read of {self.column!r}" if self.column else ""
        return f"no row has an answer{where}; name the column that they stand in as the head's `of`"

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) -log p of the answer's first and last token, or of there being none."""
        scores, real, spans = self._scores(f)
        covers = real & (spans[..., 0] < y.data[:, 1:]) & (spans[..., 1] > y.data[:, :1])
        none = y.data[:, 0] < 0
        places = torch.where(none[:, None], 0, _ends(covers) + 1)  # the first place is "no answer"
        each = -scores.log_softmax(1).gather(1, places[:, None])[:, 0].sum(1)
        return torch.where(none | covers.any(1), each, 0.0)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"start", "end": (B,) in characters, -1 for no answer, "confidence": (B,) of both places together}."""
        scores, real, spans = self._scores(f)
        logs = scores.log_softmax(1)
        none = logs[:, 0].sum(1)
        first, last, score = best_span(logs[:, 1:, 0], logs[:, 1:, 1], real, self.longest)
        there = score > none
        if spans.shape[1]:
            start = spans[..., 0].gather(1, first[:, None])[:, 0]
            end = spans[..., 1].gather(1, last[:, None])[:, 0]
        else:
            start = end = first
        start, end = (torch.where(there, place.long(), NONE) for place in (start, end))
        return {"start": start, "end": end, "confidence": torch.where(there, score, none).exp()}

    # ---- small parts

    def _scores(self, f: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of start and end (B, 1 + T, 2), "no answer" first; which tokens count (B, T); and their spans."""
        x, own, others = self._blocks(f)
        assert own.mask is not None
        mask = own.mask if own.observed is None else own.mask & own.observed[:, None]
        x = self.enter(x)
        if self.ask is not None and others is not None:
            x = self.ask(x, self.enter(others.data), others.mask)
        x = self.dropout(self.look(x, own.mask))
        scores = torch.cat([self.none(masked_mean(x, own.mask))[:, None], self.out(x)], 1).float()
        place = torch.arange(mask.shape[1], device=mask.device)
        spans = torch.stack([place, place + 1], 1).expand(len(mask), -1, -1) if own.spans is None else own.spans
        real = mask & (spans[..., 1] > spans[..., 0])  # white space is no token to begin or end with
        able = torch.cat([real.new_ones(len(real), 1), real], 1)
        return scores.masked_fill(~able[..., None], torch.finfo(scores.dtype).min), real, spans

    def _blocks(self, f: Features) -> tuple[Tensor, Value, Value | None]:
        """The passage's features among the fused tokens (B, T, width), its own tokens, and the others' if looked at.

        Fused tokens of several inputs follow one another, each at its own place of the width (see `encoders.fuse`).
        """
        if f.tokens is None:
            raise PlanError("the span head reads the view 'tokens', which the features do not have")
        if not self.column or len(f.parts) < 2:
            own = f.parts.get(self.column, f).as_tokens()
            if self.others:
                raise PlanError("others = True: the passage is the only input; leave it out")
            return f.tokens.data, own, None
        if self.column not in f.parts:
            raise PlanError(f"of = {self.column!r} is no input; one of {', '.join(map(repr, f.parts))}")
        each = {name: part.as_tokens() for name, part in f.parts.items()}
        sizes = [one.data.shape[1] for one in each.values()]
        blocks = dict(zip(each, f.tokens.data.split(sizes, 1), strict=True))
        if not self.others:
            return blocks[self.column], each[self.column], None
        rest = [name for name in each if name != self.column]
        seen = torch.cat([blocks[name] for name in rest], 1)
        masks = [mask for name in rest if (mask := each[name].mask) is not None]
        return blocks[self.column], each[self.column], Value(seen, torch.cat(masks, 1))


class Ask(nn.Module):
    """What each token of a passage x (B, T, width) finds in a question q (B, S, width), with its mask (B, S).

    a = attention(x over q), then W [x; a; x * a] (Seo et al., "Bidirectional Attention Flow", ICLR 2017, eq. 4, from
    passage to question): the product tells at once what both have in common, before attention has learnt where to look.
    """

    def __init__(self, width: int, /) -> None:
        super().__init__()
        self.norm, self.asked = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, width // HEAD, memory=width)
        self.meet = nn.Linear(3 * width, width)

    def forward(self, x: Tensor, q: Tensor, mask: Tensor | None) -> Tensor:
        x, q = self.norm(x), self.asked(q)
        found = self.attention(x, None if mask is None else allowed_keys(mask), memory=q)
        return self.meet(torch.cat([x, found, x * found], -1))


def _ends(covers: Tensor) -> Tensor:
    """(B, 2) the first and the last True of each row (B, T); -1 in a row without any."""
    place = torch.arange(covers.shape[1], device=covers.device)
    there = F.pad(torch.where(covers, place, -1), (1, 0), value=-1)
    first = F.pad(torch.where(covers, place, covers.shape[1]), (1, 0), value=covers.shape[1]).amin(1)
    return torch.stack([torch.where(covers.any(1), first, -1), there.amax(1)], 1)


def _passage(facts: Facts) -> tuple[str, str]:
    """The text that answers stand in, and why; "" where no inputs are known. Raises PlanError if there is none."""
    texts = list(facts.characters)
    if not facts.units:
        return "", "the only input"
    if not texts:
        raise PlanError(
            "head 'span' finds answers within a text that is an input; there is none: name a column of type 'text' "
            "among the inputs"
        )
    if len(texts) == 1:
        return texts[0], "the only text among the inputs"
    longest = max(texts, key=lambda name: facts.characters[name])
    return longest, f"the longest text among the inputs, {facts.characters[longest]:,} characters"
