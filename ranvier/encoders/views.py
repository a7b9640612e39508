"""What encoders of pictures share: pixels as numbers, and the maps of a picture in the views asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Features, Value, View
from ranvier.nets.pool import Missing, maps_to_tokens

STEPS = 32  # an epoch, at least


def scaled(pixels: Tensor) -> Tensor:
    """uint8 pixels (B, H, W, channels) as a map (B, channels, H, W) of numbers from -1 to 1."""
    return pixels.permute(0, 3, 1, 2).float() / 255 * 2 - 1


def views_of(
    maps: Sequence[Tensor],
    strides: Sequence[int],
    observed: Tensor | None,
    needs: frozenset[View],
    vector: Callable[[Tensor], Tensor],
    missing: Missing,
) -> Features:
    """Maps (B, C, H, W), finest first, in the views asked for; the places of the last, row by row, are the tokens.

    vector: makes one (B, C) of the last map. For a missing picture, observed (B,) being False, stands a learned vector:
    at every place of the last map, where the other maps are 0, and as its only token.
    """
    last = maps[-1]
    features = Features(last.shape[0])
    if "vector" in needs:
        features.vector = missing(vector(last), observed)
    if "tokens" in needs:
        tokens = maps_to_tokens(last)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        features.tokens = Value(*missing.tokens(tokens, mask, observed), observed)
    if "maps" in needs:
        shown = maps if observed is None else _without(maps, observed, missing)
        features.maps = tuple(zip(shown, strides, strict=True))
    return features


def _without(maps: Sequence[Tensor], observed: Tensor, missing: Missing) -> list[Tensor]:
    """The maps with the learned vector in the last, and zeros in the others, where the picture is missing."""
    seen = observed[:, None, None, None]
    stand_in = missing.vector.to(maps[-1].dtype)[:, None, None]
    return [torch.where(seen, m, 0.0) for m in maps[:-1]] + [torch.where(seen, maps[-1], stand_in)]


def attending_recipe(facts: Facts, *, rate: float, reason: str) -> Choices:
    """Training of networks of Transformer-like blocks on pictures: AdamW, warm-up, cosine."""
    batch = next((b for b in (256, 128, 64) if facts.rows >= STEPS * b), 32)
    return {
        "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, reason),
        "rate": (rate, reason),
        "decay": (0.05, reason),
        "batch": (batch, reason),
        "epochs": (30 if facts.rows < 20_000 else 12, f"{facts.rows:,} training rows"),
        "schedule": ({"name": "cosine", "warmup": 0.1, "final": 0.0}, "attention diverges without warm-up"),
        "clip": (1.0, "steadies the first steps"),
        "keep": ("best", reason),
    }
