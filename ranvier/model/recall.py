"""What a frozen encoder makes of rows, computed once for each row and not in every epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ranvier.core.protocols import Encoder, View
from ranvier.core.spec import Encoded
from ranvier.feed.store import Store
from ranvier.model.layout import Layout, Table
from ranvier.tasks.columns import ColumnsTask
from ranvier.train.sources import Order

BATCH = 64  # rows at once
VECTOR: frozenset[View] = frozenset({"vector"})


def recalled(task: ColumnsTask, layout: Layout, table: Table, device: torch.device) -> Table:
    """The table for training, in which vectors (N, width) stand for the inputs of encoders that are `fixed`, or frozen.

    Inputs that are augmented or blended change from epoch to epoch, and stay as they are; so do all where a head reads
    more than vectors.
    """
    if task.needs != {"vector"} or layout.plan.train.mix["name"] != "none":
        return table
    encoders: dict[str, Encoder] = dict(zip(task.inputs, task.encoders, strict=True))  # type: ignore[arg-type]
    found = {
        name: _vectors(encoder, table.inputs[name], layout, name, device)
        for name, encoder in encoders.items()
        if (encoder.fixed or name in task.frozen)
        and layout.plan.inputs[layout.groups[name][0]].augment["name"] == "none"
    }
    return replace(table, inputs=table.inputs | found) if found else table


@torch.no_grad()
def _vectors(encoder: Encoder, given: Encoded, layout: Layout, name: str, device: torch.device) -> Encoded:
    store = Store(given, layout.input_specs[name], device=device)
    lengths = None if given.offsets is None else np.diff(given.offsets)
    order = Order(len(given), BATCH, 0, shuffle=False, lengths=lengths)
    training = encoder.training
    encoder.eval()
    vectors = np.zeros((len(given), encoder.width), np.float32)
    for step in range(order.steps):
        rows = order(step)
        value = store.rows(torch.from_numpy(rows).to(device))
        found = encoder.recall(value) if encoder.fixed else encoder(value, VECTOR).as_vector()
        vectors[rows] = found.float().cpu().numpy()
    encoder.train(training)
    return Encoded(vectors, given.observed)
