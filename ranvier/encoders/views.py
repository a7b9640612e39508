"""What encoders of pictures share: pixels as numbers, and the maps of a picture in the views asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Features, Value, View
from ranvier.nets.pool import Missing, maps_to_tokens

STEPS = 200  # an epoch, at least
EPOCHS, MOST = 12, 60  # for 60,000 rows or more, and for few
GREY = 0.5  # of a missing picture


def scaled(pixels: Tensor) -> Tensor:
    """uint8 pixels (B, H, W, channels) as a map (B, channels, H, W) of numbers from -1 to 1."""
    return pixels.permute(0, 3, 1, 2).float() / 255 * 2 - 1


def views_of(
    value: Value,
    maps: Sequence[Tensor],
    strides: Sequence[int],
    needs: frozenset[View],
    vector: Callable[[Tensor], Tensor],
    missing: Missing,
) -> Features:
    """Maps (B, C, H, W), finest first, in the views asked for; the places of the last, row by row, are the tokens.

    value: the pictures, uint8 (B, H, W, C), which stand beside the maps. vector: makes one (B, C) of the last map. For
    a missing picture stands a learned vector: at every place of the last map, where the other maps are 0, and as its
    only token; the picture itself is grey.
    """
    last, observed = maps[-1], value.observed
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
        picture = value.data.permute(0, 3, 1, 2).float() / 255
        features.picture = picture if observed is None else torch.where(observed[:, None, None, None], picture, GREY)
    return features


def _without(maps: Sequence[Tensor], observed: Tensor, missing: Missing) -> list[Tensor]:
    """The maps with the learned vector in the last, and zeros in the others, where the picture is missing."""
    seen = observed[:, None, None, None]
    stand_in = missing.vector.to(maps[-1].dtype)[:, None, None]
    return [torch.where(seen, m, 0.0) for m in maps[:-1]] + [torch.where(seen, maps[-1], stand_in)]


def attending_recipe(facts: Facts, *, rate: float) -> Choices:
    """Training of networks on pictures whose blocks are a Transformer's: AdamW, many steps, warm-up, cosine."""
    rows = f"{facts.rows:,} training rows"
    batch = next((b for b in (256, 128, 64) if facts.rows >= STEPS * b), 32)
    epochs = round(min(MOST, max(EPOCHS, EPOCHS * (60_000 / max(1, facts.rows)) ** 0.5)))
    return {
        "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, "suits attention and norms of single places"),
        "rate": (rate, "as high as it learns steadily"),
        "decay": (0.05, "as these networks are trained"),
        "batch": (batch, f"{rows}: at least {STEPS} steps an epoch"),
        "epochs": (epochs, rows),
        "schedule": ({"name": "cosine", "warmup": 0.1, "final": 0.0}, "attention diverges without warm-up"),
        "clip": (1.0, "steadies the first steps"),
        "average": (0.0, "the schedule ends at 0"),
        "precision": ("bf16", "products are faster in bf16"),
        "patience": (0, "the schedule is planned to its end"),
        "keep": ("last", "the schedule is planned to its end"),
    }
