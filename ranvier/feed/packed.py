"""Texts end to end, in windows: how a language model reads, without any padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ranvier.core.protocols import Batch, Value
from ranvier.core.rng import seed_of
from ranvier.core.spec import Encoded
from ranvier.feed.store import framed, tensor
from ranvier.train.sources import Order


class Packed:
    """Windows over the texts of a target, each between START and END, one after another in the order of the rows.

    A window holds `window` tokens and the one before them, so that each token is to be foreseen once an epoch, but the
    very first. Every epoch the windows begin elsewhere and come in another order; with shuffle=False they stand still.
    Batch k is a pure function of (seed, k). Missing texts are left out.
    """

    exact = True

    def __init__(
        self,
        name: str,
        encoded: Encoded,
        window: int,
        batch: int,
        seed: int,
        *,
        shuffle: bool = True,
        device: torch.device | None = None,
    ) -> None:
        kept = np.flatnonzero(encoded.observed)
        texts = framed(encoded.rows(kept))
        self.name, self.window, self.seed, self.shuffle = name, window, seed, shuffle
        self.stream = tensor(texts.data).to(device)
        self.rows = np.repeat(kept, np.diff(texts.bounds))  # which row each token is of
        windows = max(1, -(-(len(self.stream) - 1) // window)) + shuffle
        self.order = Order(windows, batch, seed, shuffle=shuffle)
        self.steps: int | None = self.order.steps

    def places(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, window + 1) places in the stream of batch `step`, and which of them are there."""
        starts = self.order(step) * self.window - self._shift(step // self.order.steps)
        places = np.maximum(starts, 0)[:, None] + np.arange(self.window + 1)
        ends = np.minimum(starts + self.window + 1, len(self.stream))
        return places, places < ends[:, None]

    def batch(self, step: int) -> Batch:
        """Batch number `step`, counted from the start of training."""
        places, there = self.places(step)
        mask = torch.from_numpy(there).to(self.stream.device)
        index = torch.from_numpy(np.where(there, places, 0)).to(self.stream.device)
        data = self.stream[index].long() * mask if len(self.stream) else mask.long()
        return Batch(len(places), {}, {self.name: Value(data, mask)})

    def _shift(self, epoch: int) -> int:
        """How much earlier the epoch's windows begin."""
        if not self.shuffle:
            return 0
        return int(np.random.default_rng(seed_of(self.seed, "shift", epoch)).integers(1, self.window + 1))

    def state(self) -> dict[str, Any]:
        """Nothing: batches are a pure function of their number."""
        return {}

    def load_state(self, state: Any) -> None:
        """Nothing to take back."""
