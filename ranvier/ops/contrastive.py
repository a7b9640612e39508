"""Losses between the rows of a batch: what belongs together is drawn together, all else in the batch pushed apart.

Each gives (B,), one number a row as an anchor, but the number depends on the other rows: such a loss has `splits =
False`, and the batch that it is given must not be cut into micro-batches. A larger batch holds more, and harder, rows
to be told apart, so that losses of batches of unequal size cannot be compared. real: (B,), False for rows that are not
to be seen, such as those without a target: they cost 0, and the others are as they would be without them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.plan import NotNegative, Positive
from ranvier.ops.losses import aligned, widened

Loss = TypeVar("Loss", bound=Callable[..., Tensor])


def in_batch(loss: Loss) -> Loss:
    """Marks a loss for which rows see one another: `splits` is False. Losses without the mark are cut at will."""
    loss.splits = False  # type: ignore[attr-defined]
    return loss


@in_batch
def info_nce(
    prediction: Float[Tensor, "b d"],
    target: Shaped[Tensor, "b d"],
    real: Bool[Tensor, " b"] | None = None,
    *,
    temperature: Positive = 0.1,
    symmetric: bool = False,
    normalise: bool = True,
) -> Float[Tensor, " b"]:
    """Surprise at finding a row's own partner among those of the whole batch: -log softmax_j(s_ij / temperature)_i.

    prediction: (B, D) queries. target: (B, D) keys, row i's being the partner of query i; gradients reach them too if
    they need any. s_ij = <query_i, key_j>, of vectors scaled to length 1 where normalise. symmetric: the mean of this
    and of the same with queries and keys exchanged (as CLIP has it, Radford et al. 2021, arXiv:2103.00020, figure 3).
    Knowing nothing costs log B. Source: van den Oord et al. 2018, arXiv:1807.03748, equation 4, with the scores of Chen
    et al. 2020, arXiv:2002.05709, equation 1 (there each row also has its own side's rows to be told from).
    """
    queries, keys = aligned(prediction, target)
    if normalise:
        queries, keys = F.normalize(queries, dim=1), F.normalize(keys, dim=1)
    scores = queries @ keys.T / temperature
    if real is not None:
        scores = scores.masked_fill(~_compared(real), -math.inf)
    there = -scores.log_softmax(1).diagonal()
    return 0.5 * (there - scores.log_softmax(0).diagonal()) if symmetric else there


@in_batch
def nt_xent(
    prediction: Float[Tensor, "b d"],
    target: Float[Tensor, "b d"],
    real: Bool[Tensor, " b"] | None = None,
    *,
    temperature: Positive = 0.5,
) -> Float[Tensor, " b"]:
    """Surprise at finding each of two views of a row by the other, among both views of all rows, in the mean over them.

    prediction, target: (B, D), one view each, scaled to length 1 here; gradients reach both. Each view is to be told
    from the 2 B - 2 others of other rows; knowing nothing costs log(2 B - 1). Source: Chen et al. 2020, "A simple
    framework for contrastive learning of visual representations", arXiv:2002.05709, equation 1 (NT-Xent).
    """
    one, other = aligned(prediction, target)
    places = F.normalize(torch.cat([one, other]).float(), dim=1)
    rows = len(one)
    scores = places @ places.T / temperature
    hidden = torch.eye(2 * rows, dtype=torch.bool, device=scores.device)
    if real is not None:
        hidden = hidden | ~_compared(real).repeat(2, 2)
    surprise = -scores.masked_fill(hidden, -math.inf).log_softmax(1)
    partner = torch.cat([surprise[:rows, rows:].diagonal(), surprise[rows:, :rows].diagonal()])
    return 0.5 * (partner[:rows] + partner[rows:])


@in_batch
def triplet(
    prediction: Float[Tensor, "b d"],
    target: Integer[Tensor, " b"],
    real: Bool[Tensor, " b"] | None = None,
    *,
    margin: NotNegative = 0.2,
    normalise: bool = True,
) -> Float[Tensor, " b"]:
    """`triplet_margin` of each row with the farthest row of its own class and the nearest row of any other.

    prediction: (B, D) embeddings. target: (B,) class numbers, any integers. A row without another of its class in the
    batch, or without one of another class, costs 0: draw batches with several rows of each class. Source of the choice
    ("batch hard"): Hermans et al. 2017, arXiv:1703.07737, section 2; squared distances and margin as in Schroff et al.
    """
    places = widened(prediction)
    if normalise:
        places = F.normalize(places, dim=1)
    # not by a matrix product, which would lose the distances between places that are close
    apart = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist").square()
    same, own = target[:, None] == target[None, :], torch.eye(len(target), dtype=torch.bool, device=target.device)
    mates, others = same & ~own, ~same
    if real is not None:
        there = real[:, None] & real
        mates, others = mates & there, others & there
    far = apart.masked_fill(~mates, -math.inf).amax(1)
    near = apart.masked_fill(~others, math.inf).amin(1)
    complete = mates.any(1) & others.any(1)
    return torch.where(complete, torch.where(complete, far - near, 0.0) + margin, 0.0).clamp_min(0)


def triplet_margin(
    anchor: Float[Tensor, "b d"],
    positive: Float[Tensor, "b d"],
    negative: Float[Tensor, "b d"],
    *,
    margin: NotNegative = 0.2,
    normalise: bool = True,
) -> Float[Tensor, " b"]:
    """max(0, |a - p|^2 - |a - n|^2 + margin): the anchor is to be nearer to the positive than to the negative.

    anchor, positive, negative: (B, D) embeddings of given triplets, scaled to length 1 where normalise. margin: >= 0,
    in squared distances, which then lie in [0, 4]. Source: Schroff et al. 2015, arXiv:1503.03832, section 3.1.
    """
    a, p, n = (widened(part) for part in (anchor, positive, negative))
    if normalise:
        a, p, n = (F.normalize(part, dim=1) for part in (a, p, n))
    return ((a - p).square().sum(1) - (a - n).square().sum(1) + margin).clamp_min(0)


@in_batch
def supervised_contrastive(
    prediction: Float[Tensor, "b d"],
    target: Integer[Tensor, " b"],
    real: Bool[Tensor, " b"] | None = None,
    *,
    temperature: Positive = 0.1,
) -> Float[Tensor, " b"]:
    """Surprise at each row's mates, the others of its class, among all other rows of the batch, in the mean over them.

    prediction: (B, D) embeddings, scaled to length 1. target: (B,) class numbers, any integers. A row without a mate in
    the batch costs 0 (`mates` says which have one). Source: Khosla et al. 2020, "Supervised contrastive learning",
    arXiv:2004.11362, equation 2 (the sum over positives outside of the logarithm).
    """
    places = F.normalize(widened(prediction), dim=1)
    own = torch.eye(len(target), dtype=torch.bool, device=target.device)
    there = ~own if real is None else ~own & real[:, None] & real
    scores = (places @ places.T / temperature).masked_fill(~there, -math.inf)
    scores = torch.where(there.any(1, keepdim=True), scores, 0.0)  # of a row that sees none nothing is asked
    same = there & (target[:, None] == target[None, :])
    surprise = torch.where(same, -scores.log_softmax(1), 0.0).sum(1)
    return surprise / same.sum(1).clamp_min(1)


def mates(target: Integer[Tensor, " b"], real: Bool[Tensor, " b"] | None = None) -> Bool[Tensor, " b"]:
    """Which rows of a batch have another of their class there."""
    _, code = target.unique(return_inverse=True)
    seen = torch.ones_like(code) if real is None else real.to(code.dtype)
    count = torch.zeros(len(code) or 1, dtype=code.dtype, device=code.device).index_add_(0, code, seen)
    return (count[code] > 1) & (seen > 0)


def _compared(real: Tensor) -> Tensor:
    """(B, B) True for pairs of real rows (B,), and for each row with itself: one that is not real has its own partner
    left, to be found at no cost."""
    own = torch.eye(len(real), dtype=torch.bool, device=real.device)
    return own | real[:, None] & real
