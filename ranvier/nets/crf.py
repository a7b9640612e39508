"""The linear-chain conditional random field as a layer: what it learns are the links between neighbouring labels."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ranvier.ops.crf import Links, best_path, log_partition, marginals, path_score


class CRF(nn.Module):
    """-log p(path) of paths of labels, of which neighbours see one another (`ranvier.ops.crf`; Lafferty et al. 2001).

    labels: C. first (C,), follows (C, C): which labels may begin, and which may come after which (from, to); None =
    all. Those that may not have probability 0, whatever is learnt. Forward gives the loss, `best` the path of the
    highest probability, `marginals` each word's probabilities.
    """

    def __init__(
        self,
        labels: int,
        /,
        *,
        first: Bool[Tensor, " c"] | None = None,
        follows: Bool[Tensor, "c c"] | None = None,
    ) -> None:
        super().__init__()
        self.start, self.end = nn.Parameter(torch.zeros(labels)), nn.Parameter(torch.zeros(labels))
        self.steps = nn.Parameter(torch.zeros(labels, labels))
        self.first: Tensor | None
        self.follows: Tensor | None
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("follows", follows, persistent=False)

    def links(self) -> Links:
        """Start (C,), steps (C, C) and end (C,), -inf where a label may not be."""
        start = self.start if self.first is None else self.start.masked_fill(~self.first, -torch.inf)
        steps = self.steps if self.follows is None else self.steps.masked_fill(~self.follows, -torch.inf)
        return Links(start, steps, self.end)

    def forward(
        self, scores: Float[Tensor, "b t c"], path: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        """(B,) -log of the path's probability; 0 for a row without words."""
        links = self.links()
        return log_partition(scores, links, mask) - path_score(scores, links, mask, path)

    def best(self, scores: Float[Tensor, "b t c"], mask: Bool[Tensor, "b t"]) -> Int[Tensor, "b t"]:
        """(B, T) the most probable path, 0 beyond the mask."""
        return best_path(scores, self.links(), mask)

    def marginals(self, scores: Float[Tensor, "b t c"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t c"]:
        """(B, T, C) each word's probability of each label, over all paths."""
        return marginals(scores, self.links(), mask)
