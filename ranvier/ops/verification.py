"""Whether two rows are of the same identity, told by the cosine of their vectors: figures over pairs of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.protocols import Value

KEPT = 2_048  # rows whose pairs are looked at: two million, sorted in a fifth of a second
WATCHED = 512  # of them while training
TOGETHER = 6  # rows of an identity that are drawn together, so that there are pairs of one


@dataclass(frozen=True)
class Curve:
    """auc: the chance that a pair of one identity is more alike than a pair of two (ties count half). eer: the equal
    error rate, the share of pairs of two identities taken for one where that of pairs of one taken for two is the same.
    threshold: the similarity from which on pairs are then taken for one."""

    auc: float
    eer: float
    threshold: float


def curve(alike: Float[Tensor, " p"], same: Bool[Tensor, " p"]) -> Curve:
    """alike: (P,) similarities. same: (P,) whether a pair is of one identity. Not-a-number without pairs of both kinds.

    Between two neighbouring thresholds the two error rates are taken for straight lines.
    """
    ones, twos = int(same.sum()), int((~same).sum())
    if not ones or not twos or not alike.isfinite().all():
        return Curve(math.nan, math.nan, math.nan)
    order = alike.argsort(descending=True)
    values, first = alike[order].double(), same[order].double()
    last = torch.cat([values[1:] != values[:-1], torch.ones(1, dtype=torch.bool, device=values.device)])
    found = torch.cat([first.new_zeros(1), (first.cumsum(0) / ones)[last]])  # as the threshold falls to each value
    taken = torch.cat([first.new_zeros(1), ((1 - first).cumsum(0) / twos)[last]])
    auc = float(torch.trapezoid(found, taken))
    gap = taken - (1 - found)  # rises from -1 to 1
    at = int((gap >= 0).nonzero()[0, 0])
    way = float(-gap[at - 1] / (gap[at] - gap[at - 1]))
    eer = float(taken[at - 1].lerp(taken[at], way))
    known = torch.cat([values[:1], values[last], values[-1:]])
    below = known[at].lerp(known[at + 1], 0.5)  # no pair lies between: as far from those above as from those below
    return Curve(auc, eer, float(known[at - 1].lerp(known[at], way) if gap[at] > 0 else below))


def pairs(vectors: Float[Tensor, "n d"], code: Integer[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """(P,) cosines of every pair of rows, P = N (N - 1) / 2, and (P,) whether it is of one identity."""
    unit = F.normalize(vectors.float(), dim=1)
    above = torch.ones(len(unit), len(unit), dtype=torch.bool, device=unit.device).triu(1)
    return (unit @ unit.T)[above], (code[:, None] == code[None, :])[above]


def to_means(
    vectors: Float[Tensor, "n d"], code: Integer[Tensor, " n"], size: int
) -> tuple[Float[Tensor, " p"], Bool[Tensor, " p"]]:
    """(P,) cosines of rows and means of `size` other rows of one identity, and (P,) whether it is the row's own.

    Rows of each identity that has more than `size` of them make as many means as they come to, one after another.
    """
    unit = F.normalize(vectors.float(), dim=1)
    order = code.argsort(stable=True)
    own = code[order]
    first = torch.searchsorted(own, own)
    count = torch.searchsorted(own, own, right=True) - first
    place = torch.arange(len(own), device=own.device) - first
    chosen = order[(count > size) & (place < count - count % size)].view(-1, size)
    means = F.normalize(unit[chosen].mean(1), dim=1)
    apart = torch.ones(len(chosen), len(unit), dtype=torch.bool, device=unit.device).scatter_(1, chosen, False)
    return (means @ unit.T)[apart], (code[chosen[:, :1]] == code[None, :])[apart]


def rank_one(vectors: Float[Tensor, "n d"], code: Integer[Tensor, " n"]) -> float:
    """The share of rows whose nearest other row is of their identity, of those that have another of it.

    Not-a-number where there are no such rows, or no rows of another identity, which could be nearer.
    """
    if len(code.unique()) < 2:
        return math.nan
    unit = F.normalize(vectors.float(), dim=1)
    alike = (unit @ unit.T).fill_diagonal_(-math.inf)
    same = code[:, None] == code[None, :]
    able = same.sum(1) > 1
    return float((code[alike.argmax(1)] == code)[able].double().mean())


def _drawn(code: Integer[Tensor, " n"], lots: Float[Tensor, " n"]) -> Integer[Tensor, " n"]:
    """(N,) the rows as they are drawn: by how many of their identity have lower lots, then by the identity's own lot,
    which follows from its number. More rows only bring others later, so that who was not drawn need not be kept.
    """
    order = lots.argsort(stable=True)
    order = order[code[order].argsort(stable=True)]
    own = code[order]
    place = torch.arange(len(own)) - torch.searchsorted(own, own)
    of_identity = ((own * -7046029254386353131) >> 33 & (2**31 - 1)).double() / 2**31  # multiplicative hash, wraps
    turn = place.div(TOGETHER, rounding_mode="floor") + of_identity
    return order[turn.argsort(stable=True)]


class Verification:
    """Streaming figures of the pairs among at most `kept` rows of all that come: {"auc", "eer", "rank1"}.

    Which rows is drawn at random: up to TOGETHER of an identity, of one identity after another, then as many again; so
    small identities are whole or not there. It does not hang on how rows are divided.

    notes: {figure or "": a sentence} on what they leave out. rows: how many have come.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept, self.rows = kept, 0
        self.notes: dict[str, str] = {}
        self._random = torch.Generator().manual_seed(0)
        self._vectors, self._codes, self._lots = torch.zeros(0, 0), torch.zeros(0, dtype=torch.long), torch.zeros(0)

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds rows: {"vector": (B, D)} and identities (B,); rows without one, or without weight, do not count."""
        vectors, codes = prediction["vector"].float().cpu(), y.data.long().cpu()
        real = torch.ones(len(codes), dtype=torch.bool)
        real = real if y.observed is None else real & y.observed.cpu()
        real = real if weight is None else real & (weight.cpu() > 0)
        self.add(vectors[real], codes[real])

    def add(self, vectors: Float[Tensor, "n d"], codes: Integer[Tensor, " n"]) -> None:
        """Adds rows that all count: (N, D) vectors and (N,) identities."""
        self.rows += len(codes)
        lots = torch.rand(len(codes), generator=self._random)
        held = (self._vectors if len(self._vectors) else vectors[:0], self._codes, self._lots)
        each = [torch.cat([old, new]) for old, new in zip(held, (vectors, codes, lots), strict=True)]
        least = _drawn(each[1], each[2])[: self.kept].sort().values  # in the order of coming
        self._vectors, self._codes, self._lots = (part[least] for part in each)

    def drawn(self) -> tuple[Tensor, Tensor]:
        """(N, D) vectors and (N,) identities of the rows whose pairs are looked at."""
        return self._vectors, self._codes

    def compute(self) -> dict[str, float]:
        """The figures; not-a-number where there are no pairs of both kinds, which notes say."""
        vectors, codes = self._vectors, self._codes
        told = curve(*pairs(vectors, codes))
        if self.rows > len(codes):
            self.notes["pairs"] = (
                f"figures are of the pairs among {len(codes):,} of {self.rows:,} rows, drawn at random by identity"
            )
        if math.isnan(told.auc):
            self.notes["auc"] = "there are no pairs of one identity, or none of two, so that nothing can be verified"
        nearest = rank_one(vectors, codes)
        if math.isnan(nearest):
            self.notes["rank1"] = "all rows are of one identity, or each is of another, so that none can be mistaken"
        return {"auc": told.auc, "eer": told.eer, "rank1": nearest}
