"""Hidden tokens of a text, from those around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Value, View
from ranvier.core.spec import Spec

STD = 0.02  # of the vectors of a table that names tokens as well
VOCABULARY = 8_192  # tokens of a text, at most
PIECE = 8_192  # tokens that are scored at once where nothing is learnt


class MaskedHead(Head):
    """Tokens (B, T, width) to what the hidden ones are: softmax(E g(x) + b), g = LayerNorm(GELU(W x + c)).

    E is the encoder's own table of tokens, where it has one: the matrix that reads also names. share: of a row's
    tokens, how many are hidden (`feed/hide.py`); Devlin et al. 2019 hid 0.15, and more teaches more in a pass. y: the
    tokens (B, T), with a mask (B, T) of those hidden. The loss is in nats, its count the hidden tokens.
    Source: Devlin, Chang, Lee & Toutanova 2019, "BERT", NAACL, sec. 3.1 and A.2. Raises PlanError.
    """

    needs: ClassVar[frozenset[View]] = frozenset({"tokens"})
    itself: ClassVar[Literal["", "hidden", "view"]] = "hidden"
    leads: ClassVar[bool] = True

    def __init__(self, spec: Spec, width: int, target_encoder: Encoder | None = None, /, *, share: float = 0.3) -> None:
        super().__init__()
        if spec.kind != "tokens":
            raise PlanError(f"the masked head restores a column of texts or words, not one of kind {spec.kind!r}")
        if not 0 < share < 1:
            raise PlanError(f"share = {share} must be above 0 and below 1")
        table = None if target_encoder is None else target_encoder.vocabulary()
        self.table = nn.Embedding(spec.size, width) if table is None else None
        if self.table is not None:
            nn.init.normal_(self.table.weight, std=width**-0.5)
        if table is not None:  # it has to learn more than it starts with: at the 0.1 of encoders it hardly changed
            nn.init.normal_(table.weight, std=STD)
        self._lent: tuple[nn.Embedding, ...] = () if table is None else (table,)  # the encoder's: saved, trained as its
        inner = width if table is None else table.embedding_dim
        self.lead = nn.Linear(width, inner)
        self.norm = nn.LayerNorm(inner)
        self.bias = nn.Parameter(torch.zeros(spec.size))

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The first choice for a text or words that are input and target at once."""
        if spec.kind != "tokens":
            return 0.0, "the column holds no texts or words"
        if spec.tokenizer:
            return 0.0, "the tokens of a pretrained model have no mark for a hidden one"
        if not facts.given:
            return 0.0, "it restores what is hidden of an input: name the column among the inputs too"
        if facts.inputs != 1 or facts.outputs != 1:
            return 0.0, "it restores a single text from itself"
        return 1.0, "hidden tokens are restored from those around them"

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Muon, and many passes, for each hides other tokens."""
        reason, rows = "restores hidden tokens", f"{facts.rows:,} training rows"
        return {
            "optimizer": ("muon", "orthogonal steps learn a language in fewer"),
            "rate": (0.02, reason),
            "decay": (0.01, reason),
            "batch": (64, rows),
            "epochs": (40 if facts.rows < 50_000 else 10, f"each pass hides other tokens; {rows}"),
            "schedule": ({"name": "linear", "warmup": 0.06, "final": 0.0}, "attention diverges without warm-up"),
            "clip": (1.0, "steadies the first steps"),
            "precision": ("bf16", "products are faster in bf16"),
            "keep": ("best", "the weights that did best on the validation rows"),
        }

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any], *, target: bool) -> Choices:
        """Tokens that are mostly whole words, which have a meaning to be told by what stands around them."""
        if kind != "text" or not target:
            return {}
        return {"vocabulary": (VOCABULARY, "tokens that are mostly words, which have a meaning to restore")}

    def count(self, y: Value) -> Tensor:
        """(B,) how many tokens the row's loss is a sum over."""
        assert y.mask is not None
        return y.mask.sum(1).float()

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) -log p of each row's hidden tokens, summed; no other token is scored."""
        rows, truth, asked = self._asked(f, y)
        if torch.is_grad_enabled():
            return _by_row(self._nats(self._scores(rows), truth), asked)
        pieces = zip(rows.split(PIECE), truth.split(PIECE), strict=True)
        return _by_row(torch.cat([self._nats(self._scores(some), own) for some, own in pieces]), asked)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"tokens": (B, T) the likeliest at each place, "mask": (B, T) True where there is a place}."""
        tokens = self._tokens(f)
        assert tokens.mask is not None
        best = torch.cat([self._scores(some).argmax(1) for some in tokens.data[tokens.mask].split(PIECE)])
        return {"tokens": best.new_zeros(tokens.mask.shape).masked_scatter(tokens.mask, best), "mask": tokens.mask}

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """What figures are made of: {"nats", "count", "right": (B,)}, of the hidden tokens."""
        rows, truth, asked = self._asked(f, y)
        nats, right = [], []
        for some, own in zip(rows.split(PIECE), truth.split(PIECE), strict=True):
            scores = self._scores(some)
            nats.append(self._nats(scores, own))
            right.append((scores.argmax(1) == own).float())
        return {
            "nats": _by_row(torch.cat(nats), asked),
            "count": self.count(y),
            "right": _by_row(torch.cat(right), asked),
        }

    # ---- small parts

    def _tokens(self, f: Features) -> Value:
        if f.tokens is None:
            raise PlanError("the masked head reads the view 'tokens', which the features do not have")
        return f.as_tokens()

    def _asked(self, f: Features, y: Value) -> tuple[Tensor, Tensor, Tensor]:
        """The hidden tokens' features (n, width) and what they are (n,); and which places these are (B, T)."""
        assert y.mask is not None
        return self._tokens(f).data[:, : y.mask.shape[1]][y.mask], y.data[y.mask], y.mask

    def _scores(self, x: Tensor) -> Tensor:
        """(n, width) to (n, V)."""
        table = self.table if self.table is not None else self._lent[0]
        return F.linear(self.norm(F.gelu(self.lead(x))), table.weight, self.bias)

    def _nats(self, scores: Tensor, truth: Tensor) -> Tensor:
        return F.cross_entropy(scores.float(), truth, reduction="none")


def _by_row(each: Tensor, asked: Tensor) -> Tensor:
    """What is told of each hidden token (n,), summed by row (B,)."""
    return each.new_zeros(asked.shape).masked_scatter(asked, each).sum(1)
