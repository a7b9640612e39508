"""From one view of a row to another: tokens to a vector, a vector or a map to tokens; and what stands for nothing.

Shapes: B rows, T tokens, D features. A mask is True where a token is real; a row may have none.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

PoolKind = Literal["mean", "max", "last", "attention"]


def masked_mean(tokens: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d"]:
    """(B, T, D) to (B, D): the mean over real tokens, summed in float32 at least; zeros for a row without any."""
    if mask is None:
        mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
    dtype = torch.promote_types(tokens.dtype, torch.float32)
    total = tokens.masked_fill(~mask[..., None], 0).sum(1, dtype=dtype)
    return (total / mask.sum(1, keepdim=True).clamp(min=1)).to(tokens.dtype)


def masked_max(tokens: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d"]:
    """(B, T, D) to (B, D): the greatest of each feature over real tokens; zeros for a row without any."""
    if mask is None:
        mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
    if tokens.shape[1] == 0:
        return tokens.new_zeros(tokens.shape[0], tokens.shape[2])
    greatest = tokens.masked_fill(~mask[..., None], torch.finfo(tokens.dtype).min).amax(1)
    return greatest.masked_fill(~mask.any(1, keepdim=True), 0)


def last_token(tokens: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d"]:
    """(B, T, D) to (B, D): the last real token; zeros for a row without any. Padding stands after the real ones."""
    if mask is None:
        mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
    if tokens.shape[1] == 0:
        return tokens.new_zeros(tokens.shape[0], tokens.shape[2])
    place = (mask.sum(1) - 1).clamp(min=0)
    index = place[:, None, None].expand(-1, 1, tokens.shape[2])
    return tokens.gather(1, index)[:, 0].masked_fill(~mask.any(1, keepdim=True), 0)


class AttentionPool(nn.Module):
    """A learned weighted mean: softmax over real tokens of `u . tanh(W x)` weighs them (Yang et al. 2016, eq. 5-7).

    Source: "Hierarchical Attention Networks for Document Classification", NAACL 2016. Input (B, T, width), mask
    (B, T); output (B, width), zeros for a row without any real token.
    """

    def __init__(self, width: int, /) -> None:
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, 1, bias=False)

    def forward(self, tokens: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d"]:
        scores = self.query(torch.tanh(self.key(tokens))).float()
        if mask is None:
            weights = scores.softmax(1)
        else:  # the least number instead of -inf keeps rows without tokens finite; the second fill zeroes them
            absent = ~mask[..., None]
            weights = scores.masked_fill(absent, torch.finfo(torch.float32).min).softmax(1).masked_fill(absent, 0)
        return (weights * tokens).sum(1).to(tokens.dtype)


class Pool(nn.Module):
    """Tokens (B, T, width) with a mask (B, T) to a vector (B, width): mean, max, last, or learned attention."""

    def __init__(self, width: int, /, *, kind: PoolKind = "mean") -> None:
        super().__init__()
        self.kind = kind
        self.attention = AttentionPool(width) if kind == "attention" else None

    def forward(self, tokens: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d"]:
        if self.attention is not None:
            return self.attention(tokens, mask)
        functions = {"mean": masked_mean, "max": masked_max, "last": last_token}
        return functions[self.kind](tokens, mask)


def maps_to_tokens(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t c"]:
    """(B, C, H, W) as H * W tokens, (B, H * W, C), row by row."""
    return maps.flatten(2).mT


class Missing(nn.Module):
    """A learned vector (width) that stands for rows whose value is missing."""

    def __init__(self, width: int, /) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, vector: Float[Tensor, "b d"], observed: Bool[Tensor, " b"] | None = None) -> Float[Tensor, "b d"]:
        """(B, D) with the rows not observed (B,) replaced."""
        if observed is None:
            return vector
        return torch.where(observed[:, None], vector, self.vector.to(vector.dtype))

    def tokens(
        self, tokens: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"], observed: Bool[Tensor, " b"] | None = None
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
        """Tokens and their mask, in which a row not observed has the learned vector as its one real token."""
        if observed is None or tokens.shape[1] == 0:
            return tokens, mask
        gone = ~observed[:, None]
        first = torch.arange(tokens.shape[1], device=tokens.device) == 0
        stand_in = torch.where(first[:, None], self.vector.to(tokens.dtype), 0.0)
        return torch.where(gone[..., None], stand_in.to(tokens.dtype), tokens), torch.where(gone, first, mask)
