"""What the streaming metrics share: row weights, ratios, predictions that are no numbers, a random sample of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ranvier.core.protocols import Value

EPSILON = torch.finfo(torch.float32).eps  # probabilities are clipped by it before the logarithm
NO_ROWS = "no row has a known truth and weight"


def amounts(y: Value, weight: Tensor | None, device: torch.device) -> Float[Tensor, " b"]:
    """Each row's weight, 0 where the truth is missing: (B,) float64."""
    rows = len(y.data)
    amount = torch.ones(rows, dtype=torch.float64, device=device) if weight is None else weight.double()
    return amount if y.observed is None else torch.where(y.observed, amount, 0.0)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where whole is 0."""
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1.0), 0.0)


class Spoilt:
    """Counts the rows with a prediction that is not finite; if there are any, no figure is a number.

    Sums would not always show them: the largest of several probabilities, say, is found although one is no number.
    """

    def __init__(self) -> None:
        self._count: Tensor | None = None

    def add(self, prediction: Mapping[str, Tensor], amount: Float[Tensor, " b"]) -> dict[str, Tensor]:
        """Counts those of B rows with weight; gives the prediction detached, with 0 for what is not finite."""
        parts = {name: part.detach() for name, part in prediction.items()}
        finite = torch.stack([part.isfinite()[:, None].flatten(1).all(1) for part in parts.values()]).all(0)
        count = (~finite & (amount > 0)).sum()
        self._count = count if self._count is None else self._count + count
        return {name: part.nan_to_num(0.0, 0.0, 0.0) for name, part in parts.items()}

    @property
    def rows(self) -> int:
        """How many there have been."""
        return 0 if self._count is None else int(self._count)

    def shown(self, figures: dict[str, float], notes: dict[str, str]) -> dict[str, float]:
        """The figures, all of them not-a-number if there are such rows; a note then says so instead of all others."""
        if not self.rows:
            return figures
        notes.clear()
        notes["all"] = f"no figure can be told, for the predictions of {self.rows:,} rows are infinite or not a number"
        return dict.fromkeys(figures, math.nan)


class Sample:
    """At most `size` of the rows that come, each set of so many equally likely; all of them while there are fewer.

    A row is kept for the number that its place in the stream hashes to: the smallest ones stay. So the sample is the
    same however rows are batched, and in every run. Memory: the sample twice, and one batch.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0  # rows that could have been chosen; counted as the sample is read
        self._place = 0
        self._parts: list[tuple[Tensor, Tensor]] = []  # rows and their numbers; infinite where they are not to be used
        self._count: Tensor | None = None

    def add(self, rows: Float[Tensor, "b k"], use: Bool[Tensor, " b"]) -> None:
        """Adds rows (B, K), those with use (B,); the tensors may be overwritten afterwards."""
        numbers = torch.from_numpy(_hashed(self._place, len(rows))).to(rows.device)
        self._place += len(rows)
        count = use.sum()
        self._count = count if self._count is None else self._count + count
        self._parts.append((rows.clone(), torch.where(use, numbers, torch.inf)))
        if sum(len(part) for part, _ in self._parts) > 2 * self.size:
            self._shrink()

    def rows(self) -> Float[Tensor, "n k"] | None:
        """The sample (N, K), on the CPU; None if nothing was ever added."""
        if self._count is None:
            return None
        self._shrink()
        self.used = int(self._count)
        rows, numbers = self._parts[0]
        return rows[numbers.isfinite()].cpu()

    def _shrink(self) -> None:
        rows, numbers = (torch.cat(part) for part in zip(*self._parts, strict=True))
        if len(rows) > self.size:
            numbers, at = numbers.topk(self.size, largest=False)
            rows = rows[at]
        self._parts = [(rows, numbers)]


def _hashed(start: int, count: int) -> np.ndarray:
    """(count,) float64 in [0, 1): well mixed numbers of start, start + 1 ... (SplitMix64, Steele et al. 2014)."""
    z = np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
