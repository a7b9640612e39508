"""Multi-head attention over masked tokens, fused, with rotary positions along any number of axes.

Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017; rotary positions: Su et al., "RoFormer",
arXiv:2104.09864. Shapes: B rows, T queries, S keys, D features, N axes, P pairs of a head's features.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from ranvier.core.errors import PlanError

GRAIN = 64  # tokens by which the room for keys and values grows: copying it all is little beside attending to it
FEW = 256**2  # queries times keys up to which the products are faster than the fused kernel, in bf16 on a CPU


def rotations(positions: Real[Tensor, "t n"], pairs: int, base: float = 10_000.0) -> Float[Tensor, "2 t p2"]:
    """Cosines and sines, (2, T, 2 pairs), by which pairs of features turn at positions (T, N) on N axes.

    Feature i and i + pairs are a pair; the first one's sine is negative. The pairs are shared out evenly; pair i of an
    axis's k turns by position * base^(-i / k) (RoFormer, eq. 15).
    Pairs left over when N does not divide them do not turn.
    """
    axes = positions.shape[1]
    each = pairs // axes
    speed = base ** (-torch.arange(each, device=positions.device, dtype=torch.float32) / max(each, 1))
    angles = (positions.float()[:, :, None] * speed).flatten(1)
    angles = F.pad(angles, (0, pairs - each * axes))
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cos, cos], 1), torch.cat([-sin, sin], 1)])


def rotate(x: Float[Tensor, "b h t p2"], turn: Float[Tensor, "2 t p2"]) -> Float[Tensor, "b h t p2"]:
    """Queries or keys (B, heads, T, 2 P) turned by `rotations` (RoFormer, eq. 34)."""
    angles = turn.to(x.dtype).unbind()
    # a call of a function with a gradient costs more than a rotation of one token
    y: Tensor = Rotation.apply(x, *angles) if torch.is_grad_enabled() else Rotation.forward(x, *angles)
    return y


class Rotation(Function):
    """x cos + (x with its halves exchanged) sin, whose gradient is the rotation back.

    Autograd's own takes four products of halves, and puts them together again: four times as long.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:  # type: ignore[override]
        """x (B, heads, T, 2 P), cos and sin (T, 2 P), the first half of sin negative."""
        return torch.roll(x, x.shape[-1] // 2, -1).mul_(sin).addcmul_(x, cos)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # type: ignore[override]
        """Keeps the angles."""
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Differentiable itself."""
        cos, sin = ctx.saved_tensors
        return Rotation.apply(grad, cos, -sin), None, None


def allowed_keys(mask: Bool[Tensor, "b s"], causal: bool = False) -> Bool[Tensor, "b 1 t s"]:
    """Which keys each query may see: (B, 1, 1, S), or (B, 1, S, S) if causal.

    Real ones only, and if causal none later than the query. So that no query is left without a key (its softmax would
    be 0 / 0), a row without real tokens may see its first, and a causal query always itself.
    """
    if causal:
        place = torch.arange(mask.shape[1], device=mask.device)
        earlier, itself = place[:, None] >= place, place[:, None] == place
        return ((mask[:, None] & earlier) | itself)[:, None]
    first = torch.arange(mask.shape[1], device=mask.device) == 0
    return (mask | (first & ~mask.any(1, keepdim=True)))[:, None, None]


def check_memory(memory: Tensor | None, width: int) -> None:
    """Raises ValueError if a memory is given to a net that was made for none (width = 0), or the other way about."""
    if (memory is not None) != bool(width):
        got = "expected" if width else "not foreseen"
        raise ValueError(f"memory: {got}; this net was made with memory={width}")


def attend(
    q: Float[Tensor, "b h t p"],
    k: Float[Tensor, "b h s p"],
    v: Float[Tensor, "b h s p"],
    allowed: Bool[Tensor, "c 1 u n"] | None = None,
    *,
    causal: bool = False,
    length: int | None = None,
) -> Float[Tensor, "b h t p"]:
    """softmax(q k^T / sqrt(P)) v by the kernel that is fastest; allowed, causal: see `Attention.forward`, never both.

    length: how many of the keys there are, the others being room for more (see `Cache`); None = all.

    On a CPU the fused kernel computes in float32 inside, and so for few queries and keys two bf16 products are faster,
    forward and back up to five times, if less exact: scores are rounded to bf16, to 0.4 % of each. For many the fused
    kernel saves the memory of all scores. Each query must have a key.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or q.shape[2] * k.shape[2] > FEW:
        return F.scaled_dot_product_attention(
            q, k[:, :, :length], v[:, :, :length], attn_mask=allowed, is_causal=causal
        )
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)  # with the room, for a part of it would first be copied
    if causal:
        allowed = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
    if length is not None and length < k.shape[2]:
        there = torch.ones(1, length, dtype=torch.bool, device=q.device) if allowed is None else allowed
        allowed = F.pad(there, (0, k.shape[2] - length))
    if allowed is not None:
        scores = scores + torch.zeros_like(allowed, dtype=scores.dtype).masked_fill_(~allowed, -torch.inf)
    return scores.softmax(-1) @ v


