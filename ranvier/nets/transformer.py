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
from ranvier.nets.attention import Attention, Cache, allowed_keys, check_memory, rotations
from ranvier.nets.dropout import Dropout, DropPath, rising
from ranvier.nets.norms import make_norm

NormKind = Literal["layer", "rms"]


class FeedForward(nn.Module):
    """Two linear maps with an activation between, applied to each token: (B, T, width) to (B, T, width).

    W2 f(W1 x), or with a gated f, for example swiglu, W2 (silu(W1 x) * V x) (Shazeer, arXiv:2002.05202), its hidden
    width being two thirds, so that both have as many parameters. Without biases, as adding them took a twelfth of a
    step. ratio: hidden width / width.
    """

    def __init__(self, width: int, /, *, activation: ActivationName = "swiglu", ratio: float = 4.0) -> None:
        super().__init__()
        share = 2 / 3 if gated(activation) else 1
        hidden = 8 * math.ceil(width * ratio * share / 8)  # a multiple of 8 suits the kernels
        self.up = nn.Linear(width, before(hidden, activation), bias=False)
        self.activation = make_activation(activation)
        self.down = nn.Linear(hidden, width, bias=False)

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
        allowed: Bool[Tensor, "c 1 u s"] | None = None,
        *,
        turn: Float[Tensor, "2 t p2"] | None = None,
        causal: bool = False,
        memory: Float[Tensor, "n k m"] | None = None,
        memory_allowed: Bool[Tensor, "n 1 1 k"] | None = None,
        cache: Cache | None = None,
        memory_cache: Cache | None = None,
    ) -> Float[Tensor, "b t d"]:
        x = x + self.dropout(self.attention(self.norm(x), allowed, turn=turn, causal=causal, cache=cache))
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.dropout(self.cross(self.cross_norm(x), memory_allowed, memory=memory, cache=memory_cache))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class Reading:
    """How far a causal Transformer has read: what it keeps of all tokens so far, so that those after them go alone."""

    def __init__(self, depth: int, memory: Tensor | None, memory_mask: Tensor | None) -> None:
        self.caches = [(Cache(), Cache()) for _ in range(depth)]
        self.memory = memory
        self.memory_allowed = None if memory_mask is None else allowed_keys(memory_mask)
        self.length = 0
        self.mask: Tensor | None = None  # (B, length) which tokens are real, None = all
        self._turns: Tensor | None = None  # of tokens so far and more to come

    def add(self, tokens: int, mask: Tensor | None) -> None:
        """Counts so many more tokens, (B, tokens) of which are real; None = all."""
        known = self.mask if mask is None else mask
        if known is not None:
            before = known.new_ones(len(known), self.length) if self.mask is None else self.mask
            now = known.new_ones(len(known), tokens) if mask is None else mask
            self.mask = torch.cat([before, now], 1)
        self.length += tokens

    def turn(self, tokens: int, pairs: int, device: torch.device) -> Tensor:
        """(2, tokens, 2 pairs) by which the last tokens turn."""
        if self._turns is None or self._turns.shape[1] < self.length:
            self._turns = rotations(torch.arange(2 * self.length, device=device)[:, None], pairs)
        return self._turns[:, self.length - tokens : self.length]

    def allowed(self, tokens: int, device: torch.device) -> Tensor | None:
        """Which keys each of the last tokens may see: real ones that are no later, and itself always."""
        if self.mask is None and tokens == 1:
            return None
        keys, queries = torch.arange(self.length, device=device), torch.arange(tokens, device=device)
        place = (queries + self.length - tokens)[:, None]
        if self.mask is None:
            return (keys <= place)[None, None]
        return ((self.mask[:, None] & (keys <= place)) | (keys == place))[:, None]

    def take(self, rows: Tensor, memory: Tensor | None = None) -> None:
        """Goes on with these rows (B',) of those so far (see `generate.Place`)."""
        for own, other in self.caches:
            own.take(rows)
            if memory is not None:
                other.take(memory)
        self.mask = None if self.mask is None else self.mask.index_select(0, rows)
        if memory is not None:
            self.memory, self.memory_allowed = (
                None if part is None else part.index_select(0, memory) for part in (self.memory, self.memory_allowed)
            )


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
        check_memory(memory, self.memory)
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

    def start(
        self, memory: Float[Tensor, "b s m"] | None = None, memory_mask: Bool[Tensor, "b s"] | None = None
    ) -> Reading:
        """Nothing read yet, but a memory (B, S, memory) if one was foreseen; raises ValueError as `forward` does."""
        check_memory(memory, self.memory)
        return Reading(len(self.blocks), memory, memory_mask)

    def read(
        self, x: Float[Tensor, "b t d"], reading: Reading, mask: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t d"]:
        """T more tokens (B, T, width) to (B, T, width): as a causal `forward` over all so far would, for these alone.

        mask: (B, T) real tokens; padding stands before them, so that rows end together. Raises ValueError for a net
        that is not causal.
        """
        if not self.causal:
            raise ValueError("only a causal net can be read on: the first tokens of any other see those that follow")
        t = x.shape[1]
        reading.add(t, mask)
        turn = reading.turn(t, self.pairs, x.device) if self.rotary else None
        allowed = reading.allowed(t, x.device)
        if torch.is_autocast_enabled(x.device.type):
            x = x.float()
        for block, (own, other) in zip(self.blocks, reading.caches, strict=True):
            held = {"memory": reading.memory, "memory_allowed": reading.memory_allowed, "memory_cache": other}
            x = block(x, allowed, turn=turn, cache=own, **held)
        return self.norm(x)

    def _initialise(self, depth: int) -> None:
        """Xavier, but what is added to the running sum starts smaller by sqrt(2 depth) (Radford et al. 2019, 2.3)."""
        for name, module in self.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            last = name.endswith((".out", ".down"))
            nn.init.xavier_uniform_(module.weight, gain=1 / math.sqrt(2 * max(depth, 1)) if last else 1.0)
