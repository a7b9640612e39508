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
    highest probability, `marginals` each word's probabilities. Raises ValueError for scores of other labels, and on a
    CPU, where looking waits for nothing, for a path with other labels and for a mask with gaps.
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
        if labels < 1:
            raise ValueError(f"labels = {labels}: expected 1 or more")
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
        """(B,) -log of the path's probability; 0 for a row without words. Beyond the mask a path may hold anything."""
        path = path.masked_fill(~mask, 0)
        self._check(scores, mask, path)
        links = self.links()
        return log_partition(scores, links, mask) - path_score(scores, links, mask, path)

    def best(self, scores: Float[Tensor, "b t c"], mask: Bool[Tensor, "b t"]) -> Int[Tensor, "b t"]:
        """(B, T) the most probable path, 0 beyond the mask."""
        self._check(scores, mask)
        return best_path(scores, self.links(), mask)

    def marginals(self, scores: Float[Tensor, "b t c"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t c"]:
        """(B, T, C) each word's probability of each label, over all paths."""
        self._check(scores, mask)
        return marginals(scores, self.links(), mask)

    def _check(self, scores: Tensor, mask: Tensor, path: Tensor | None = None) -> None:
        labels = len(self.start)
        if scores.shape[2] != labels:
            raise ValueError(f"scores are of {scores.shape[2]} labels; this CRF was made with {labels}")
        if mask.device.type != "cpu" or torch.compiler.is_compiling():
            return
        if (gap := mask[:, 1:] & ~mask[:, :-1]).any():
            row = int(gap.any(1).nonzero()[0])
            raise ValueError(f"mask: real words (True) come first in a row, and in row {row} some follow padding")
        if path is not None and path.numel() and (int(path.min()) < 0 or int(path.max()) >= labels):
            row, word = ((path < 0) | (path >= labels)).nonzero()[0].tolist()
            got = f"row {row}, word {word} has {int(path[row, word])}"
            raise ValueError(f"path: expected labels from 0 to {labels - 1} (CRF({labels})), and {got}")
