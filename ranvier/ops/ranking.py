"""How well scores rank the positive rows above the negative ones: areas under curves, with weights and ties."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ranvier.core.errors import DataError


def roc_auc(
    score: Float[Tensor, " n"], positive: Bool[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """The chance that a random positive row scores above a random negative one, ties counting half; float64.

    That is the area under the receiver operating characteristic (Hanley and McNeil 1982,
    doi:10.1148/radiology.143.1.7063747). weight: (N,), not negative, ones if None. Raises DataError where the
    positive or the negative rows have no weight.
    """
    true, false = cumulated(score, positive, weight)
    if true[-1] <= 0 or false[-1] <= 0:
        raise DataError("ROC AUC needs rows of both classes; the positive or the negative rows have no weight")
    return area_under_roc(true, false)


def average_precision(
    score: Float[Tensor, " n"], positive: Bool[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """sum_i (R_i - R_{i-1}) P_i over the distinct scores from high to low, R recall and P precision there; float64.

    Not interpolated, as in scikit-learn. weight: (N,), not negative, ones if None. Raises DataError where the
    positive rows have no weight.
    """
    true, false = cumulated(score, positive, weight)
    if true[-1] <= 0:
        raise DataError("average precision needs positive rows; they have no weight")
    return area_under_precision(true, false)


def cumulated(
    score: Float[Tensor, " n"], positive: Bool[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Weight of the true and of the false positives down to each of the K distinct scores, highest first; float64.

    Raises DataError where there is no row.
    """
    if not len(score):
        raise DataError("a ranking needs at least one row")
    amount = torch.ones_like(score, dtype=torch.float64) if weight is None else weight.to(torch.float64)
    ranked, order = score.sort(descending=True)
    hit, amount = positive[order], amount[order]
    last = torch.ones_like(hit)
    last[:-1] = ranked[1:] != ranked[:-1]  # a run of equal scores is one step
    zero = torch.zeros_like(amount)
    true = torch.where(hit, amount, zero).cumsum(0)
    false = torch.where(hit, zero, amount).cumsum(0)
    return true[last], false[last]


def area_under_roc(true: Float[Tensor, " k"], false: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """ROC AUC of what `cumulated` gave; both must end above 0."""
    above = true - 0.5 * _steps(true)  # the middle of each step: ties count half
    return (_steps(false) * above).sum() / (true[-1] * false[-1])


def area_under_precision(true: Float[Tensor, " k"], false: Float[Tensor, " k"]) -> Float[Tensor, ""]:
    """Average precision of what `cumulated` gave; `true` must end above 0."""
    found = true + false
    precision = torch.where(found > 0, true / found.clamp_min(torch.finfo(found.dtype).tiny), found)
    return (_steps(true) * precision).sum() / true[-1]


def _steps(curve: Tensor) -> Tensor:
    return curve.diff(prepend=curve.new_zeros(1))
