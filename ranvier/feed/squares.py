"""Squares of pictures hidden from a network that is to restore them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from ranvier.feed.lots import fewest, mixed


def places(x: UInt8[Tensor, "b h w c"], side: int) -> tuple[int, int]:
    """Squares down and across; those at the edge may stick out."""
    return -(-x.shape[1] // side), -(-x.shape[2] // side)


def asked(x: UInt8[Tensor, "b h w c"], lots: Int64[Tensor, "b n"], share: float, side: int) -> Bool[Tensor, "b h w"]:
    """The pixels of a share of each picture's squares, those of the lowest lots, one at least and never all."""
    down, across = places(x, side)
    chosen = fewest(lots, torch.ones_like(lots, dtype=torch.bool), min(share, 1 - 1 / max(2, lots.shape[1])))
    wide = chosen.view(-1, down, across).repeat_interleave(side, 1).repeat_interleave(side, 2)
    return wide[:, : x.shape[1], : x.shape[2]]


def covered(x: UInt8[Tensor, "b h w c"], hidden: Bool[Tensor, "b h w"]) -> UInt8[Tensor, "b h w c"]:
    """The pictures with the mean of what is left of each in the place of what is hidden."""
    left = ~hidden[..., None]
    mean = (x.float() * left).sum((1, 2), keepdim=True) / left.sum((1, 2), keepdim=True).clamp(min=1)
    return torch.where(left, x, mean.round().to(x.dtype))


def of_the_picture(x: UInt8[Tensor, "b h w c"], count: int) -> Int64[Tensor, "b n"]:
    """Lots (B, count) that hang on the row's own pixels alone."""
    flat = x.flatten(1).long()
    whole = ((flat + 1) * mixed(torch.arange(1, flat.shape[1] + 1, device=x.device))).sum(1, keepdim=True)
    return mixed(whole + mixed(torch.arange(1, count + 1, device=x.device)))
