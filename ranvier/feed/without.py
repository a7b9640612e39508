"""Inputs of some rows taken for missing while training, so that a network learns to do without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ranvier.columns.number import MISSING_RANK
from ranvier.core.protocols import Batch, Value
from ranvier.core.spec import Spec


class Without:
    """Each input of a row is missing with this chance; a row that would have none left keeps all (modality dropout).

    Inputs whose columns travel together (see `Encoder.joins`) go together. specs: of the inputs, by name. Random
    numbers are drawn on the host: the same on every device. Source: Neverova, Wolf, Taylor & Nebout, "ModDrop: adaptive
    multi-modal gesture recognition", arXiv:1501.00102, 3.3; there, too, chances are small and inputs drawn apart.
    """

    def __init__(self, specs: Mapping[str, Spec], chance: float) -> None:
        self.specs, self.chance = dict(specs), chance

    def __call__(self, batch: Batch, random: np.random.Generator) -> Batch:
        """The batch with some inputs not observed; a pure function of the batch and the generator's state."""
        names = list(batch.inputs)
        if not names:
            return batch
        device = batch.inputs[names[0]].data.device
        lots = torch.from_numpy(random.random((batch.size, len(names)), np.float32)).to(device)
        there = torch.stack([_there(value, batch.size) for value in batch.inputs.values()], 1)
        gone = lots < self.chance
        gone = gone & (there & ~gone).any(1, keepdim=True)
        inputs = {
            name: _missing(value, gone[:, place], self.specs[name])
            for place, (name, value) in enumerate(batch.inputs.items())
        }
        return replace(batch, inputs=inputs)


def _there(value: Value, rows: int) -> Tensor:
    """(B,) whether there is anything of the input in a row."""
    if value.observed is None:
        return torch.ones(rows, dtype=torch.bool, device=value.data.device)
    return value.observed if value.observed.ndim == 1 else value.observed.any(1)


def _missing(value: Value, gone: Tensor, spec: Spec) -> Value:
    """The value with rows gone (B,), which look as the column encodes what is missing."""
    cells = value.data.shape[: 2 if spec.parts else 1]
    gone = gone[:, None].expand(cells) if spec.parts else gone
    observed = ~gone if value.observed is None else value.observed & ~gone
    if spec.kind != "scalar":  # encoders look at nothing else of what is not observed
        return replace(value, observed=observed)
    nothing = torch.tensor([0.0, MISSING_RANK], device=value.data.device, dtype=value.data.dtype)
    return replace(value, data=torch.where(gone[..., None], nothing, value.data), observed=observed)
