"""Copying: a writer may say a token again that it reads.

Shapes: B rows, T tokens written, S tokens read, D features, V tokens of the vocabulary that both share.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.attention import allowed_keys
from ranvier.nets.generate import Place

RARELY = -2.0  # the gate's first bias: one token in eight
NEVER = 1e-30  # a probability whose logarithm is still a number


class Pointer(nn.Module):
    """p(w) = (1 - g) p_vocabulary(w) + g sum_{s: x_s = w} a_s, g and a made of what the writer thinks.

    g = sigmoid(v . h + b), a = softmax_s((W h) . (U m_s) / sqrt(width)), x_s the token read at s. So a rare word is
    written by pointing at it. Source: See, Liu & Manning, "Get to the point", ACL 2017, eq. 8 and 9; its attention is
    apart from the writer's own. width: of h. memory: of m.
    """

    def __init__(self, width: int, memory: int, /) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(memory, width, bias=False)
        self.gate = nn.Linear(width, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, RARELY)

    def forward(
        self,
        hidden: Float[Tensor, "b t d"],
        log_p: Float[Tensor, "b t v"],
        memory: Float[Tensor, "b s m"],
        mask: Bool[Tensor, "b s"],
        read: Int[Tensor, "b s"],
    ) -> Float[Tensor, "b t v"]:
        """(B, T, V) log p of every token at each place, of which the vocabulary says log_p.

        read: the tokens x, -1 = none that may be copied.
        """
        return self.spread(hidden, log_p, self.key(memory), mask, read)

    def spread(
        self,
        hidden: Float[Tensor, "b t d"],
        log_p: Float[Tensor, "b t v"],
        keys: Float[Tensor, "b s d"],
        mask: Bool[Tensor, "b s"],
        read: Int[Tensor, "b s"],
    ) -> Float[Tensor, "b t v"]:
        """As `forward`, the memory having gone through `key`, which is the same for all T."""
        looks = self.look(hidden, keys, mask) * (read >= 0)[:, None]
        places = read.clamp(min=0)[:, None].expand_as(looks)
        copied = torch.zeros_like(log_p).scatter_add(2, places, looks.to(log_p.dtype))
        return _mixed(self.gate(hidden), log_p, copied)

    def look(
        self, hidden: Float[Tensor, "b t d"], keys: Float[Tensor, "b s d"], mask: Bool[Tensor, "b s"]
    ) -> Float[Tensor, "b t s"]:
        """(B, T, S) a, float32 at least."""
        scores = (self.query(hidden) * hidden.shape[-1] ** -0.5) @ keys.mT
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # bf16 is too coarse to add up in
        return scores.masked_fill(~allowed_keys(mask)[:, 0], -torch.inf).softmax(-1)

    def chances(
        self,
        hidden: Float[Tensor, "b t d"],
        keys: Float[Tensor, "b s d"],
        mask: Bool[Tensor, "b s"],
        read: Int[Tensor, "b s"],
        truth: Int[Tensor, "b t"],
    ) -> Float[Tensor, "b t"]:
        """(B, T) how likely each true token is by copying alone."""
        same = read[:, None] == truth[..., None]
        return (self.look(hidden, keys, mask) * same).sum(-1)

    def mixed(
        self, hidden: Float[Tensor, "*n d"], log_p: Float[Tensor, "*n"], copied: Float[Tensor, "*n"]
    ) -> Float[Tensor, "*n"]:
        """log p of a token a place, of which the vocabulary says log_p and copying `copied`, a probability."""
        return _mixed(self.gate(hidden)[..., 0], log_p, copied)


def _mixed(gate: Tensor, log_p: Tensor, copied: Tensor) -> Tensor:
    gate = gate.to(log_p.dtype)
    return torch.logaddexp(F.logsigmoid(-gate) + log_p, F.logsigmoid(gate) + copied.clamp(min=NEVER).log())


class Copying:
    """How far a writer has written that may copy: its own place, and what it copies from.

    keys (B, S, D), their mask (B, S) and the tokens read (B, S), -1 = none to copy.
    """

    def __init__(self, place: Place, keys: Tensor, mask: Tensor, read: Tensor) -> None:
        self.place, self.keys, self.mask, self.read = place, keys, mask, read

    def take(self, rows: Tensor, memory: Tensor | None = None) -> None:
        """Goes on with these rows (B',) of those so far (see `generate.Place`)."""
        self.place.take(rows, memory)
        if memory is not None:
            self.keys, self.mask, self.read = (p.index_select(0, memory) for p in (self.keys, self.mask, self.read))
