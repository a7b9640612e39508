"""Characters of several bytes, which are written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TORN = -1
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


class Characters:
    """Which tokens may follow where a character of UTF-8 is not whole yet, and where it is.

    tokens: the bytes of each of V, none of those that are no text, which follow whole characters alone. device:
    where they are written.
    """

    def __init__(self, tokens: Sequence[bytes], device: torch.device | None = None) -> None:
        # (states, V): the state after each token
        after = [[_after(token, state) for token in tokens] for state in range(len(FOLLOW))]
        self.after = torch.tensor(after, device=device)

    def forbid(self, scores: Tensor, said: Tensor) -> Tensor:
        """Scores (B, V) of the token after those said (B, T): -inf where it would tear a character."""
        state = said.new_zeros(len(said))
        for token in said[:, -LONGEST:].unbind(1):
            after = self.after[state, token]
            state = torch.where(after == TORN, self.after[0, token], after).clamp(min=0)  # what is torn already is past
        return scores.masked_fill(self.after[state] == TORN, -torch.inf)


def _after(token: bytes, state: int) -> int:
    """The state after the token, or TORN."""
    if not token:
        return TORN if state else 0
    for byte in token:
        state = next((then for low, high, then in FOLLOW[state] if low <= byte <= high), TORN)
        if state == TORN:
            break
    return state
