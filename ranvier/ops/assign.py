"""Which places of a grid are to find which thing."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ranvier.ops.boxes import box_iou

MOST = 9  # places that learn of one thing
ALPHA, BETA = 0.5, 6.0  # how much the class' probability and the overlap count


@torch.no_grad()
def aligned(
    chances: Float[Tensor, "b p c"],
    said: Float[Tensor, "b p 4"],
    centres: Float[Tensor, "p 2"],
    truth: Float[Tensor, "b n 4"],
    labels: Int[Tensor, "b n"],
    there: Bool[Tensor, "b n"],
) -> tuple[Int[Tensor, "b p"], Float[Tensor, "b p"]]:
    """Of each place which of the row's things it is to find (-1: none), and how sure it may be of it, 0 to 1.

    chances: of each class at each place; said: its box. A thing is given to the places within it (or the nearest, if
    it is so small that there is none) that already find it best, by chance ** 0.5 * IoU ** 6, at most 9; a place of
    several takes that which it overlaps most. The best may be as sure as its IoU, the others as much less as they are
    worse. Source: Feng et al. 2021, "TOOD", arXiv:2108.07755, section 3.2.
    """
    count = chances.shape[1]
    if not truth.shape[1]:
        nothing = chances.new_zeros(chances.shape[:2])
        return nothing.long() - 1, nothing
    away = (centres[None, None] - (truth[..., None, :2] + truth[..., None, 2:]) / 2).abs()  # (B, N, P, 2)
    within = (away <= (truth[..., None, 2:] - truth[..., None, :2]) / 2).all(3)
    nearest = away.square().sum(3).argmin(2, keepdim=True)
    within |= torch.arange(count, device=nearest.device) == nearest
    overlap = box_iou(truth, said)  # (B, N, P)
    chance = chances.mT.gather(1, labels[..., None].expand(-1, -1, count))
    good = chance**ALPHA * overlap**BETA * (within & there[..., None])
    least = good.topk(min(MOST, count), 2).values[..., -1:]
    mine = (good >= least) & (good > 0)
    best = torch.where(mine, overlap, -1.0).max(1)
    thing = torch.where(best.values >= 0, best.indices, -1)
    mine &= torch.arange(truth.shape[1], device=thing.device)[:, None] == thing[:, None]
    good, overlap = good * mine, overlap * mine
    sure = good / good.amax(2, keepdim=True).clamp_min(1e-30) * overlap.amax(2, keepdim=True)
    return thing, sure.sum(1)
