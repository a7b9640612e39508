"""A text, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
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
from ranvier.nets.decoder import LookName
from ranvier.nets.generate import Manner, search, write
from ranvier.nets.writer import Writer, WriterName

Auto = Literal["auto"]
NEVER = (PAD, START, HIDDEN)  # tokens that no text holds
FEW = 4_000  # rows
PIECE = 8_192  # tokens that are scored at once where nothing is learnt


class TextHead(Head):
    """The tokens of any inputs (B, S, width), or nothing, to a text, each token after those before it.

    decoder: what writes (`nets.Writer`). layer_width, depth, heads: its size. attention: of a recurrent one. dropout.
    smoothing: share of the truth that is spread over all tokens in training (Szegedy et al. 2016). window: without
    inputs, texts are learnt in windows of so many tokens over all of them end to end; 0 = each by itself. "auto": 256,
    or 512 where more than one text in twenty is longer.
    How texts are written: beam, temperature, top_k, top_p, repetition, no_repeat, longest (see `nets.generate.Manner`).
    The loss is in nats, its count the tokens, END among them. Raises PlanError.
    """

    needs: ClassVar[frozenset[View]] = frozenset({"tokens"})
    unconditional: ClassVar[bool] = True

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
        dropout: float | Auto = "auto",
        smoothing: float | Auto = "auto",
        window: int | Auto = "auto",
        beam: int | Auto = "auto",
        temperature: float | Auto = "auto",
        top_k: int = 0,
        top_p: float | Auto = "auto",
        repetition: float = 1.0,
        no_repeat: int = 0,
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
        facts = Facts(rows=10_000, inputs=int(width > 0))
        given = {"decoder": decoder, "layer_width": layer_width, "depth": depth, "heads": heads, "dropout": dropout}
        given |= {"smoothing": smoothing, "window": window, "beam": beam, "temperature": temperature, "top_p": top_p}
        given["longest"] = longest
        chosen = self.choose(spec, facts)
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
        )
        self.manner = checked(
            Manner(
                beam=o["beam"],
                temperature=o["temperature"],
                top_k=top_k,
                top_p=o["top_p"],
                repetition=repetition,
                no_repeat=no_repeat,
                longest=o["longest"],
                never=NEVER,
            )
        )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        if spec.kind != "tokens" or spec.unit == "word":
            return 0.0, "the column holds no texts"
        return 1.0, "a text, token by token"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Size by the dial; texts from inputs by search, texts from nothing drawn."""
        width = {"s": 128, "m": 256, "l": 384}[facts.size]
        read = any(unit in ("char", "word") for unit in facts.units.values())  # then lengths may be those of inputs
        size, alone = f"size {facts.size}", not facts.inputs
        return {
            "decoder": ("transformer", "learns fastest"),
            "layer_width": (width, size),
            "depth": ({"s": 2, "m": 3, "l": 6}[facts.size], size),
            "heads": (width // 64, "64 features a head"),
            "dropout": (0.1, "a little regularisation"),
            "smoothing": ((0.0, "figures are of the language itself") if alone else (0.1, "searches do better by it")),
            "window": ((_window(facts), "no padding is learnt") if alone else (0, "each text has its own inputs")),
            "beam": ((1, "a drawn text is not searched for") if alone else (4, "four ways are followed")),
            "temperature": ((0.8, "drawn, a little surer than learnt") if alone else (0.0, "the likeliest text")),
            "top_p": ((0.95, "without the least likely tokens") if alone else (1.0, "the likeliest text")),
            "longest": (max(256, 0 if read else 2 * facts.length), "256, or twice what one text in twenty exceeds"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Muon for a language alone, beside encoders AdamW; as many tokens a step as keep the processor busy."""
        reason = "writes tokens"
        rows = f"{facts.rows:,} training rows"
        adamw: Choices = {"optimizer": ({"name": "adamw", "betas": [0.9, 0.98]}, reason), "rate": (1e-3, reason)}
        muon: Choices = {"optimizer": ("muon", "orthogonal steps learn a language in fewer"), "rate": (0.02, reason)}
        windows = (32 * 256 // _window(facts), "windows of some thousand tokens in all")
        few = bool(facts.inputs) and facts.rows < FEW  # ten passes of 64 hardly begin to learn them
        return (adamw if facts.inputs else muon) | {
            "decay": (0.01, reason),
            "batch": windows if not facts.inputs else ((32 if few else 64), rows),
            "epochs": (20 if few else 10, rows),
            "schedule": ({"name": "linear", "warmup": 0.1, "final": 0.0}, "attention diverges without warm-up"),
            "clip": (1.0, "steadies the first steps"),
            "precision": ("bf16", "products are faster in bf16"),
            "keep": ("best", "small sets overfit before the last epoch"),
        }

    @classmethod
    def prefers(cls, kind: str, options: Mapping[str, Any], *, target: bool) -> Choices:
        """Capitals, which are to be written; and of a text in windows all."""
        if kind != "text":
            return {}
        whole: Choices = {"length": (0, "windows cut texts, and lose nothing")}
        return {"lowercase": (False, "what is written keeps its capitals")} | (
            whole if target and options.get("window") else {}
        )

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
            tokens, mask = search(self.net.next, self._start(f), first, None, manner, END)
            return {"tokens": tokens, "mask": mask}
        return said(list(write(self.net.next, self._start(f), first, None, manner, END, generator)))

    def judged(self, f: Features, y: Value) -> dict[str, Tensor]:
        """What figures are made of: {"nats", "count": (B,)}, and what is written if there are inputs."""
        written = self.predict(f) if self.net.body.memory else {}
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
            for token in write(self.net.next, self._start(f), read, padding, now, END, generator, done):
                fresh.append(token)
                yield token
            left -= len(fresh)
            done = fresh[-1] == END  # a row that has ended goes on with END
            read = torch.cat([read, torch.stack(fresh, 1)], 1)
            real = F.pad(real, (0, len(fresh)), value=True)

    # ---- small parts

    def _manner(self, how: Mapping[str, Any]) -> Manner:
        return checked(replace(self.manner, **how)) if how else self.manner

    def _memory(self, f: Features) -> tuple[Tensor | None, Tensor | None]:
        if not self.net.body.memory:
            return None, None
        if f.tokens is None:
            raise PlanError("the text head reads the view 'tokens', which the features do not have")
        return f.tokens.data, f.tokens.mask

    def _start(self, f: Features) -> Any:
        return self.net.start(*self._memory(f), rows=f.size)

    def _nats(self, f: Features, y: Value, smoothing: float) -> Tensor:
        return self._each(f, y, smoothing).sum(1)

    def _each(self, f: Features, y: Value, smoothing: float) -> Tensor:
        """(B, T - 1) each token's loss. Only the real ones are scored, so that padding costs no product."""
        hidden = self.net.hidden(y.data[:, :-1], *self._memory(f))
        asked, truth = _asked(y), y.data[:, 1:]
        rows, right = hidden[asked], truth[asked]
        nats = partial(F.cross_entropy, reduction="none", label_smoothing=smoothing)
        if torch.is_grad_enabled():
            each = nats(self.net.scores(rows).float(), right)
        else:
            pieces = zip(rows.split(PIECE), right.split(PIECE), strict=True)
            each = torch.cat([nats(self.net.scores(some).float(), own) for some, own in pieces])
        return each.new_zeros(truth.shape).masked_scatter(asked, each)


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


def checked(manner: Manner) -> Manner:
    """The manner. Raises PlanError for one that no text can be written in."""
    for name, least in (("beam", 1), ("temperature", 0), ("top_k", 0), ("no_repeat", 0), ("longest", 1)):
        if getattr(manner, name) < least:
            raise PlanError(f"{name} = {getattr(manner, name)}: at least {least}")
    if not 0 < manner.top_p <= 1:
        raise PlanError(f"top_p = {manner.top_p} must be above 0 and at most 1")
    if manner.repetition <= 0:
        raise PlanError(f"repetition = {manner.repetition} must be above 0; 1 = no penalty")
    return manner
