"""Skip-gram with negative sampling: vectors of words that tell their neighbours from words drawn by chance."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F


class SkipGram(nn.Module):
    """Words, neighbours and noise to each pair's loss (B,): of a pair (w, c), with s_wc the product of their vectors,

        -log sigmoid(s_wc) - k mean_n log sigmoid(-s_wn)

    over the words n of the noise, the same for the whole batch; k is `negatives`. A word's vector is the mean of its
    own row of `table` and those of its parts (character n-grams), its vector as a neighbour a row of `contexts`.

    size: words. parts: (rows (M,), starts (size + 1,)): rows[starts[w]:starts[w + 1]] are the parts of word w, numbered
    from 0; they follow the words in the table. Own rows start uniform in +-0.5 / width, parts and contexts at zero, so
    that a part never met says nothing.

    Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality", eq. 4;
    parts: Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"; noise shared by a batch: Ji et al.
    2016, "Parallelizing Word2Vec in Shared and Distributed Memory". Raises ValueError for sizes below 1, or parts whose
    starts are not size + 1 numbers.
    """

    members: Tensor
    starts: Tensor

    def __init__(self, size: int, width: int, /, *, parts: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        if min(size, width) < 1:
            raise ValueError(f"SkipGram: size {size}, width {width}: 1 or more each")
        rows, starts = (torch.zeros(0, dtype=torch.int64), torch.zeros(size + 1, dtype=torch.int64))
        if parts is not None:
            rows, starts = (part.to(torch.int64) for part in parts)
        if starts.shape != (size + 1,) or int(starts[-1]) != len(rows):
            raise ValueError(f"SkipGram: parts of {size} words need {size + 1} starts, the last of them {len(rows)}")
        self.size, self.width = size, width
        own = torch.arange(size)
        counts = starts.diff() + 1
        of_word = torch.repeat_interleave(own, starts.diff())
        members = torch.empty(size + len(rows), dtype=torch.int64)
        begins = starts[:-1] + own
        members[begins] = own
        members[torch.arange(len(rows)) + of_word + 1] = rows + size
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("starts", torch.cat([counts.new_zeros(1), counts.cumsum(0)]), persistent=False)
        number = int(rows.max()) + 1 if len(rows) else 0
        self.table = nn.Parameter(torch.zeros(size + number, width))
        nn.init.uniform_(self.table[:size].detach(), -0.5 / width, 0.5 / width)
        self.contexts = nn.Parameter(torch.zeros(size, width))

    def forward(
        self,
        words: Integer[Tensor, " b"],
        neighbours: Integer[Tensor, " b"],
        noise: Integer[Tensor, " n"],
        *,
        negatives: float = 5.0,
    ) -> Float[Tensor, " b"]:
        """Pairs (B,), (B,) and noise (N,) to losses (B,)."""
        x = self.vectors(words)
        near = F.softplus(-(x * self.contexts[neighbours]).sum(1))
        return near + negatives * F.softplus(x @ self.contexts[noise].T).mean(1)

    def vectors(self, words: Integer[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Words (B,) to their vectors (B, width)."""
        members, begins, _ = self._members(words)
        return F.embedding_bag(members, self.table, begins, mode="mean")

    @torch.no_grad()
    def slopes(
        self,
        words: Integer[Tensor, " u"],
        others: Integer[Tensor, " v"],
        near: Float[Tensor, "u v"],
        far: Float[Tensor, " v"],
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        """The summed loss of many pairs and its gradient, of the rows that they touch, by two matrix products.

        words (U,) and others (V,): each once. near: how often v stands beside u. far: the weight of v as noise of
        each pair.
        Gives the loss (), rows of the table (R,), each once, with their gradient (R, width), and that of the others'
        contexts (V, width).
        """
        members, begins, counts = self._members(words)
        x, y = F.embedding_bag(members, self.table, begins, mode="mean"), self.contexts[others]
        scores = x @ y.T
        weight = torch.addcmul(near, near.sum(1)[:, None], far)
        loss = (weight * F.softplus(scores) - near * scores).sum()
        slope = weight.mul_(scores.sigmoid_()).sub_(near)
        of_words = (slope @ y) / counts[:, None]
        order = torch.argsort(members)
        rows, times = torch.unique_consecutive(members[order], return_counts=True)
        of_member = torch.repeat_interleave(torch.arange(len(words), device=words.device), counts)[order]
        of_rows = F.embedding_bag(of_member, of_words, times.cumsum(0) - times, mode="sum")
        return loss, (rows, of_rows), slope.T @ x

    def _members(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The rows of the words' parts, one after another; where each word's begin, and how many there are."""
        begins = self.starts[words.long()]
        counts = self.starts[words.long() + 1] - begins
        ends = counts.cumsum(0)
        places = torch.arange(int(ends[-1]) if len(ends) else 0, device=words.device)
        return self.members[places + torch.repeat_interleave(begins - ends + counts, counts)], ends - counts, counts
