"""Losses as pure functions of tensors: each gives one number per row, (B,), which the engine sums and normalises.

The registry names them (kind "loss"): (prediction, target) come first, and what is keyword-only are the options.
Predictions are logits where there are classes or labels. Half-precision predictions are widened to float32 first,
because a loss is a small difference of large numbers; float64 stays float64. Losses for which the rows of a batch see
one another are in `contrastive.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import DataError
from ranvier.core.plan import Decay, NotNegative, Positive, Share

NEVER = -(2**31)  # a class number that no target has: -100, which torch passes over, would be a loss of 0
_HALF = (torch.float16, torch.bfloat16)


# ---- classes


def cross_entropy(
    prediction: Float[Tensor, "b c"],
    target: Shaped[Tensor, " b"],
    *,
    smoothing: Decay = 0.0,
    class_weight: Sequence[float] | Float[Tensor, " c"] = (),
) -> Float[Tensor, " b"]:
    """Surprise at the true class, in nats: -sum_c q_c w_c log softmax(prediction)_c.

    prediction: (B, C) logits. target: (B,) class numbers in [0, C). smoothing: s in [0, 1) spreads s evenly over all
    classes, q = (1 - s) onehot(target) + s / C (Szegedy et al. 2016, arXiv:1512.00567, section 7). class_weight: C
    numbers w, () for all ones; rows are not divided by it. Raises DataError for real numbers as classes,
    IndexError for a target outside [0, C) on a CPU, RuntimeError for a number of weights other than C.
    """
    logits = widened(prediction)
    weight = _class_weight(class_weight, logits)
    how: dict[str, Any] = {"weight": weight, "label_smoothing": smoothing, "ignore_index": NEVER}
    return F.cross_entropy(logits, class_numbers(target), reduction="none", **how)


def focal(
    prediction: Float[Tensor, "b c"],
    target: Integer[Tensor, " b"],
    *,
    gamma: NotNegative = 2.0,
    smoothing: Decay = 0.0,
    class_weight: Sequence[float] | Float[Tensor, " c"] = (),
) -> Float[Tensor, " b"]:
    """Cross-entropy that cares less for what is already right: -sum_c q_c w_c (1 - p_c)^gamma log p_c.

    p = softmax(prediction), (B, C) logits; q, w and target as in `cross_entropy`, which this is at gamma = 0. Without
    smoothing it is -(1 - p_y)^gamma log p_y, so that a row at p_y = 0.9 counts a hundredth at gamma = 2.
    Source: Lin et al. 2017, arXiv:1708.02002, equations 4 and 5.
    """
    logits = widened(prediction)
    log_p = logits.log_softmax(1)
    losses = -_unsure(log_p).pow(gamma) * log_p
    weight = _class_weight(class_weight, logits)
    return _expected(losses if weight is None else losses * weight, target, smoothing)


def hinge(
    prediction: Float[Tensor, "b c"], target: Integer[Tensor, " b"], *, smoothing: Decay = 0.0
) -> Float[Tensor, " b"]:
    """How far the true class is from leading by 1: max(0, 1 + max_{c != y} z_c - z_y).

    prediction: (B, C) scores z, any real numbers. target: (B,) class numbers y in [0, C). smoothing: s in [0, 1) gives
    (1 - s) of this and s of its mean over all classes in the place of y. One class alone costs nothing.
    Source: Crammer and Singer 2001, JMLR 2:265-292 (as in scikit-learn's hinge_loss, which is the mean of this).
    """
    scores = widened(prediction)
    return _expected((1 + _rivals(scores) - scores).clamp_min(0), target, smoothing)


# ---- distributions and vectors


def soft_cross_entropy(prediction: Float[Tensor, "b c"], target: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Surprise at a distribution of classes, in nats: -sum_c q_c log softmax(prediction)_c.

    prediction: (B, C) logits. target: (B, C) probabilities q (a teacher's, or mixed labels); rows should sum to 1.
    """
    logits = widened(prediction)
    return -(target.to(logits.dtype) * logits.log_softmax(1)).sum(1)


def kl(prediction: Float[Tensor, "b c"], target: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Kullback-Leibler divergence KL(q || p) = sum_c q_c (log q_c - log p_c), in nats, 0 log 0 being 0.

    p = softmax(prediction), (B, C) logits. target: (B, C) probabilities q; rows should sum to 1. It is the soft
    cross-entropy less the entropy of q: the gradients are the same, and 0 is reached where p = q.
    Source: Kullback and Leibler 1951, doi:10.1214/aoms/1177729694.
    """
    logits = widened(prediction)
    return F.kl_div(logits.log_softmax(1), target.to(logits.dtype), reduction="none").sum(1)


def cosine(prediction: Float[Tensor, "b d"], target: Shaped[Tensor, "b d"]) -> Float[Tensor, " b"]:
    """1 - cos of the angle between two vectors: 0 for one direction, 1 for a right angle, 2 for opposite ones.

    prediction, target: (B, D) alike; their lengths do not count. The angle to a vector of zeros counts as a right one.
    """
    values, truth = aligned(prediction, target)
    return 1 - F.cosine_similarity(values, truth, dim=1)


# ---- yes or no


def binary_cross_entropy(
    prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."], *, smoothing: Decay = 0.0
) -> Float[Tensor, " b"]:
    """Surprise at independent yes/no labels (binary log loss), in nats, summed over a row's labels.

    prediction: (B, ...) logits. target: 0 and 1 of any type, or probabilities, of the same shape. smoothing: s in
    [0, 1) moves every target to (1 - s) target + s / 2. The stable form is max(z, 0) - z t + log(1 + exp(-|z|)).
    """
    logits, truth = aligned(prediction, target)
    return _row_sum(F.binary_cross_entropy_with_logits(logits, _moved(truth, smoothing), reduction="none"))


def binary_focal(
    prediction: Float[Tensor, "b ..."],
    target: Shaped[Tensor, "b ..."],
    *,
    gamma: NotNegative = 2.0,
    alpha: Share | Literal["none"] = "none",
    smoothing: Decay = 0.0,
) -> Float[Tensor, " b"]:
    """-a t (1 - p)^gamma log p - b (1 - t) p^gamma log(1 - p), summed over a row's labels.

    p = sigmoid(prediction), (B, ...) logits; target t and smoothing as in `binary_cross_entropy`, which this is at
    gamma = 0. alpha: a = alpha is the weight of a yes, b = 1 - alpha of a no; "none" = both 1. The paper's own choice
    is gamma = 2, alpha = 0.25. Source: Lin et al. 2017, arXiv:1708.02002, equation 5.
    """
    logits, truth = aligned(prediction, target)
    truth = _moved(truth, smoothing)
    yes, no = F.logsigmoid(logits), F.logsigmoid(-logits)
    a, b = (1.0, 1.0) if alpha == "none" else (alpha, 1 - alpha)
    return -_row_sum(
        a * truth * _unsure(yes).pow(gamma) * yes + b * (1 - truth) * _unsure(no).pow(gamma) * no,
    )


def binary_hinge(prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """max(0, 1 - z) for a yes, max(0, 1 + z) for a no, summed over a row's labels.

    prediction: (B, ...) scores z, any real numbers. target: 0 and 1 of any type, of the same shape (not -1 and 1).
    Source: Cortes and Vapnik 1995, doi:10.1007/BF00994018 (the slack of the soft margin).
    """
    scores, truth = aligned(prediction, target)
    return _row_sum((1 - (2 * truth - 1) * scores).clamp_min(0))


# ---- numbers


def squared_error(prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """(prediction - target)^2, summed over a row's elements; its minimum is the mean. Shapes (B, ...) alike."""
    values, truth = aligned(prediction, target)
    return _row_sum((values - truth).square())


def half_squared_error(prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """1/2 |prediction - target|^2 of a row: half of `squared_error`, so that the gradient is the error itself.

    Shapes (B, ...) alike. It is the textbook form for backpropagation (Rumelhart et al. 1986, doi:10.1038/323533a0).
    """
    return 0.5 * squared_error(prediction, target)


def absolute_error(prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """|prediction - target|, summed over a row's elements; its minimum is the median. Shapes (B, ...) alike."""
    values, truth = aligned(prediction, target)
    return _row_sum((values - truth).abs())


def huber(
    prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."], *, delta: Positive = 1.0
) -> Float[Tensor, " b"]:
    """e^2 / 2 for |e| <= delta, else delta (|e| - delta / 2), summed over a row's elements. Shapes (B, ...) alike.

    e = prediction - target; delta > 0, in the target's unit. Source: Huber 1964, doi:10.1214/aoms/1177703732.
    """
    values, truth = aligned(prediction, target)
    return _row_sum(F.huber_loss(values, truth, reduction="none", delta=delta))


def quantile(
    prediction: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."], *, level: Share = 0.5
) -> Float[Tensor, " b"]:
    """max(level e, (level - 1) e) with e = target - prediction, the pinball loss, summed over a row's elements.

    Its minimum is the quantile below which the share `level`, in (0, 1), of the targets lies; at 0.5 it is half the
    absolute error. Shapes (B, ...) alike. Source: Koenker and Bassett 1978, doi:10.2307/1913643.
    """
    values, truth = aligned(prediction, target)
    error = truth - values
    return _row_sum(torch.maximum(level * error, (level - 1) * error))


# ---- what belongs to losses


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


def class_numbers(target: Shaped[Tensor, " b"]) -> Integer[Tensor, " b"]:
    """Class numbers (B,) as int64. Raises DataError for real numbers, which would be cut to whole ones unsaid."""
    if target.is_floating_point():
        raise DataError(
            f"expected class numbers 0, 1, 2 ..., got {target.dtype} such as {float(target.flatten()[0]):g}; for "
            "numbers use loss='squared_error', for probabilities of classes 'soft_cross_entropy'"
        )
    return target.long()


def widened(prediction: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """Half precision as float32; any other type as it is."""
    return prediction.float() if prediction.dtype in _HALF else prediction


def aligned(
    prediction: Shaped[Tensor, "*one"], target: Shaped[Tensor, "*other"]
) -> tuple[Shaped[Tensor, "*both"], Shaped[Tensor, "*both"]]:
    """Both in one float type and shape; (B, 1) meets (B,), and nothing else is broadcast. Raises DataError."""
    values = widened(prediction)
    if values.shape != target.shape:
        # broadcasting (B, 1) against (B,) would silently make (B, B)
        if values.shape[0] != target.shape[0] or values.numel() != len(values) or target.numel() != len(target):
            raise DataError(
                f"the prediction has the shape {tuple(values.shape)}, the target {tuple(target.shape)}; "
                "a loss compares them element by element: give the network as many outputs as the target has"
            )
        values, target = values.flatten(), target.flatten()
    return values, target.to(values.dtype)


def _row_sum(loss: Tensor) -> Tensor:
    return loss if loss.ndim == 1 else loss.flatten(1).sum(1)


def _class_weight(given: Sequence[float] | Tensor, logits: Tensor) -> Tensor | None:
    return torch.as_tensor(given, dtype=logits.dtype, device=logits.device) if len(given) else None


def _expected(losses: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """(B,) from (B, C) losses, one for each class in the place of the true one: with the chance s of any class."""
    own = losses.gather(1, class_numbers(target)[:, None])[:, 0]
    return own if not smoothing else (1 - smoothing) * own + smoothing * losses.mean(1)


def _moved(truth: Tensor, smoothing: float) -> Tensor:
    return truth * (1 - smoothing) + 0.5 * smoothing if smoothing else truth


def _unsure(log_p: Tensor) -> Tensor:
    """1 - p, never 0: there the gradient of a power below 1 is infinite, and 0 times that is no number."""
    return (-log_p.expm1()).clamp_min(torch.finfo(log_p.dtype).tiny)


def _rivals(scores: Tensor) -> Tensor:
    """(B, C) the largest score of any other class; -inf where there is no other."""
    first, at = scores.max(1, keepdim=True)
    second = scores.scatter(1, at, -math.inf).amax(1, keepdim=True)
    return torch.where(torch.arange(scores.shape[1], device=scores.device) == at, second, first)
