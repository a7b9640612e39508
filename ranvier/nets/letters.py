"""What a word's letters say of it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

BYTES = 256


class Letters(nn.Module):
    """A word's bytes (B, T, L), each plus 1 and 0 where there is none, to what they say of it, (B, T, width).

    A convolution over vectors of the bytes, and each filter's greatest answer, so that endings and beginnings are found
    wherever they stand. Every word of a batch is read once, however often it stands there. Source: Ma & Hovy,
    "End-to-end sequence labeling via bi-directional LSTM-CNNs-CRF", ACL 2016, section 2.1. filters: how many. window:
    bytes that each sees.
    """

    def __init__(self, width: int, /, *, filters: int = 64, window: int = 3, embedding: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(BYTES + 1, embedding, padding_idx=0)
        self.filters = nn.Conv1d(embedding, filters, window, padding=window // 2)
        self.out = nn.Linear(filters, width, bias=False)

    def forward(self, letters: Int[Tensor, "b t l"]) -> Float[Tensor, "b t d"]:
        """What stands in no word, all zeros, says something too, and is to be masked."""
        words, place = torch.unique(letters.flatten(0, 1), dim=0, return_inverse=True)
        read = self.filters(self.embedding(words.long()).mT)
        said = self.out(F.relu(read.amax(2)))
        return said[place].unflatten(0, letters.shape[:2])
