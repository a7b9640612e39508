"""A bag of hashed n-grams: order counts inside an n-gram only, and nothing is faster."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor, nn
from torch.nn import functional as F

# Odd multipliers of a linear congruential step and of a finalizer, all below 2 ** 31 so that products of two numbers
# below 2 ** 31 stay inside int64 and hashes are the same on every device.
STEP = 1_103_515_245
MIX = 1_566_083_941
BITS = 2**31 - 1


class HashedBag(nn.Module):
    """Tokens (B, T) to a vector (B, width): the sum of the vectors of all n-grams of 1 to `order` tokens, over the
    square root of their number, so that long and short rows have vectors of like length.

    Single tokens have rows of their own in the table, longer n-grams share `buckets` rows by a hash; an order of 1
    needs none. The table starts at zero, so that an n-gram never met in training says nothing; a linear map after it
    gets the first gradient.

    Source: fastText (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", sec. 2.2), with a square
    root in place of the mean. Raises ValueError for sizes below 1, or n-grams without buckets.
    """

    def __init__(self, size: int, width: int, /, *, order: int = 2, buckets: int = 131_072) -> None:
        super().__init__()
        if min(size, width, order) < 1 or (order > 1 and buckets < 1):
            raise ValueError(f"HashedBag: size {size}, width {width}, order {order}, buckets {buckets}: 1 or more each")
        self.size, self.width, self.order, self.buckets = size, width, order, buckets if order > 1 else 0
        self.padding = size + self.buckets  # one more row, for n-grams that are not there
        self.table = nn.Embedding(self.padding + 1, width, padding_idx=self.padding)
        nn.init.zeros_(self.table.weight)

    def forward(self, tokens: Integer[Tensor, "b t"], mask: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d"]:
        """(B, T) and a mask, True where real, to (B, width); zeros for a row without tokens."""
        grams = self.grams(tokens, mask)
        real = grams != self.padding
        count = real.sum(1)
        if torch.compiler.is_compiling():  # shapes may not depend on data; padding costs time then
            total = F.embedding_bag(grams, self.table.weight, mode="sum", padding_idx=self.padding)
        else:
            total = F.embedding_bag(grams[real], self.table.weight, count.cumsum(0) - count, mode="sum")
        return total * count.clamp(min=1).to(total.dtype).rsqrt()[:, None]

    def grams(self, tokens: Integer[Tensor, "b t"], mask: Bool[Tensor, "b t"] | None = None) -> Int[Tensor, "b n"]:
        """The table's row for every n-gram of every row (B, T + (T - 1) + ...), `padding` where there is none.

        A mask may have holes: n-grams of neighbours are taken only where all of them are real.
        """
        ids = tokens.long()
        real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        ids = ids.clamp(0, self.size - 1)
        found = [ids.masked_fill(~real, self.padding)]
        whole = real
        hashed = ids + 1
        for n in range(2, min(self.order, ids.shape[1]) + 1):
            hashed = _mixed(hashed[:, :-1] * STEP + ids[:, n - 1 :] + 1)
            real = real[:, :-1] & whole[:, n - 1 :]
            found.append((self.size + hashed % self.buckets).masked_fill(~real, self.padding))
        if ids.shape[1] == 0:  # embedding_bag needs a column
            return ids.new_full((ids.shape[0], 1), self.padding)
        return torch.cat(found, 1)


def _mixed(number: Tensor) -> Tensor:
    """A bijection of 31-bit numbers that spreads every bit over all: two rounds of shift and multiply."""
    number = number & BITS
    for _ in range(2):
        number = ((number ^ (number >> 15)) * MIX) & BITS
    return number ^ (number >> 16)
