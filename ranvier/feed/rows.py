"""The source over a table's rows in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ranvier.core.protocols import Augment, Batch
from ranvier.core.rng import seed_of
from ranvier.core.spec import Spec
from ranvier.feed.hide import Hide
from ranvier.feed.store import Store
from ranvier.feed.without import Without

Blend = Callable[[Batch, np.random.Generator], Batch]  # see `feed/mix.py`
RowOrder = Callable[[int], np.ndarray]  # batch number -> row numbers (see `train/sources.py`: Order)


class Rows:
    """Batches of encoded columns; batch k, augmentation and mixing included, is a pure function of (seed, k).

    order: which rows make batch k. steps: batches in an epoch. weight: (N,) or None. augment: by input name. carried:
    by input name, the targets that have places in it, and move as it does. pairs: inputs of which another view, varied
    by another seed, is the target. hide: takes parts from inputs, and makes targets of them. without: takes whole
    inputs from rows. mix: blends the rows of a batch with one another, at last.
    """

    exact = True

    def __init__(
        self,
        size: int,
        inputs: dict[str, Store],
        targets: dict[str, Store],
        order: RowOrder,
        steps: int,
        *,
        weight: np.ndarray | None = None,
        augment: Mapping[str, Augment] | None = None,
        carried: Mapping[str, Mapping[str, Spec]] | None = None,
        pairs: Collection[str] = (),
        hide: Hide | None = None,
        without: Without | None = None,
        mix: Blend | None = None,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self.size, self.inputs, self.targets, self.order = size, inputs, targets, order
        self.steps: int | None = steps
        self.augment, self.carried = dict(augment or {}), dict(carried or {})
        self.pairs, self.hide, self.without, self.mix = tuple(pairs), hide, without, mix
        self.seed, self.device = seed, device or torch.device("cpu")
        self.weight: Tensor | None = None
        if weight is not None:
            self.weight = torch.from_numpy(weight.astype(np.float32)).to(device)

    def batch(self, step: int) -> Batch:
        """Batch number `step`, counted from the start of training."""
        index = torch.from_numpy(self.order(step)).to(self.device)
        inputs = {name: store.rows(index) for name, store in self.inputs.items()}
        targets = {name: store.rows(index) for name, store in self.targets.items()}
        for name in self.pairs:
            view = self._generator(seed_of(self.seed, "view", name, step))
            targets[name] = self.augment[name](inputs[name], view)
        for name, augment in self.augment.items():
            seed = seed_of(self.seed, "augment", name, step)
            inputs[name] = augment(inputs[name], self._generator(seed))
            for target, spec in self.carried.get(name, {}).items():
                targets[target] = augment.carry(targets[target], spec, self._generator(seed))
        weight = None if self.weight is None else self.weight.index_select(0, index)
        batch = Batch(len(index), inputs, targets, weight)
        if self.hide is not None:
            batch = self.hide(batch, step)
        if self.without is not None:
            batch = self.without(batch, np.random.default_rng(seed_of(self.seed, "without", step)))
        if self.mix is None:
            return batch
        return self.mix(batch, np.random.default_rng(seed_of(self.seed, "mix", step)))

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)

    def state(self) -> dict[str, Any]:
        """Nothing: batches are a pure function of their number."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""
