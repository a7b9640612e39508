"""Tokens, or squares of pictures, hidden from a network that is to restore them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ranvier.columns.text import HIDDEN
from ranvier.core.protocols import Batch, Value
from ranvier.core.rng import seed_of
from ranvier.feed import squares
from ranvier.feed.lots import fewest, mixed, right

SAME, OTHER = 0, 1  # of ten
_STEP = -7046029254386353131  # of splitmix64, as int64


class Hide:
    """Hides parts of inputs, and makes targets of them: tokens or pixels as they were, and a mask of those hidden.

    shares: by input, the share of a row's tokens that is hidden, rounded, and of a row with tokens one at least. Of ten
    that are asked for, eight give place to HIDDEN (the letters of a word to none), one to another token of its row
    (there: of the vocabulary), and one stays, so that a network has to be sure of what it reads, too (Devlin et al.
    2019, "BERT", sec. 3.1).
    limits: by input, how many tokens of a row its encoder reads, 0 = all; what stands beyond is cut. seed: each batch
    draws its own tokens, a pure function of (seed, k); None: each text itself says which, the same ones in whatever
    batch it comes, so that figures can be compared. sides: of inputs that are pictures, pixels to a side
    of the squares of which the share is hidden (`feed/squares.py`).
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        limits: Mapping[str, int],
        seed: int | None,
        sides: Mapping[str, int] | None = None,
    ) -> None:
        self.shares, self.limits, self.seed, self.sides = dict(shares), dict(limits), seed, dict(sides or {})

    def __call__(self, batch: Batch, step: int) -> Batch:
        """The batch with tokens of inputs, (B, T) or with letters (B, T, 1 + L), hidden, and with their targets."""
        inputs, targets = dict(batch.inputs), dict(batch.targets)
        for name, share in self.shares.items():
            if name in self.sides:
                inputs[name], targets[name] = self._covered(batch.inputs[name], name, share, step)
                continue
            value = _cut(batch.inputs[name], self.limits.get(name, 0))
            words = value.data if value.data.ndim == 2 else value.data[..., 0]
            mask = torch.ones_like(words, dtype=torch.bool) if value.mask is None else value.mask
            lots = self._lots(name, words, mask, step)
            asked = fewest(lots, mask, share)
            inputs[name] = replace(value, data=_hidden(value.data, asked, mask, mixed(lots)))
            targets[name] = Value(words, asked, value.observed)
        return replace(batch, inputs=inputs, targets=targets)

    def _lots(self, name: str, words: Tensor, mask: Tensor, step: int) -> Tensor:
        """(B, T) int64, one for each token."""
        return _of_the_text(words, mask) if self.seed is None else self._drawn(name, step, words.shape, words.device)

    def _covered(self, value: Value, name: str, share: float, step: int) -> tuple[Value, Value]:
        """The pictures with squares hidden, and as they were."""
        x, side = value.data, self.sides[name]
        count = math.prod(squares.places(x, side))
        lots = (
            squares.of_the_picture(x, count)
            if self.seed is None
            else self._drawn(name, step, torch.Size((len(x), count)), x.device)
        )
        hidden = squares.asked(x, lots, share, side)
        return replace(value, data=squares.covered(x, hidden)), Value(x, hidden, value.observed)

    def _drawn(self, name: str, step: int, shape: torch.Size, device: torch.device) -> Tensor:
        """Lots (B, ...) int64 of a training batch."""
        assert self.seed is not None
        generator = torch.Generator(device).manual_seed(seed_of(self.seed, "hide", name, step))
        return torch.randint(2**62, shape, generator=generator, device=device)


def _cut(value: Value, limit: int) -> Value:
    """The first tokens of each row."""
    if not limit or value.data.shape[1] <= limit:
        return value
    mask, spans = (None if t is None else t[:, :limit] for t in (value.mask, value.spans))
    return Value(value.data[:, :limit], mask, value.observed, spans)


def _hidden(data: Tensor, asked: Tensor, mask: Tensor, lots: Tensor) -> Tensor:
    """The tokens, those asked for (B, T) mostly HIDDEN; lots (B, T): which are another of the row, or stay."""
    blank = data.new_zeros(data.shape[2:]).fill_(HIDDEN)
    if data.ndim == 3:
        blank[1:] = 0
    place = right(mixed(lots), 1) % mask.sum(1, keepdim=True).clamp(min=1)
    share, wide = right(lots, 1) % 10, (*asked.shape, *data.shape[2:])
    given, others, asked = (t.view(*t.shape, *[1] * (data.ndim - 2)).expand(wide) for t in (share, place, asked))
    shown = torch.where(given == OTHER, data.gather(1, others), blank)
    return torch.where(asked & (given != SAME), shown, data)


def _of_the_text(words: Tensor, mask: Tensor) -> Tensor:
    """Lots (B, T) that hang on the row's own tokens and their places alone, not on padding nor other rows."""
    place = torch.arange(1, words.shape[1] + 1, device=words.device)
    text = ((words.long() + 1) * mask * mixed(place)).sum(1, keepdim=True)
    return mixed(text + place * _STEP)
