"""The order in which rows are seen, and a source over tensors in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ranvier.core.protocols import Batch, Value
from ranvier.core.rng import seed_of

TOGETHER = 4  # rows


class Order:
    """Which rows make batch k: a pure function of (seed, k).

    Every epoch is a new permutation, cut into ceil(rows / batch) pieces whose sizes differ by at most one, so
    no row is left out and no batch is tiny. With `lengths` (rows,), rows of like length are put together: the
    permutation is sorted by length inside stretches of 32 batches, then the batches are shuffled. With
    `chances` (rows,), rows are drawn with replacement in proportion. With `alike` (rows,), codes, up to 4 rows of one
    code stay together, for losses in which rows see one another. shuffle=False keeps the order of the rows.
    even=False: every batch but the last has `batch` rows, so that where they are cut does not depend on how many come.
    """

    def __init__(
        self,
        rows: int,
        batch: int,
        seed: int,
        *,
        shuffle: bool = True,
        lengths: np.ndarray | None = None,
        chances: np.ndarray | None = None,
        alike: np.ndarray | None = None,
        even: bool = True,
    ) -> None:
        self.rows, self.seed, self.shuffle, self.lengths, self.even = rows, seed, shuffle, lengths, even
        self.alike = alike
        self.batch = max(1, min(batch, rows))
        self.steps = max(1, -(-rows // self.batch))
        self.chances = None if chances is None else chances / chances.sum()
        self._epoch = -1
        self._batches: list[np.ndarray] = []

    def __call__(self, step: int) -> np.ndarray:
        """The row numbers of batch `step`, counted from the start of training."""
        epoch, k = divmod(step, self.steps)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._cut(epoch)
        return self._batches[k]

    def _cut(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches."""
        random = np.random.default_rng(seed_of(self.seed, "order", epoch))
        order = np.arange(self.rows)
        if self.chances is not None:
            order = random.choice(self.rows, self.rows, p=self.chances)
        elif self.shuffle:
            order = random.permutation(self.rows)
        if self.alike is not None:
            order = _together(order, self.alike[order])
        if self.lengths is not None:
            order = self._by_length(order, self.lengths)
        cuts = [k * self.rows // self.steps if self.even else k * self.batch for k in range(1, self.steps)]
        batches = np.split(order, cuts)
        if self.lengths is not None and self.shuffle:
            return [batches[i] for i in random.permutation(len(batches))]
        return batches

    def _by_length(self, order: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        stretch = 32 * self.batch
        pieces = [order[i : i + stretch] for i in range(0, self.rows, stretch)]
        return np.concatenate([piece[np.argsort(lengths[piece], kind="stable")] for piece in pieces])


def _together(order: np.ndarray, code: np.ndarray) -> np.ndarray:
    """The rows in runs of up to TOGETHER of one code, each run standing where the first of it did."""
    by_code = np.argsort(code, kind="stable")
    found = np.r_[True, np.diff(code[by_code]) != 0]
    start = np.maximum.accumulate(np.where(found, np.arange(len(order)), 0))
    first = np.arange(len(order)) - (np.arange(len(order)) - start) % TOGETHER  # of the run that a row is in
    return order[by_code[np.argsort(by_code[first], kind="stable")]]


class TensorSource:
    """Batches of tensors in memory: x under the input "x", y under the target "y", weight as it is."""

    exact = True

    def __init__(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        batch: int = 32,
        seed: int = 0,
        shuffle: bool = True,
        weight: Tensor | None = None,
    ) -> None:
        self.x, self.y, self.weight = x, y, weight
        self.order = Order(len(x), batch, seed, shuffle=shuffle)
        self.steps: int | None = self.order.steps

    def batch(self, step: int) -> Batch:
        """Batch number `step`."""
        index = torch.from_numpy(self.order(step)).to(self.x.device)

        def rows(tensor: Tensor) -> Tensor:
            return tensor.index_select(0, index)  # a third of the time of tensor[index]

        targets = {} if self.y is None else {"y": Value(rows(self.y))}
        weight = None if self.weight is None else rows(self.weight)
        return Batch(len(index), {"x": Value(rows(self.x))}, targets, weight)

    def state(self) -> dict[str, Any]:
        """Nothing: batches are a pure function of their number."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""
