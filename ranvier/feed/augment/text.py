"""Texts varied while training, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.columns.sequence import UNSPACED
from ranvier.core.column import Column
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Augment, Value
from ranvier.core.spec import Spec

# A token goes on with the word before it if its text begins with a letter, a mark, a digit, or part of a character.
GOES_ON = r"^[\p{L}\p{M}\p{N}\x{FFFD}]"


class WordDrop(Augment):
    """Takes words out of texts, tokens (B, T) with a mask: each word with probability `drop`, never all of a row's.

    A word taken out is gone: what follows moves up, as in a text that never had it, and padding stays at the end. Where
    the column is known, a word is all its tokens: up to the next space or sign, and in scripts without spaces a single
    token; where it is not, every token is a word. Of a row that would lose every word, one stays, each as likely as
    another. Rows without tokens stay as they are.

    A pure function of the batch and its generator. drop: 0 to 1. Raises PlanError for a column that holds no tokens,
    and for a chance out of range. Sources: word dropout, Iyyer et al. 2015, "Deep unordered composition rivals
    syntactic methods for text classification" (ACL); random deletion, Wei & Zou 2019, arXiv:1901.11196.
    """

    def __init__(self, spec: Spec, columns: Sequence[Column] = (), /, *, drop: float = 0.1) -> None:
        if spec.kind != "tokens":
            raise PlanError(f"WordDrop varies a column of kind tokens, and this one is {spec.kind!r}")
        if not 0 <= drop <= 1:
            raise PlanError(f"drop = {drop}: expected a chance, 0 to 1")
        self.drop = drop
        self.begins = _begins(columns[0], spec.size) if columns else torch.ones(spec.size, dtype=torch.bool)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves texts, where asked for."""
        return (0.3, "a text says the same without some of its words") if spec.kind == "tokens" else (0.0, "")

    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value without the words that were drawn, cut to the longest row that is left."""
        ids = value.data
        if not ids.numel():
            return value
        mask = torch.ones_like(ids, dtype=torch.bool) if value.mask is None else value.mask
        kept = mask & self._stays(ids, mask, generator)
        length = kept.sum(1, keepdim=True)
        longest = int(length.max())
        place = torch.where(kept, kept.cumsum(1) - 1, longest)  # what goes out lands behind the end

        def moved(tensor: Tensor) -> Tensor:
            out = tensor.new_zeros(len(tensor), longest + 1, *tensor.shape[2:])
            to = place.view(*place.shape, *[1] * (tensor.ndim - 2)).expand_as(tensor)
            return out.scatter_(1, to, tensor)[:, :longest]

        spans = None if value.spans is None else moved(value.spans)
        real = torch.arange(longest, device=ids.device) < length
        return Value(moved(ids) * real, real, value.observed, spans)

    def _stays(self, ids: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
        """(B, T) whether a token's word stays: every word has a lot, the row's highest always stays."""
        lot = torch.rand(ids.shape, generator=generator, device=ids.device)
        self.begins = self.begins.to(ids.device)
        begins = self.begins[ids]
        begins[:, 0] = True
        lot = lot.gather(1, begins.cumsum(1) - 1)
        highest = lot.masked_fill(~mask, -1.0).amax(1, keepdim=True)
        return (lot >= self.drop) | (lot == highest)


def _begins(column: Column, size: int) -> Tensor:
    """(size,) whether a token begins a word, from the text that the column gives for it alone."""
    every = np.arange(size)[:, None]
    said = column.decode({"tokens": every, "mask": np.ones_like(every, bool)}).to_series(0)
    if said.dtype != pl.String:
        return torch.ones(size, dtype=torch.bool)
    goes_on = said.str.contains(GOES_ON) & ~said.str.contains(f"^{UNSPACED}")
    return torch.from_numpy(~goes_on.to_numpy())
