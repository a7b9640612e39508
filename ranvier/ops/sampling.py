"""From scores of the next token to a choice: temperature, the likeliest few, and what has been said already.

Shapes: B rows, V tokens of the vocabulary, T tokens so far. All take and give scores (logits), -inf = never.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

COLD = 1e-6  # a temperature that leaves nothing to chance: scores divided by less may be infinite


def top_k(scores: Float[Tensor, "b v"], k: int) -> Float[Tensor, "b v"]:
    """Only the k likeliest tokens (Fan, Lewis & Dauphin, ACL 2018), and those as likely as the k-th; k < 1 = all."""
    if k < 1 or k >= scores.shape[1]:
        return scores
    least = scores.topk(k, 1).values[:, -1:]
    return scores.masked_fill(scores < least, -torch.inf)


def top_p(scores: Float[Tensor, "b v"], p: float) -> Float[Tensor, "b v"]:
    """Only the fewest likeliest tokens whose probabilities sum to p or more (nucleus; Holtzman et al., ICLR 2020).

    And those as likely as the last of them.
    """
    if p >= 1:
        return scores
    sorted_, _ = scores.sort(1, descending=True)
    probs = sorted_.float().softmax(1)
    enough = probs.cumsum(1) - probs >= p  # those before it are
    enough[:, 0] = False
    least = sorted_.masked_fill(enough, torch.inf).amin(1, keepdim=True)
    return scores.masked_fill(scores < least, -torch.inf)


def min_p(scores: Float[Tensor, "b v"], share: float) -> Float[Tensor, "b v"]:
    """Only tokens at least `share` times as probable as the likeliest (Nguyen et al., ICLR 2025); 0 = all.

    Of scores as learnt, before a temperature: what was unlikely stays out however wild the draw.
    """
    if share <= 0:
        return scores
    return scores.masked_fill(scores < scores.amax(1, keepdim=True) + math.log(share), -torch.inf)


def penalise_repetition(
    scores: Float[Tensor, "b v"], said: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"], penalty: float
) -> Float[Tensor, "b v"]:
    """Scores of tokens said already divided by the penalty, or multiplied where negative (Keskar et al. 2019, eq. 2).

    mask: which of the tokens said count. penalty: 1 = none.
    """
    if penalty == 1 or not said.shape[1]:
        return scores
    heard = torch.zeros_like(scores, dtype=torch.int32)
    heard = heard.scatter_add(1, said, mask.to(torch.int32)) > 0
    return torch.where(heard, torch.where(scores > 0, scores / penalty, scores * penalty), scores)


def forbid_repeats(
    scores: Float[Tensor, "b v"], said: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"], n: int
) -> Float[Tensor, "b v"]:
    """Never the token that would say an n-gram again (Paulus, Xiong & Socher, ICLR 2018, section 2.5); n < 1 = none."""
    t = said.shape[1]
    if n < 1 or t < n:
        return scores
    windows = said.unfold(1, n, 1)  # (B, T - n + 1, n)
    real = mask.unfold(1, n, 1).all(2)
    same = (windows[:, :, : n - 1] == said[:, None, t - n + 1 :]).all(2) & real if n > 1 else real
    barred = torch.zeros_like(scores, dtype=torch.int32)
    barred = barred.scatter_add(1, windows[:, :, -1], same.to(torch.int32)) > 0
    return scores.masked_fill(barred, -torch.inf)


def draw(
    scores: Float[Tensor, "b v"], temperature: float, generator: torch.Generator | None = None, *, p: float = 1.0
) -> Int[Tensor, " b"]:
    """A token a row by softmax(scores / temperature); of temperature 0 (below 1e-6) the likeliest, the first of equals.

    p: from the nucleus alone, as after `top_p`. A draw from all tokens that falls into the nucleus is one from it, so
    that only rows whose draw does not, a share of 1 - p at most, are sorted and drawn again.
    """
    if temperature < COLD:
        return scores.argmax(1)
    scores = scores.float() / temperature
    probs = scores.softmax(1)
    token = _drawn(probs, generator)
    if p >= 1:
        return token
    likelier = probs.masked_fill(probs <= probs.gather(1, token[:, None]), 0).sum(1)
    (again,) = (likelier >= p).nonzero(as_tuple=True)
    if len(again):
        token[again] = _drawn(top_p(scores[again], p).softmax(1), generator)
    return token


def inverted(probs: Float[Tensor, "b v"], share: Float[Tensor, " b"]) -> Int[Tensor, " b"]:
    """The first token up to which the sum is above `share` of the whole sum, which is drawn from [0, 1]."""
    sums = probs.cumsum(1).cummax(1).values  # a sum made in parallel may fall by rounding
    whole = sums[:, -1:]
    below = torch.minimum(share[:, None] * whole, whole.nextafter(torch.zeros_like(whole)))  # rounding may reach it
    return torch.searchsorted(sums, below, right=True)[:, 0]


def _drawn(probs: Tensor, generator: torch.Generator | None) -> Tensor:
    return inverted(probs, torch.rand(len(probs), generator=generator, device=probs.device))
