"""What a head for pictures sees of its inputs, and what it sees instead of them where they are hidden from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.protocols import Features, View
from ranvier.core.spec import Given
from ranvier.nets.attention import allowed_keys


@dataclass
class Seen:
    """What is seen of B rows.

    vector: (B, width). maps: (B, channels, H, W). tokens: (B, T, width). allowed: (B, 1, 1, T), which tokens may be
    attended to.
    """

    vector: Tensor
    maps: Tensor | None = None
    tokens: Tensor | None = None
    allowed: Tensor | None = None


class Conditions(nn.Module):
    """Features to a vector of `width`, normed, and beside it maps at a picture's size (H, W), and tokens.

    inputs: width of the fused vector, 0 = there are no inputs; the vector is then 0. given: of single inputs, what is
    to be seen beside it: the finest map, resampled to the size, or, of inputs without maps, tokens through a linear map
    to `width`, normed. What is hidden is a learnt vector, maps of 0, and one learnt token, which is else seen of rows
    without tokens only.

    able: whether there is anything to see. channels: of the maps, memory: width of the tokens, 0 where there are none.
    """

    def __init__(self, inputs: int, width: int, given: Mapping[str, Given], size: tuple[int, ...]) -> None:
        super().__init__()
        self.width, self.size, self.able = width, size, inputs > 0
        self.vector = nn.Linear(inputs, width) if inputs else None
        self.nothing = nn.Parameter(torch.randn(width)) if inputs else None
        self.pictures = [name for name, one in given.items() if one.maps]
        self.texts = [name for name, one in given.items() if one.tokens and not one.maps]
        self.channels = sum(given[name].maps[0][0] for name in self.pictures)
        self.memory = width if self.texts else 0
        self.tokens = nn.ModuleList(nn.Linear(given[name].tokens, width) for name in self.texts)
        self.no_token = nn.Parameter(torch.randn(width)) if self.texts else None

    @property
    def welcomes(self) -> frozenset[View]:
        """The views of single inputs that it reads."""
        maps: frozenset[View] = frozenset({"maps"} if self.pictures else ())
        return maps | frozenset({"tokens"} if self.texts else ())

    def forward(self, f: Features, hidden: Tensor | None = None) -> Seen:
        """hidden: (B,) rows that are seen nothing of; None = no row."""
        vector = f.as_vector()
        if self.vector is None or self.nothing is None:
            return Seen(vector.new_zeros(f.size, self.width, dtype=torch.float32))
        hidden = torch.zeros(f.size, dtype=torch.bool, device=vector.device) if hidden is None else hidden
        normed = F.layer_norm(self.vector(vector).float(), (self.width,))
        seen = Seen(torch.where(hidden[:, None], self.nothing, normed))
        if self.pictures:
            maps = torch.cat([resized(f.parts[name].maps[0][0], self.size) for name in self.pictures], 1)
            seen.maps = maps.masked_fill(hidden[:, None, None, None], 0)
        if self.no_token is not None:
            each = [f.parts[name].as_tokens() for name in self.texts]
            read = [
                F.layer_norm(linear(one.data).float(), (self.width,))
                for linear, one in zip(self.tokens, each, strict=True)
            ]
            mask = torch.cat([one.mask for one in each if one.mask is not None], 1) & ~hidden[:, None]
            seen.tokens = torch.cat([self.no_token.expand(f.size, 1, -1), *read], 1)
            seen.allowed = allowed_keys(torch.cat([~mask.any(1, keepdim=True), mask], 1))
        return seen


def resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, C, H, W) float32 at another size, each place being the weighted mean of those around it (bilinear)."""
    maps = maps.float()
    if maps.shape[2:] == torch.Size(size):
        return maps
    return F.interpolate(maps, list(size), mode="bilinear", antialias=True)
