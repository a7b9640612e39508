"""Characters of several bytes, which are written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

LONGEST = 4  # bytes of a character
# of each state the bytes that may follow, from and to, and the state after them (RFC 3629, section 4); 0 = a whole
# character, 1 to 3 = so many bytes are missing, 4 to 7 = after a first byte that not all bytes may follow
FOLLOW = (
    (
        (0x00, 0x7F, 0),
        (0xC2, 0xDF, 1),
        (0xE0, 0xE0, 4),
        (0xED, 0xED, 5),
        (0xE1, 0xEF, 2),
        (0xF0, 0xF0, 6),
        (0xF1, 0xF3, 3),
        (0xF4, 0xF4, 7),
    ),
    ((0x80, 0xBF, 0),),
    ((0x80, 0xBF, 1),),
    ((0x80, 0xBF, 2),),
    ((0xA0, 0xBF, 1),),
    ((0x80, 0x9F, 1),),
    ((0x90, 0xBF, 2),),
    ((0x80, 0x8F, 2),),
)
TORN = len(FOLLOW)  # the state after what is no text


class Characters(nn.Module):
    """Which tokens may follow where a character of UTF-8 is not whole yet, and where it is.

    tokens: the bytes of each of V, none of those that are no text, which follow whole characters alone.
    """

    torn: Tensor  # (states, V) whether the token would tear a character
    after: Tensor  # (states, V) the state after it; what is torn is past, and its last token begins anew

    def __init__(self, tokens: Sequence[bytes], /) -> None:
        super().__init__()
        after = torch.from_numpy(_after(tokens))
        self.register_buffer("torn", after == TORN, persistent=False)
        after = torch.where(self.torn, after[0], after)
        self.register_buffer("after", after.masked_fill(after == TORN, 0), persistent=False)

    def read(self, tokens: Tensor) -> Tensor:
        """(B,) the state after tokens (B, T)."""
        state = tokens.new_zeros(len(tokens))
        for token in tokens[:, -LONGEST:].unbind(1):
            state = self.after[state, token]
        return state


def _after(tokens: Sequence[bytes]) -> np.ndarray:
    """(states, V) the state after each token."""
    step = np.full((TORN + 1, 256), TORN)
    for before, bounds in enumerate(FOLLOW):
        for low, high, then in reversed(bounds):  # the first that holds a byte counts
            step[before, low : high + 1] = then
    lengths = np.array([len(token) for token in tokens])
    state = np.repeat(np.arange(TORN)[:, None], len(tokens), 1)
    for place in range(max(lengths, default=0)):
        longer = np.flatnonzero(lengths > place)
        read = np.array([token[place] for token in tokens if len(token) > place])
        state[:, longer] = step[state[:, longer], read]
    state[1:, lengths == 0] = TORN
    return state