class Cache:
    """Keys and values (B, heads, S, P) of tokens that were read, so that those after them are read alone.

    They stand at the front of a room, in which there may be more: `length` of its tokens are there.
    """

    def __init__(self) -> None:
        self.length = 0
        self._room: tuple[Tensor, Tensor] | None = None

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The room with T more tokens."""
        end = self.length + keys.shape[2]
        if self._room is None:
            self._room = keys.contiguous(), values.contiguous()  # a memory is never added to
        else:
            if end > self._room[0].shape[2]:
                more = -(-end // GRAIN) * GRAIN - self._room[0].shape[2]
                self._room = F.pad(self._room[0], (0, 0, 0, more)), F.pad(self._room[1], (0, 0, 0, more))
            for held, new in zip(self._room, (keys, values), strict=True):
                held[:, :, self.length : end] = new
        self.length = end
        return self._room

    def room(self) -> tuple[Tensor, Tensor]:
        """Keys and values so far, and what room there is after them."""
        assert self._room is not None
        return self._room

    def take(self, rows: Tensor) -> None:
        """Goes on with these rows (B',) of those so far, as a search does that follows some of several ways."""
        if self._room is None:
            return
        keys, values = self._room
        if len(rows) != len(keys) or keys.shape[2] == self.length:  # else the room is its own, and rows move within it
            self._room = keys.index_select(0, rows), values.index_select(0, rows)
            return
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero()[:, 0]
        for part in (keys[:, :, : self.length], values[:, :, : self.length]):
            part[moved] = part[rows[moved]]


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(width / heads)) V, over the tokens themselves or over a memory (cross-attention).

    width: of the tokens. heads: must divide it. memory: the width of the memory's tokens, 0 = attend to oneself.
    bias: whether the four projections have one. Raises PlanError if the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, /, *, memory: int = 0, bias: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise PlanError(f"heads = {heads} does not divide width = {width}; try heads = {_divisor(width, heads)}")
        self.heads, self.memory = heads, memory
        self.query = nn.Linear(width, width, bias=bias)
        self.keyvalue = nn.Linear(memory or width, 2 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        allowed: Bool[Tensor, "c 1 u s"] | None = None,
        *,
        memory: Float[Tensor, "n s m"] | None = None,
        turn: Float[Tensor, "2 t p2"] | None = None,
        causal: bool = False,
        cache: Cache | None = None,
    ) -> Float[Tensor, "b t d"]:
        """(B, T, width) to (B, T, width).

        allowed: (B, 1, T or 1, S) keys that may be seen, from `allowed_keys`; None = all. memory: (B, S, memory), or
        (N, S, memory) and `allowed` (N, 1, 1, S) where every B / N rows in a row share one. turn: rotations of queries
        and keys, from `rotations`. causal: no look-ahead; only without `allowed`, which else says so itself. cache:
        keys and values of earlier tokens, to which these are added; of a memory, those of its first reading.
        """
        q = self._split(self.query(x))
        if memory is not None and cache is not None and cache.length:
            k, v = cache.room()
        else:
            k, v = (self._split(part) for part in self.keyvalue(x if memory is None else memory).chunk(2, -1))
            k = k if turn is None else rotate(k, turn)
            if cache is not None:
                k, v = cache.add(k, v)
        q = q if turn is None else rotate(q, turn)
        if len(q) == len(k):
            length = None if cache is None else cache.length
            y = attend(q, k, v, allowed, causal=causal and allowed is None, length=length)
        else:
            y = _together(q, k, v, allowed)
        return self.out(y.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _together(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
    """(B, h, T, p) as `attend` of queries (B, h, T, p) and N memories, every B / N rows in a row sharing one."""
    ways, t = len(q) // len(k), q.shape[2]
    y = attend(q.unflatten(0, (-1, ways)).transpose(1, 2).flatten(2, 3), k, v, allowed)
    return y.unflatten(2, (ways, t)).transpose(1, 2).flatten(0, 1)


def _divisor(width: int, heads: int) -> int:
    return max(n for n in range(1, heads + 1) if width % n == 0)
