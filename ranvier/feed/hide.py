"""Tokens hidden from a network that is to restore them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ranvier.columns.text import HIDDEN
from ranvier.core.protocols import Batch, Value
from ranvier.core.rng import seed_of

SAME, OTHER = 0, 1  # of ten
_STEP, _ONE, _OTHER = -7046029254386353131, -4658895280553007687, -7723592293110705685  # of splitmix64, as int64


class Hide:
    """Hides some tokens of inputs, and makes targets of them: the tokens as they were, and a mask of those hidden.

    shares: by input, the share of a row's tokens that is hidden, rounded, and of a row with tokens one at least. Of ten
    that are asked for, eight give place to HIDDEN (the letters of a word to none), one to another token of its row
    (there: of the vocabulary), and one stays, so that a network has to be sure of what it reads, too (Devlin et al.
    2019, "BERT", sec. 3.1).
    limits: by input, how many tokens of a row its encoder reads, 0 = all; what stands beyond is cut. seed: each batch
    draws its own tokens, a pure function of (seed, k); None: each text itself says which, the same ones in whatever
    batch it comes, so that figures can be compared.
    """

    def __init__(self, shares: Mapping[str, float], limits: Mapping[str, int], seed: int | None) -> None:
        self.shares, self.limits, self.seed = dict(shares), dict(limits), seed

    def __call__(self, batch: Batch, step: int) -> Batch:
        """The batch with tokens of inputs, (B, T) or with letters (B, T, 1 + L), hidden, and with their targets."""
        inputs, targets = dict(batch.inputs), dict(batch.targets)
        for name, share in self.shares.items():
            value = _cut(batch.inputs[name], self.limits.get(name, 0))
            words = value.data if value.data.ndim == 2 else value.data[..., 0]
            mask = torch.ones_like(words, dtype=torch.bool) if value.mask is None else value.mask
            lots = self._lots(name, words, mask, step)
            asked = _fewest(lots, mask, share)
            inputs[name] = replace(value, data=_hidden(value.data, asked, mask, _mixed(lots)))
            targets[name] = Value(words, asked, value.observed)
        return replace(batch, inputs=inputs, targets=targets)

    def _lots(self, name: str, words: Tensor, mask: Tensor, step: int) -> Tensor:
        """(B, T) int64, one for each token."""
        if self.seed is None:
            return _of_the_text(words, mask)
        generator = torch.Generator(words.device).manual_seed(seed_of(self.seed, "hide", name, step))
        return torch.randint(2**62, words.shape, generator=generator, device=words.device)


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
    place = _right(_mixed(lots), 1) % mask.sum(1, keepdim=True).clamp(min=1)
    share, wide = _right(lots, 1) % 10, (*asked.shape, *data.shape[2:])
    given, others, asked = (t.view(*t.shape, *[1] * (data.ndim - 2)).expand(wide) for t in (share, place, asked))
    shown = torch.where(given == OTHER, data.gather(1, others), blank)
    return torch.where(asked & (given != SAME), shown, data)


def _fewest(lots: Tensor, mask: Tensor, share: float) -> Tensor:
    """(B, T) True at a share of each row's real tokens: those of the lowest lots."""
    length = mask.sum(1, keepdim=True)
    wanted = (length * share).round().clamp(min=1)
    rank = lots.masked_fill(~mask, torch.iinfo(lots.dtype).max).argsort(1).argsort(1)
    return (rank < wanted) & mask


def _of_the_text(words: Tensor, mask: Tensor) -> Tensor:
    """Lots (B, T) that hang on the row's own tokens and their places alone, not on padding nor other rows."""
    place = torch.arange(1, words.shape[1] + 1, device=words.device)
    text = ((words.long() + 1) * mask * _mixed(place)).sum(1, keepdim=True)
    return _mixed(text + place * _STEP)


def _mixed(x: Tensor) -> Tensor:
    """int64 to int64, every bit hanging on all (the finaliser of splitmix64: Steele, Lea & Flood 2014)."""
    x = (x ^ _right(x, 30)) * _ONE
    x = (x ^ _right(x, 27)) * _OTHER
    return x ^ _right(x, 31)


def _right(x: Tensor, bits: int) -> Tensor:
    """Shifted to the right, zeros coming in."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
