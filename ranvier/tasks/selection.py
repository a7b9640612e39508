"""Which input columns a network still reads: under L1 the others have no weight left, so that it selects features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ranvier.core.protocols import Encoder, Features, Head
from ranvier.tasks.columns import ColumnsTask

PROBES = 256  # rows of random vectors; a weight that is not 0 shows in the first, unless units behind it are silent
SHOWN = 20  # names in a sentence


def columns_read(task: ColumnsTask, groups: Mapping[str, Sequence[str]]) -> dict[str, bool]:
    """{input column: whether the network reads it}.

    A column is not read if the derivative of every prediction with respect to every element of the joined vector that
    tells of it is exactly 0 at random vectors, in evaluation mode: all its weights are 0, wherever they are (the first
    layer, a path around it, the heads), or lead only to units that give nothing. groups: the columns of each input of
    the task. {} where nothing can be said: if heads ask for more than vectors, or predict nothing with a derivative.
    """
    if task.needs != {"vector"}:
        return {}
    device = next(task.parameters()).device
    random = torch.Generator().manual_seed(0)
    encoders: dict[str, Encoder] = dict(zip(task.inputs, task.encoders, strict=True))  # type: ignore[arg-type]
    vectors = {n: torch.randn(PROBES, encoder.width, generator=random).to(device) for n, encoder in encoders.items()}
    slopes = _slopes(task, vectors, random)
    read = {column: False for name in slopes for column in groups[name]}
    for name, slope in slopes.items():
        for owner, felt in zip(encoders[name].owners(), slope.ne(0).any(0).tolist(), strict=True):
            read[groups[name][owner]] |= felt
    return read


def selection(tasks: Iterable[ColumnsTask], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence on the columns to which L1 has left weights in any of the networks; [] where nothing can be said."""
    read: dict[str, bool] = {}
    for task in tasks:
        read = {name: is_read or read.get(name, False) for name, is_read in columns_read(task, groups).items()}
    left = [name for name, is_read in read.items() if is_read]
    if not read:
        return []
    named = ", ".join(left[:SHOWN]) + (f" and {len(left) - SHOWN} more" if len(left) > SHOWN else "")
    return [f"L1 left {len(left)} of {len(read)} inputs" + (f": {named}" if left else "")]


def _slopes(task: ColumnsTask, vectors: Mapping[str, Tensor], random: torch.Generator) -> dict[str, Tensor]:
    """The derivative of a random mixture of all predictions with respect to each input's vectors, (B, width) each.

    {} if there is none.
    """
    training = task.training
    task.eval()
    with torch.enable_grad():
        leaves = {name: vector.requires_grad_() for name, vector in vectors.items()}
        features = task.fuse({name: Features(len(v), v) for name, v in leaves.items()}, task.needs)
        mixture = torch.zeros((), device=next(iter(leaves.values())).device)
        heads: list[Head] = list(task.heads)  # type: ignore[arg-type]
        for head in heads:
            for answer in head.predict(features).values():
                if answer.requires_grad:
                    mixture = mixture + (answer * torch.randn(answer.shape, generator=random).to(answer.device)).sum()
    task.train(training)
    if not mixture.requires_grad:
        return {}
    slopes = torch.autograd.grad(mixture, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if slope is None else slope
        for (name, leaf), slope in zip(leaves.items(), slopes, strict=True)
    }
