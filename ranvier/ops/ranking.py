"""How well one order agrees with another, with weights and ties.

Of scores with two classes: areas under curves. Of numbers with numbers: rank correlations. A row of weight w counts as
w rows.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import DataError

BLOCK = 32  # rows that are compared each with each


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


def area_under_roc(true: Float[Tensor, "*many k"], false: Float[Tensor, "*many k"]) -> Float[Tensor, "*many"]:
    """ROC AUC of what `cumulated` gave, along the last axis; both must end above 0."""
    above = true - 0.5 * _steps(true)  # the middle of each step: ties count half
    return (_steps(false) * above).sum(-1) / (true[..., -1] * false[..., -1])


def area_under_precision(true: Float[Tensor, "*many k"], false: Float[Tensor, "*many k"]) -> Float[Tensor, "*many"]:
    """Average precision of what `cumulated` gave, along the last axis; `true` must end above 0."""
    found = true + false
    precision = torch.where(found > 0, true / found.clamp_min(torch.finfo(found.dtype).tiny), found)
    return (_steps(true) * precision).sum(-1) / true[..., -1]


def spearman(
    x: Float[Tensor, " n"], y: Float[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Spearman's rho: Pearson's correlation of the ranks, ties having the middle of theirs; in [-1, 1], float64.

    weight: (N,), not negative, ones if None. Raises DataError where x or y does not vary.
    Source: Spearman 1904, doi:10.2307/1412159.
    """
    amount = _amount(x, weight)
    a, b = _mid_ranks(x, amount), _mid_ranks(y, amount)
    a, b = a - (amount * a).sum() / amount.sum(), b - (amount * b).sum() / amount.sum()
    spread = (amount * a.square()).sum() * (amount * b.square()).sum()
    _check_varies(spread)
    return ((amount * a * b).sum() / spread.sqrt()).clamp(-1, 1)


def kendall(
    x: Float[Tensor, " n"], y: Float[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Kendall's tau-b: (P - Q) / sqrt((pairs not tied in x) (pairs not tied in y)); in [-1, 1], float64.

    P counts the pairs of rows that x and y put in one order, Q those in opposite ones, each with the product of the two
    rows' weights (N,), ones if None. Sorts, so that it takes O(N log^2 N). Raises DataError where x or y does not
    vary. Source: Kendall 1945, doi:10.1093/biomet/33.3.239.
    """
    amount = _amount(x, weight)
    a, b = (values.unique(return_inverse=True)[1] for values in (x, y))
    both = a * (b.max() + 1) + b
    order = both.argsort()
    # twice the pairs, and each row with itself, which all four sums hold alike
    all_pairs, in_x, in_y, in_both = amount.sum().square(), *(_ties(codes, amount) for codes in (a, b, both))
    untied = (all_pairs - in_x) * (all_pairs - in_y)
    _check_varies(untied)
    agreement = all_pairs - in_x - in_y + in_both - 4 * _inversions(b[order], amount[order])
    return (agreement / untied.sqrt()).clamp(-1, 1)


def _amount(x: Tensor, weight: Tensor | None) -> Tensor:
    return torch.ones_like(x, dtype=torch.float64) if weight is None else weight.to(torch.float64)


def _check_varies(spread: Tensor) -> None:
    if not spread > 0:
        raise DataError("a rank correlation needs two rows or more that differ in both numbers")


def _mid_ranks(x: Tensor, amount: Tensor) -> Tensor:
    """(N,) the weight of all lower rows and half that of the equal ones."""
    values, code = x.unique(return_inverse=True)
    tied = amount.new_zeros(len(values)).index_add_(0, code, amount)
    return (tied.cumsum(0) - 0.5 * tied)[code]


def _ties(code: Tensor, amount: Tensor) -> Tensor:
    """The sum over groups of equal codes of their squared weight."""
    group = code.unique(return_inverse=True)[1]
    return amount.new_zeros(len(code)).index_add_(0, group, amount).square().sum()


def _inversions(code: Tensor, amount: Tensor) -> Tensor:
    """The sum of w_i w_j over i < j with code_i > code_j: within blocks by comparing all, then while merging them.

    code: (N,) integers from 0.
    """
    side = BLOCK
    while side < len(code):
        side *= 2
    padding = (0, side - len(code))
    span = int(code.max()) + 2
    code, amount = F.pad(code, padding, value=span - 1), F.pad(amount, padding)  # of weight 0, and above all
    blocks, weights = code.view(-1, BLOCK), amount.view(-1, BLOCK)
    worse = (blocks[:, :, None] > blocks[:, None, :]).triu(1).double()
    total = torch.einsum("ni,nij,nj->", weights, worse, weights)
    while len(blocks) > 1:
        blocks, order = blocks.sort(1)
        weights = weights.gather(1, order)
        left, right = blocks[0::2], blocks[1::2]
        pair = torch.arange(len(left))[:, None]
        line = (left + pair * span).flatten()  # ascending as a whole
        upto = F.pad(weights[0::2].flatten().cumsum(0), (1, 0))
        at = torch.searchsorted(line, (right + pair * span).flatten(), right=True).view_as(right)
        total = total + (weights[1::2] * (upto[(pair + 1) * left.shape[1]] - upto[at])).sum()
        blocks, weights = blocks.reshape(len(left), -1), weights.reshape(len(left), -1)
    return total


def _steps(curve: Tensor) -> Tensor:
    return curve.diff(dim=-1, prepend=curve.new_zeros(*curve.shape[:-1], 1))
