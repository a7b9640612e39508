"""Losses as pure functions of tensors: each gives one number per row, (B,), which the engine sums and normalises.

Predictions are logits where there are classes or labels. Half-precision predictions are widened to float32 first,
because a loss is a small difference of large numbers; float64 stays float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import DataError

_HALF = (torch.float16, torch.bfloat16)


def cross_entropy(
    prediction: Float[Tensor, "b c"],
    target: Integer[Tensor, " b"],
    smoothing: float = 0.0,
    class_weight: Float[Tensor, " c"] | None = None,
) -> Float[Tensor, " b"]:
    """Surprise at the true class, in nats: -sum_c q_c w_c log softmax(prediction)_c.

    prediction: (B, C) logits. target: (B,) class numbers in [0, C). smoothing: s in [0, 1) spreads s evenly over all
    classes, q = (1 - s) onehot(target) + s / C (Szegedy et al. 2016, arXiv:1512.00567, section 7). class_weight:
    (C,) w, all ones if None; rows are not divided by it. Raises IndexError for a target outside [0, C) on a CPU.
    """
    logits = _widened(prediction)
    weight = None if class_weight is None else class_weight.to(logits.dtype)
    return F.cross_entropy(logits, target.long(), weight=weight, reduction="none", label_smoothing=smoothing)


def soft_cross_entropy(prediction: Float[Tensor, "b c"], target: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Surprise at a distribution of classes, in nats: -sum_c q_c log softmax(prediction)_c.

    prediction: (B, C) logits. target: (B, C) probabilities q (a teacher's, or mixed labels); rows should sum to 1.
    """
    logits = _widened(prediction)
    return -(target.to(logits.dtype) * logits.log_softmax(1)).sum(1)


def binary_cross_entropy(
    prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."], smoothing: float = 0.0
) -> Float[Tensor, " b"]:
    """Surprise at independent yes/no labels, in nats, summed over a row's labels.

    prediction: (B, ...) logits. target: 0 and 1 of any type, or probabilities, of the same shape. smoothing: s in
    [0, 1) moves every target to (1 - s) target + s / 2. The stable form is max(z, 0) - z t + log(1 + exp(-|z|)).
    """
    logits, truth = _aligned(prediction, target)
    if smoothing:
        truth = truth * (1.0 - smoothing) + 0.5 * smoothing
    return _row_sum(F.binary_cross_entropy_with_logits(logits, truth, reduction="none"))


def squared_error(prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """(prediction - target)^2, summed over a row's elements; its minimum is the mean. Shapes (B, ...) alike."""
    values, truth = _aligned(prediction, target)
    return _row_sum((values - truth).square())


def absolute_error(prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """|prediction - target|, summed over a row's elements; its minimum is the median. Shapes (B, ...) alike."""
    values, truth = _aligned(prediction, target)
    return _row_sum((values - truth).abs())


def huber(
    prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."], delta: float = 1.0
) -> Float[Tensor, " b"]:
    """e^2 / 2 for |e| <= delta, else delta (|e| - delta / 2), summed over a row's elements. Shapes (B, ...) alike.

    e = prediction - target; delta > 0, in the target's unit. Source: Huber 1964, doi:10.1214/aoms/1177703732.
    """
    values, truth = _aligned(prediction, target)
    return _row_sum(F.huber_loss(values, truth, reduction="none", delta=delta))


def inverse_frequency(counts: Shaped[Tensor, " c"]) -> Float[Tensor, " c"]:
    """Row weights by class that give every class the same say: N / (present classes * count), 0 for an absent class.

    counts: (C,) rows (or summed row weights) of each class. Over all rows the weights sum to N, so that losses keep
    their size. This is scikit-learn's class_weight="balanced" where all classes are present.
    """
    amounts = counts.to(torch.float64)
    present = amounts > 0
    share = amounts.sum() / (present.sum().clamp_min(1) * amounts.clamp_min(torch.finfo(torch.float64).tiny))
    return torch.where(present, share, torch.zeros_like(share)).to(torch.float32)


def known(target: Integer[Tensor, " b"], size: int, real: Bool[Tensor, " b"] | None = None) -> Integer[Tensor, " b"]:
    """Class numbers that are safe to index with: (B,), those of absent or unseen values moved to the last class.

    For rows whose weight is 0 anyway. size: classes, >= 1. real: (B,), False where the value is missing.
    """
    if real is not None:
        target = target.masked_fill(~real, 0)
    return target.long().clamp(0, size - 1)


def _widened(prediction: Tensor) -> Tensor:
    return prediction.float() if prediction.dtype in _HALF else prediction


def _row_sum(loss: Tensor) -> Tensor:
    return loss if loss.ndim == 1 else loss.flatten(1).sum(1)


def _aligned(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one float type and shape; (B, 1) meets (B,), and nothing else is broadcast."""
    values = _widened(prediction)
    if values.shape != target.shape:
        # broadcasting (B, 1) against (B,) would silently make (B, B)
        if values.shape[0] != target.shape[0] or values.numel() != len(values) or target.numel() != len(target):
            raise DataError(
                f"the prediction has the shape {tuple(values.shape)}, the target {tuple(target.shape)}; "
                "a loss compares them element by element: give the network as many outputs as the target has"
            )
        values, target = values.flatten(), target.flatten()
    return values, target.to(values.dtype)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "soft_cross_entropy": soft_cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
}
"""For plain training: name -> function of (prediction, target) that gives (B,)."""
