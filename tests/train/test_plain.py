"""`rv.train.fit` on plain modules and arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ranvier.train import fit


def test_float64_arrays_meet_a_float32_network():
    x = np.random.default_rng(0).normal(size=(64, 3))
    net = nn.Linear(3, 1)
    done = fit(net, (x, x @ [[1.0], [2.0], [3.0]]), loss="squared_error", optimizer="sgd", epochs=20)
    assert done.history[-1]["loss"] < 0.1 * done.history[0]["loss"]
    assert net.weight.dtype == torch.float32
