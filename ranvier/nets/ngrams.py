"""Vectors of n-grams: what a token and those before it say together, looked up instead of computed.

Shapes: B rows, T tokens, D features.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError

LEAST, MOST = 2, 8  # tokens of an n-gram; longer ones hardly come again
FACTOR, MIX = 0x100000001B3, 0x2545F4914F6CDD1D  # primes of a polynomial over tokens, and of what spreads it


class NGrams(nn.Module):
    """sum_{n = 2..longest} E_n[hash(x_t-n+1 ... x_t) mod rows]: (B, T) tokens to (B, T, width).

    What stands before the first token is 0. n-grams that fall on one row share its vector. All rows begin at zero, so
    that at first nothing is added. rows: of each table. Sources: hashed n-grams at the input of a language model,
    Huang et al., "Over-Tokenized Transformer", arXiv:2501.16975; hashed tokens, Clark et al., "CANINE",
    arXiv:2103.06874. Raises PlanError for a length or number of rows out of range.
    """

    def __init__(self, width: int, /, *, longest: int = 3, rows: int = 1_536) -> None:
        super().__init__()
        if not LEAST <= longest <= MOST:
            raise PlanError(f"grams = {longest}: the longest n-gram has {LEAST} to {MOST} tokens; 0 = none")
        if rows < 1:
            raise PlanError(f"rows = {rows}: a table of n-grams has at least one")
        self.before, self.rows = longest - 1, rows
        tables = [nn.Embedding(rows, width) for _ in range(self.before)]
        for table in tables:
            nn.init.zeros_(table.weight)
        self.tables = nn.ModuleList(tables)

    def forward(self, tokens: Int[Tensor, "b t"], last: Int[Tensor, "b k"] | None = None) -> Float[Tensor, "b t d"]:
        """(B, T) to (B, T, width). last: (B, longest - 1) the tokens before these, None = none."""
        tokens = tokens.long()
        known = F.pad(tokens, (self.before, 0)) if last is None else torch.cat([last, tokens], 1)
        gram, total = tokens, None
        for back, table in enumerate(self.tables, 1):
            gram = gram * FACTOR + known[:, self.before - back : known.shape[1] - back] + 1
            found = table(_mixed(gram) % self.rows)
            total = found if total is None else total + found
        assert total is not None
        return total


def _mixed(number: Tensor) -> Tensor:
    """All bits of a hash bear on the lowest; products wrap round, and the result is never negative."""
    number = (number ^ (number >> 29)) * MIX
    return (number ^ (number >> 32)) & 0x7FFFFFFF
