"""The Transformer: pre-norm blocks of attention and a feed-forward network, with rotary positions.

One module serves as encoder of text and of image patches, as causal decoder, and, given a memory, as the decoder of
an encoder-decoder pair. Padding changes nothing.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.nets.activations import ActivationName, before, gated, make_activation
from ranvier.nets.attention import Attention, allowed_keys, rotations
from ranvier.nets.dropout import Dropout, DropPath, rising
from ranvier.nets.norms import make_norm

NormKind = Literal["layer", "rms"]


class FeedForward(nn.Module):
    """Two linear maps with an activation between, applied to each token: (B, T, width) to (B, T, width).

    W2 f(W1 x) + b2, or with a gated f, for example swiglu, W2 (silu(W1 x) * V x) (Shazeer, arXiv:2002.05202), its
    hidden width being two thirds, so that both have as many parameters. ratio: hidden width / width.
    """

    def __init__(self, width: int, /, *, activation: ActivationName = "swiglu", ratio: float = 4.0) -> None:
        super().__init__()
        share = 2 / 3 if gated(activation) else 1
        hidden = 8 * math.ceil(width * ratio * share / 8)  # a multiple of 8 suits the kernels
        self.up = nn.Linear(width, before(hidden, activation))
        self.activation = make_activation(activation)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        return self.down(self.activation(self.up(x)))


class Block(nn.Module):
    """x + attention(norm x), then x + cross-attention(norm x) if there is a memory, then x + feed-forward(norm x).

    Pre-norm: Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020. drop_path: the chance
    that a branch adds nothing to a row, see `DropPath`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        /,
        *,
        activation: ActivationName = "swiglu",
        ratio: float = 4.0,
        norm: NormKind = "layer",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        memory: int = 0,
    ) -> None:
        super().__init__()
        self.norm, self.attention = make_norm(norm, width), Attention(width, heads)
        self.cross_norm = make_norm(norm, width) if memory else None
        self.cross = Attention(width, heads, memory=memory) if memory else None
        self.feed_norm, self.feed = make_norm(norm, width), FeedForward(width, activation=activation, ratio=ratio)
        self.dropout = nn.Sequential(Dropout(dropout), DropPath(drop_path))

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        allowed: Bool[Tensor, "b 1 u t"] | None = None,
        *,
        turn: Float[Tensor, "2 t p"] | None = None,
        causal: bool = False,
        memory: Float[Tensor, "b s m"] | None = None,
        memory_allowed: Bool[Tensor, "b 1 1 s"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        x = x + self.dropout(self.attention(self.norm(x), allowed, turn=turn, causal=causal))
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.dropout(self.cross(self.cross_norm(x), memory_allowed, memory=memory))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class Transformer(nn.Module):
    """A stack of pre-norm blocks over tokens (B, T, width), with a last norm.

    depth: blocks. heads: must divide width. activation, ratio: see `FeedForward`. norm: LayerNorm, which has a fused
    kernel everywhere, or RMSNorm (Zhang & Sennrich 2019). dropout: on what each branch adds. drop_path: the chance that
    a branch of the last block adds nothing to a row; earlier blocks' rise to it in a line. causal: no token sees a
    later one. rotary: turn queries and keys by position; without it the net knows no order. memory: width of a memory
    to attend to as well, 0 = none.
    Raises PlanError if the heads do not divide the width, or if rotary and a head's width is odd, ValueError for a
    drop_path outside [0, 1).
    """

    def __init__(
        self,
        width: int,
        /,
        *,
        depth: int = 4,
        heads: int = 4,
        activation: ActivationName = "swiglu",
        ratio: float = 4.0,
        norm: NormKind = "layer",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        causal: bool = False,
        rotary: bool = True,
        memory: int = 0,
    ) -> None:
        super().__init__()
        if rotary and (width // heads) % 2:
            raise PlanError(f"width / heads = {width // heads}: rotary positions need an even number")
        self.pairs, self.causal, self.rotary, self.memory = width // heads // 2, causal, rotary, memory
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                activation=activation,
                ratio=ratio,
                norm=norm,
                dropout=dropout,
                drop_path=chance,
                memory=memory,
            )
            for chance in rising(drop_path, depth)
        )
        self.norm = make_norm(norm, width)
        self._initialise(depth)

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"] | None = None,
        *,
        positions: Real[Tensor, "t n"] | None = None,
        base: float = 10_000.0,
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """Tokens (B, T, width) with a mask (B, T) to (B, T, width), zeros at padding.

        positions: (T, N) on N axes, None = 0, 1, 2 ... on one. base: the slowest wavelength of the rotation, in
        positions, over 2 pi. memory: (B, S, memory) and its mask (B, S). Raises ValueError if a memory is given and
        none was foreseen, or the other way about.
        """
        if (memory is not None) != bool(self.memory):
            got = "expected" if self.memory else "not foreseen"
            raise ValueError(f"memory: {got}; this net was made with memory={self.memory}")
        if x.shape[1] == 0:
            return x
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)[:, None]
        turn = rotations(positions, self.pairs, base) if self.rotary else None
        allowed = None if mask is None else allowed_keys(mask, self.causal)
        memory_allowed = None if memory_mask is None else allowed_keys(memory_mask)
        if torch.is_autocast_enabled(x.device.type):  # the sum over the blocks stays in full precision
            x = x.float()
        for block in self.blocks:
            x = block(x, allowed, turn=turn, causal=self.causal, memory=memory, memory_allowed=memory_allowed)
        x = self.norm(x)
        return x if mask is None else x.masked_fill(~mask[..., None], 0)

    def _initialise(self, depth: int) -> None:
        """Xavier, but what is added to the running sum starts smaller by sqrt(2 depth) (Radford et al. 2019, 2.3)."""
        for name, module in self.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            last = name.endswith((".out", ".down"))
            nn.init.xavier_uniform_(module.weight, gain=1 / math.sqrt(2 * max(depth, 1)) if last else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
