"""Figures of a predicted number."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ranvier.core.protocols import Value
from ranvier.ops.ranking import kendall, spearman
from ranvier.ops.streams import NO_ROWS, Sample, Spoilt, amounts

KEPT = 2**16  # rows; with truth, value, weight and number 2 MB, twice that while they come
MEDIAN = 0.5
TINY = torch.finfo(torch.float64).tiny


def quantile_name(level: float) -> str:
    """What a prediction calls the quantile of a level: "q10" for 0.1, "q97.5" for 0.975."""
    return f"q{100 * level:g}"


def quantile_level(name: str) -> float | None:
    """The level that `quantile_name` names so; None if it is no such name."""
    return float(name[1:]) / 100 if re.fullmatch(r"q\d+(\.\d+)?(e-\d+)?", name) else None


class Regression:
    """Figures of a predicted number, from {"value": (B,)} and (B,), or (B, 2) with the value at [:, 0].

    mae, rmse and median_absolute_error are in the unit of what is given (a head's is the scaled one). r2 = 1 - sum w
    (y - p)^2 / sum w (y - mean)^2 and explained_variance = 1 - var(y - p) / var(y), the same but for a constant error,
    have none. spearman and kendall (tau-b) say how well predictions order the rows (`ops.ranking`).

    Where the prediction holds quantiles, {"q10": (B,), ...} beside the value, which then is the median: quantile_loss,
    the pinball loss max(t e, (t - 1) e), e = y - p_t, averaged over all levels t, the median's included; coverage_q10
    and so on, the share of rows with a truth up to p_t, which should be t.

    Spreads are summed as deviations from the running mean and batches are joined by their means (Chan, Golub and
    LeVeque 1983, doi:10.1080/00031305.1983.10483115), so that large offsets lose nothing. The median and the rank
    correlations are exact up to `kept` rows; beyond, they are those of a random sample of so many, and notes say so.
    """

    def __init__(self, kept: int = KEPT) -> None:
        """kept: rows kept for median_absolute_error, spearman and kendall; 0 = these are left out."""
        self.notes: dict[str, str] = {}
        self.spoilt = Spoilt()
        self._sums: Tensor | None = None  # weight; means and spreads of truth and error; absolute, squared errors
        self._levels: dict[str, float] = {}
        self._quantiles: Tensor | None = None  # (levels, 2): pinball losses, weight of the truths up to it
        self._sample = Sample(kept)

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: value (B,) and any quantiles, y.data (B,) or (B, 2), weight (B,) or None for ones."""
        amount = amounts(y, weight, prediction["value"].device)
        prediction = self.spoilt.add(prediction, amount)
        value = prediction["value"].double()
        truth = (y.data if y.data.ndim == 1 else y.data[:, 0]).double()
        truth = torch.where(amount > 0, truth, 0.0)  # a missing truth may be not-a-number
        error = torch.where(amount > 0, value - truth, 0.0)
        total = amount.sum()
        both = torch.stack([truth, error])
        means = (both @ amount) / total.clamp_min(TINY)
        spreads = (both - means[:, None]).square() @ amount
        sums = torch.cat([total[None], means, spreads, torch.stack([error.abs() @ amount, error.square() @ amount])])
        self._sums = sums if self._sums is None else _joined(self._sums, sums)
        self._levelled(prediction, truth, amount)
        if self._sample.size:
            self._sample.add(torch.stack([truth, value, amount], 1), amount > 0)

    def _levelled(self, prediction: Mapping[str, Tensor], truth: Tensor, amount: Tensor) -> None:
        named = {name: level for name in prediction if (level := quantile_level(name)) is not None}
        if not named:
            return
        self._levels = {"value": MEDIAN, **named}
        levels = truth.new_tensor([*self._levels.values()])[:, None]
        error = truth - torch.stack([prediction[name].double() for name in self._levels])
        error = torch.where(amount > 0, error, 0.0)
        sums = torch.stack(
            [torch.maximum(levels * error, (levels - 1) * error) @ amount, (error <= 0).double() @ amount]
        )
        self._quantiles = sums if self._quantiles is None else self._quantiles + sums

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no row had weight."""
        self.notes = {}
        sums = [0.0] * 7 if self._sums is None else self._sums.tolist()
        total, _, _, spread, unexplained, absolute, squared = sums
        if not total > 0:
            self.notes["all"] = NO_ROWS
            return {}
        figures = {"mae": absolute / total, "rmse": (squared / total) ** 0.5}
        if spread > 0:
            figures |= {"r2": 1 - squared / spread, "explained_variance": 1 - unexplained / spread}
        else:
            self.notes |= dict.fromkeys(("r2", "explained_variance"), "the truth does not vary")
        if self._quantiles is not None:
            losses, below = (self._quantiles / total).tolist()
            figures["quantile_loss"] = sum(losses) / len(losses)
            shares = dict(zip(self._levels, below, strict=True))
            figures |= {f"coverage_{name}": share for name, share in shares.items() if name != "value"}
        return self.spoilt.shown(figures | self._ordered(), self.notes)

    def _ordered(self) -> dict[str, float]:
        """The figures for which rows must be kept."""
        rows = self._sample.rows()
        if rows is None:
            return {}
        truth, value, amount = rows.unbind(1)
        figures = {"median_absolute_error": _weighted_median((value - truth).abs(), amount)}
        constant = [what for what, x in (("truth", truth), ("prediction", value)) if bool((x == x[0]).all())]
        if constant:
            self.notes |= dict.fromkeys(("spearman", "kendall"), f"the {constant[0]} does not vary")
        else:
            figures |= {
                "spearman": float(spearman(truth, value, amount)),
                "kendall": float(kendall(truth, value, amount)),
            }
        if self._sample.used > len(rows):
            why = f"from a random sample of {len(rows):,} of the {self._sample.used:,} rows"
            self.notes |= dict.fromkeys(figures, why)
        return figures


def _weighted_median(x: Tensor, amount: Tensor) -> float:
    """The middle of the rows in order, or halfway between two middles."""
    x, order = x.sort()
    upto = amount[order].cumsum(0)
    half = 0.5 * upto[-1]
    low, high = (torch.searchsorted(upto, half, right=right).clamp_max(len(x) - 1) for right in (False, True))
    return float(0.5 * (x[low] + x[high]))


def _joined(a: Tensor, b: Tensor) -> Tensor:
    """The sums of two sets of rows as those of both: weight, two means, two spreads, and plain sums."""
    total = a[:1] + b[:1]
    share = b[:1] / total.clamp_min(TINY)
    apart = b[1:3] - a[1:3]
    means = a[1:3] + share * apart
    spreads = a[3:5] + b[3:5] + apart.square() * a[:1] * share
    return torch.cat([total, means, spreads, a[5:] + b[5:]])
