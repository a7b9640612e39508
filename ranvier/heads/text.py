"""A text, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.columns.text import END, HIDDEN, PAD, START
from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Value, View
from ranvier.core.spec import Spec
from ranvier.heads.output import check_share
from ranvier.nets.characters import Characters
from ranvier.nets.decoder import LookName
from ranvier.nets.generate import Manner, check_ways, checked, search, write
from ranvier.nets.pointer import Copying, Pointer
from ranvier.nets.writer import Writer, WriterName

Auto = Literal["auto"]
NEVER = (PAD, START, HIDDEN)  # tokens that no text holds
LONGEST, MOST = 256, 2_048  # tokens that are written at most where nothing is known, and where texts are long
STEP = 8_192  # tokens in the windows of a step
FEW, FEW_TOKENS = 4_000, 600  # rows; tokens of a vocabulary: of more of them a table holds too few triples
PIECE = 8_192  # tokens that are scored at once where nothing is learnt


class TextHead(Head):
    """The tokens of any inputs (B, S, width), or nothing, to a text, each token after those before it.

    decoder: what writes (`nets.Writer`). layer_width, depth, heads: its size. attention: of a recurrent one. dropout.
    copy: the input of texts whose tokens may be written again by pointing at them (`nets.Pointer`), its pieces being
    shared; "" = none. smoothing: share of the truth that is spread over all tokens in training (Szegedy et al. 2016).
    window: without inputs, texts are learnt in windows of so many tokens over all of them end to end, "auto" being 256,
    or 512 where more than one text in twenty is longer; 0 = each by itself. grams: the longest n-gram that is looked
    up and added to its last token (see `nets.Writer`); 0 = none.
    How texts are written: beam, temperature, top_k, top_p, min_p, repetition, no_repeat, longest (see
    `nets.generate.Manner`).
    The loss is in nats, its count the tokens, END among them. Raises PlanError.
    """

    needs: ClassVar[frozenset[View]] = frozenset({"tokens"})
    unconditional: ClassVar[bool] = True
    leads: ClassVar[bool] = True
    carries = ("decoder", "layer_width", "depth", "heads", "attention", "grams")

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        decoder: WriterName | Auto = "auto",
        layer_width: int | Auto = "auto",
        depth: int | Auto = "auto",
        heads: int | Auto = "auto",
        attention: LookName = "dot",
        copy: str | Auto = "auto",
        dropout: float | Auto = "auto",
        smoothing: float | Auto = "auto",
        window: int | Auto = "auto",
        grams: int | Auto = "auto",
        beam: int | Auto = "auto",
        temperature: float | Auto = "auto",
        top_k: int = 0,
        top_p: float | Auto = "auto",
        min_p: float = 0.0,
        repetition: float = 1.0,
        no_repeat: int | Auto = "auto",
        longest: int | Auto = "auto",
    ) -> None:
        super().__init__()
        if spec.kind != "tokens" or len(spec.shape) != 1 or spec.unit == "word":
            raise PlanError(f"the text head writes a column of texts, not one of kind {spec.kind!r}")
        if spec.tokenizer:
            raise PlanError(
                "the text head writes tokens learnt from the training rows, and this column has the tokenizer of a "
                "pretrained model, perhaps because it is an input as well: name another encoder for it"
            )
        given: dict[str, Any] = {
            "decoder": decoder,
            "layer_width": layer_width,
            "depth": depth,
            "heads": heads,
            "dropout": dropout,
            "copy": copy,
            "smoothing": smoothing,
            "window": window,
            "grams": grams,
            "beam": beam,
            "temperature": temperature,
            "top_p": top_p,
            "no_repeat": no_repeat,
            "longest": longest,
        }
        chosen = self.choose(spec, Facts(rows=10_000, inputs=int(width > 0), options=given))
        o: dict[str, Any] = {name: chosen[name][0] if value == "auto" else value for name, value in given.items()}
        check_share("smoothing", o["smoothing"])
        if width and o["window"]:
            raise PlanError(f"window = {o['window']}: texts that are written from inputs stand each by itself; 0")
        self.smoothing, self.window = o["smoothing"], o["window"]
        self.net = Writer(
            spec.size,
            o["layer_width"],
            kind=o["decoder"],
            depth=o["depth"],
            heads=o["heads"],
            attention=attention,
            dropout=o["dropout"],
            memory=width,
            grams=o["grams"],
        )
        self.copy = o["copy"]
        self.pointer = Pointer(o["layer_width"], width) if self.copy else None
        self.manner = checked(
            Manner(
                beam=o["beam"],
                temperature=o["temperature"],
                top_k=top_k,
                top_p=o["top_p"],
                min_p=min_p,
                repetition=repetition,
                no_repeat=o["no_repeat"],
                longest=o["longest"],
                never=NEVER,
            )
        )
        self.characters: Characters | None = None  # that are not torn; None = nothing is known of them

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        if spec.kind != "tokens" or spec.unit == "word":
            return 0.0, "the column holds no texts"
        if facts.given:
            return 0.4, "writes what it reads"
        return 1.0, "a text, token by token"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Size by the dial; texts from inputs by search, texts from nothing drawn."""
        width = {"s": 128, "m": 256, "l": 384}[facts.size]
        size, alone, grams = f"size {facts.size}", not facts.inputs, _grams(spec, facts)
        return {
            "decoder": ("transformer", "learns fastest"),
            "layer_width": (width, size),
            "depth": ({"s": 2, "m": 3, "l": 6}[facts.size] - bool(grams[0]), size),
            "heads": (
                (max(2, width // 128), "long windows want few heads") if alone else (width // 64, "64 features a head")
            ),
            "dropout": (0.1, "a little regularisation"),
            "copy": _to_copy(facts),
            "smoothing": ((0.0, "figures are of the language itself") if alone else (0.1, "searches do better by it")),
            "window": ((_window(facts), "no padding is learnt") if alone else (0, "each text has its own inputs")),
            "beam": ((1, "a drawn text is not searched for") if alone else (4, "four ways are followed")),
            "temperature": ((0.8, "drawn, a little surer than learnt") if alone else (0.0, "the likeliest text")),
            "grams": grams,
            "no_repeat": _no_repeat(facts),
            "longest": _longest(facts),
            "top_p": ((0.95, "without the least likely tokens") if alone else (1.0, "the likeliest text")),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Muon for Transformers on tokens or nothing, else AdamW; windows of as many tokens a step as keep it busy."""
        reason = "writes tokens"
        rows = f"{facts.rows:,} training rows"
        adamw: Choices = {"optimizer": ({"name": "adamw", "betas": [0.9, 0.98]}, reason), "rate": (1e-3, reason)}
        muon: Choices = {"optimizer": ("muon", "orthogonal steps learn a language in fewer"), "rate": (0.02, reason)}
        alike = facts.tells and facts.options.get("decoder", "transformer") == "transformer"
        few = bool(facts.inputs) and facts.rows < FEW  # ten passes of 64 hardly begin to learn them
        window = facts.options.get("window") or 0
        windows = STEP // (window if isinstance(window, int) and window else _window(facts))
        alone = (max(1, windows), "windows of some thousand tokens in all")
        return (muon if alike else adamw) | {
            "decay": (0.01, reason),
            "batch": ((32 if few else 64), rows) if facts.inputs else alone,
            "epochs": (20 if few else 10, rows),
            "schedule": ({"name": "linear", "warmup": 0.1, "final": 0.0}, "attention diverges without warm-up"),
            "clip": (1.0, "steadies the first steps"),
            "precision": ("bf16", "products are faster in bf16"),
            "keep": ("best", "small sets overfit before the last epoch"),
        }

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any], *, target: bool) -> Choices:
        """Capitals, which are to be written; of a text in windows all; the pieces of what is copied from."""
        if kind != "text":
            return {}
        liked: Choices = {"lowercase": (False, "what is written keeps its capitals")}
        if target and options.get("window"):
            liked["length"] = (0, "windows cut texts, and lose nothing")
        if target and options.get("copy", "auto") not in ("", "auto"):
            liked["like"] = (options["copy"], "its tokens may be copied")
        return liked

    def count(self, y: Value) -> Tensor:
        """(B,) how many tokens the row's loss is a sum over."""
        return _asked(y).sum(1).float()

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) -log p of each row's tokens, summed; smoothed in training only."""
        return self._nats(f, y, self.smoothing if self.training else 0.0)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"tokens": (B, T), "mask": (B, T), True before the END}. how: fields of `Manner`; generator."""
        first = torch.full((f.size, 1), START, device=next(self.parameters()).device)
        generator = how.pop("generator", None)
        manner = self._manner(how)
        if manner.beam > 1:
            return self.searched(f, first, None, how)
        return said(list(write(self._next, self._start(f), first, None, manner, END, generator)))

    def searched(self, f: Features, first: Tensor, mask: Tensor | None, how: Mapping[str, Any]) -> dict[str, Tensor]:
        """The most probable text after the first tokens (B, T), their padding before them, as `predict` gives it.

        With a window, as much as there is room for. Raises PlanError where there is none.
        """
        manner = self._manner(how)
        room = self.window - first.shape[1] if self.window else manner.longest
        if room < 1:
            raise PlanError(f"beam: a search reads {self.window} tokens at most, and the prompt has {first.shape[1]}")
        manner = replace(manner, longest=min(manner.longest, room))
        tokens, there = search(self._next, self._start(f), first, mask, manner, END)
        return {"tokens": tokens, "mask": there}

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """What figures are made of: {"nats", "count": (B,)}, and what is written if there are inputs."""
        written = self.predict(f, **how) if self.net.body.memory else {}
        return written | {"nats": self._nats(f, y, 0.0), "count": self.count(y)}

    def surprise(self, y: Value) -> tuple[Tensor, Tensor]:
        """(B, T - 1) -log p of each token but the first, without inputs; and which are to be foreseen."""
        return self._each(Features(len(y.data)), y, 0.0), _asked(y)

    def stream(
        self, f: Features, first: Tensor, mask: Tensor | None, how: Mapping[str, Any], generator: torch.Generator | None
    ) -> Iterator[Tensor]:
        """Tokens (B,) one after another, after the first ones (B, T), whose padding stands before (see `write`).

        With a window no more is read at once than it holds: when it is full, the network begins again with the last
        half of it.
        """
        manner = self._manner(how)
        room = self.window or manner.longest + first.shape[1]
        read, real = first, torch.ones_like(first, dtype=torch.bool) if mask is None else mask
        done, left = first.new_zeros(len(first), dtype=torch.bool), manner.longest
        while left > 0 and not bool(done.all()):
            if read.shape[1] >= room:
                read, real = read[:, -(room // 2) :], real[:, -(room // 2) :]
            now = replace(manner, longest=min(left, room - read.shape[1]))
            padding = None if bool(real.all()) else real
            fresh: list[Tensor] = []
            for token in write(self._next, self._start(f), read, padding, now, END, generator, done):
                fresh.append(token)
                yield token
            left -= len(fresh)
            done = fresh[-1] == END  # a row that has ended goes on with END
            read = torch.cat([read, torch.stack(fresh, 1)], 1)
            real = F.pad(real, (0, len(fresh)), value=True)

    # ---- small parts

    def _manner(self, how: Mapping[str, Any]) -> Manner:
        check_ways(how)
        return replace(self.manner, whole=self.characters, **how)

    def _memory(self, f: Features) -> tuple[Tensor | None, Tensor | None]:
        if not self.net.body.memory:
            return None, None
        if f.tokens is None:
            raise PlanError("the text head reads the view 'tokens', which the features do not have")
        return f.tokens.data, f.tokens.mask

    def _start(self, f: Features) -> Any:
        place = self.net.start(*self._memory(f), rows=f.size)
        return place if self.pointer is None else Copying(place, *self._source(f, self.pointer))

    def _next(self, tokens: Tensor, place: Any, mask: Tensor | None) -> Tensor:
        """(B, V) scores of the token after these."""
        if self.pointer is None:
            return self.net.next(tokens, place, mask)
        hidden = self.net.read(tokens, place.place, mask)
        log_p = self.net.scores(hidden).float().log_softmax(1)
        h, p = (part.unflatten(0, (len(place.keys), -1)) for part in (hidden, log_p))  # together, if of one memory
        return self.pointer.spread(h, p, place.keys, place.mask, place.read).flatten(0, 1)

    def _source(self, f: Features, pointer: Pointer) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, mask and tokens of what may be copied from. Raises PlanError where they are not given."""
        memory, mask = self._memory(f)
        assert memory is not None
        assert mask is not None
        parts = {name: part.as_tokens() for name, part in f.parts.items()}
        if self.copy not in parts or parts[self.copy].ids is None:
            told = "name an input of texts whose encoder tells its tokens, or '' for none"
            raise PlanError(f"copy = {self.copy!r}: {told}")
        own = [
            p.ids if name == self.copy else p.data.new_full(p.data.shape[:2], -1).long() for name, p in parts.items()
        ]
        return pointer.key(memory), mask, torch.cat([ids.long() for ids in own if ids is not None], 1)

    def _nats(self, f: Features, y: Value, smoothing: float) -> Tensor:
        return self._each(f, y, smoothing).sum(1)

    def _each(self, f: Features, y: Value, smoothing: float) -> Tensor:
        """(B, T - 1) each token's loss. Only the real ones are scored, so that padding costs no product."""
        hidden = self.net.hidden(y.data[:, :-1], *self._memory(f))
        asked, truth = _asked(y), y.data[:, 1:]
        parts = [hidden[asked], truth[asked]]
        if self.pointer is not None:
            parts.append(self.pointer.chances(hidden, *self._source(f, self.pointer), truth)[asked])
        if torch.is_grad_enabled():
            each = self._losses(smoothing, *parts)
        else:
            pieces = zip(*(part.split(PIECE) for part in parts), strict=True)
            each = torch.cat([self._losses(smoothing, *piece) for piece in pieces])
        return each.new_zeros(truth.shape).masked_scatter(asked, each)

    def _losses(self, smoothing: float, hidden: Tensor, truth: Tensor, copied: Tensor | None = None) -> Tensor:
        """(N,) the loss of tokens, each by itself. hidden (N, D); copied: their chances by copying alone."""
        scores = self.net.scores(hidden).float()
        if self.pointer is None or copied is None:
            return F.cross_entropy(scores, truth, reduction="none", label_smoothing=smoothing)
        log_p = scores.log_softmax(1)
        right = self.pointer.mixed(hidden, log_p.gather(1, truth[:, None])[:, 0], copied)
        return -(1 - smoothing) * right - (smoothing * log_p.mean(1) if smoothing else 0.0)


def _longest(facts: Facts) -> tuple[int, str]:
    """Tokens of a text at most: as many as the longest has, and some more; of a language alone a screenful at least."""
    if not facts.longest:
        return LONGEST, "a screenful"
    most = min(MOST, 8 + facts.longest * 5 // 4)
    return max(most, 0 if facts.inputs else LONGEST), f"{facts.longest:,} tokens are the most in a sample of the rows"


def _no_repeat(facts: Facts) -> tuple[int, str]:
    """How many tokens may not be said again: as many as true texts do not, for a search falls into loops."""
    if not facts.inputs or not facts.repeats:
        return 0, "what is drawn hardly loops" if not facts.inputs else "true texts say long runs again"
    return facts.repeats, f"99 of 100 true texts have no {facts.repeats} tokens twice"


def _grams(spec: Spec, facts: Facts) -> tuple[int, str]:
    """The longest n-gram to look up; what is asked for, if anything is."""
    if (asked := facts.options.get("grams", "auto")) != "auto":
        return asked, "as asked"
    if facts.inputs or facts.options.get("decoder", "auto") not in ("auto", "transformer"):
        return 0, "measured for Transformers without inputs only"
    return 3 if spec.size < FEW_TOKENS else 2, "learns faster than a block as large, without products"


def _to_copy(facts: Facts) -> tuple[str, str]:
    """The input to copy from: the longest text."""
    if not facts.characters:
        return "", "no input is a text"
    longest = max(facts.characters, key=lambda name: facts.characters[name])
    return longest, "what is written may name what is read" + (
        ", the longest text" if len(facts.characters) > 1 else ""
    )


def _window(facts: Facts) -> int:
    """Tokens of a window that holds most texts whole."""
    return 256 if facts.length <= 256 else 512


def said(written: list[Tensor]) -> dict[str, Tensor]:
    """Tokens (B,) one after another, one at least, as {"tokens": (B, T), "mask": (B, T), True before the END}."""
    tokens = torch.stack(written, 1)
    return {"tokens": tokens, "mask": (tokens == END).cumsum(1) == 0}


def _asked(y: Value) -> Tensor:
    """(B, T - 1) which tokens after the first are to be foreseen: all but padding and START."""
    assert y.mask is not None
    return y.mask[:, 1:] & (y.data[:, 1:] != START)
