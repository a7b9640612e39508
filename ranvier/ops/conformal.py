"""Conformal prediction: intervals and sets of classes that hold the truth as often as they say, whatever the model.

Of rows that the model has not learnt from, scores R_i tell how far it was from the truth. If these rows and a new one
come in random order, the new score is among the r smallest of n + 1 with probability r / (n + 1), and what scores no
more than the r-th of the n, r = ceil((n + 1) level), holds the truth with at least the level (Vovk et al. 2005; Lei et
al. 2018, arXiv:1604.04173). Scores come in k parts, of which each has a model of its own that never saw it: one part is
split conformal prediction, several are CV+ (Barber et al. 2021, arXiv:1905.02928: certain is then no more than
1 - 2 (1 - level) - sqrt(2 / n), and seen is the level).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ranvier.core.errors import DataError

ROUNDS = 64  # halvings of a bracket, which leave no more of it than float64 can tell apart
ROUNDING = 1e-9  # of (n + 1) level, so that 0.9 * 10 is 9


def rank(rows: int, level: float) -> int:
    """ceil((n + 1) level), from 1 on: which of n scores, ascending, bounds a new one with this probability.

    Raises DataError for a level outside (0, 1), and for fewer rows than it needs.
    """
    if not 0 < level < 1:
        raise DataError(f"level = {level:g}: expected a share of the rows between 0 and 1, such as 0.9")
    place = max(1, math.ceil((rows + 1) * level - ROUNDING))
    if place > rows:
        needed = math.ceil(level / (1 - level) * (1 - ROUNDING))
        raise DataError(f"level = {level:g} needs {needed:,} rows that were held out and have a truth, got {rows:,}")
    return place


def interval(
    centre: Float[Tensor, "n k"], spread: Float[Tensor, "n k"], scores: Sequence[Float[Tensor, " _"]], level: float
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """(low, high), (N,) each, from what each part's model says: its number (N, K) and the error that it expects (N, K).

    scores: |truth - centre| / spread of the rows held out, K parts, each ascending. high is the r-th smallest of
    centre_k + spread_k R_i over all rows i of all parts k, low the same from above. float64.
    Raises DataError as `rank` does.
    """
    c, s, parts = centre.double(), spread.double(), [part.double() for part in scores]
    place = rank(sum(map(len, parts)), level)
    return -_upper(-c, s, parts, place), _upper(c, s, parts, place)


def _upper(c: Tensor, s: Tensor, parts: list[Tensor], place: int) -> Tensor:
    """(N,) the place-th smallest of c_k + s_k R_i."""
    if len(parts) == 1:
        return c[:, 0] + s[:, 0] * parts[0][place - 1]
    if place > sum(int(part.isfinite().sum()) for part in parts):
        return torch.full_like(c[:, 0], torch.inf)
    last = torch.stack([torch.cat([part[:1], part[part.isfinite()]])[-1] for part in parts])
    ends = torch.stack([torch.stack([part[0] for part in parts]), last])  # (2, K); an infinite one is above all
    low, high = (c + s * ends[0]).amin(1), (c + s * ends[1]).amax(1)
    for _ in range(ROUNDS):
        middle = low + (high - low) / 2
        enough = _below((middle[:, None] - c) / s, parts, right=True) >= place
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high


def classes(doubt: Float[Tensor, "n c k"], scores: Sequence[Float[Tensor, " _"]], level: float) -> Bool[Tensor, "n c"]:
    """(N, C) which classes a row's set holds, from each part's model's doubt of each, 1 - p_c (N, C, K).

    scores: the doubt of the true class of the rows held out, K parts, each ascending. A class stands in the set where
    fewer than r of them are below its own: of one part the smallest sets on average (Sadinle, Lei and Wasserman 2019,
    arXiv:1609.00451), of several those of Romano, Sesia and Candes 2020, arXiv:2006.02544. The one that all models
    together doubt least is always there, so that no set is empty. Raises DataError as `rank` does.
    """
    place = rank(sum(map(len, scores)), level)
    d = doubt.double()
    inside = _below(d.flatten(0, 1), [part.double() for part in scores], right=False).view(d.shape[:2]) < place
    return inside.scatter(1, d.mean(2).argmin(1, keepdim=True), True)


def _below(values: Tensor, parts: list[Tensor], *, right: bool) -> Tensor:
    """(N,) how many scores of all parts are below the value (N, K) of their own part, or with `right` not above it."""
    each = [torch.searchsorted(part, values[:, k].contiguous(), right=right) for k, part in enumerate(parts)]
    return torch.stack(each).sum(0)


def interval_score(
    low: Float[Tensor, " n"], high: Float[Tensor, " n"], truth: Float[Tensor, " n"], level: float
) -> Float[Tensor, " n"]:
    """(N,) width + 2 / a (how far the truth lies outside), a = 1 - level: smallest for the true quantiles a/2, 1 - a/2.

    Gneiting and Raftery 2007, doi:10.1198/016214506000001437, equation 43.
    """
    outside = (low - truth).clamp_min(0) + (truth - high).clamp_min(0)
    return high - low + 2 / (1 - level) * outside
