"""Finds where a loss stopped being a number: the stretch is run again, and every layer watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ranvier.core.protocols import Batch
from ranvier.train import checkpoint

if TYPE_CHECKING:
    from ranvier.train.engine import Engine

Snapshot = tuple[dict[str, Tensor], dict[str, Any]]


class Trouble(Exception):
    """Raised inside the replay, with the place, and caught at its end."""


def snapshot(engine: Engine) -> Snapshot:
    """All that changes while training, copied."""
    tensors, state = checkpoint.capture(engine)
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}, state


def find(engine: Engine, before: Snapshot, until: int) -> str:
    """Where the first number that is not finite appears between a snapshot and step `until`, and what led to it."""
    checkpoint.restore(engine, *before)
    engine.watch.always = True
    try:
        with _watched(engine.task):
            while engine.progress.step < until:
                step = engine.progress.step
                batch = engine.source.batch(step)
                _check_batch(batch)
                for name, value in engine.train_step(batch).items():
                    if not torch.isfinite(value):
                        raise Trouble(f"the loss {name!r}")
                engine.watch.tell(engine.progress, ())
                for name, p in engine.task.named_parameters():
                    for what, tensor in (("gradient", p.grad), ("weights", p)):
                        if tensor is not None and not torch.isfinite(tensor).all():
                            raise Trouble(f"the {what} of {engine.task.place(name)}")
    except Trouble as trouble:
        before_that = engine.watch.suspicion()
        return f"step {step + 1}: {trouble} first became infinite or not a number" + (
            f", and before that {before_that}" if before_that else ""
        )
    return f"between steps {before[1]['progress']['step']} and {until}; it did not happen again on a second run"


def _check_batch(batch: Batch) -> None:
    for role, values in (("input", batch.inputs), ("target", batch.targets)):
        for name, value in values.items():
            if value.data.is_floating_point() and not torch.isfinite(value.data).all():
                row, *place = (~torch.isfinite(value.data)).nonzero()[0].tolist()
                where = f", element {', '.join(map(str, place))}" if place else ""
                bad = value.data[row][tuple(place)].item()
                raise Trouble(f"{role} {name!r}, row {row} of the batch{where}, is {bad}; so it")


@contextmanager
def _watched(task: Any) -> Iterator[None]:
    """Inside, every module without children checks what it gives."""
    hooks = []
    for name, module in task.named_modules():
        if next(module.children(), None) is None:

            def check(_: nn.Module, __: Any, out: Any, name: str = name) -> None:
                if isinstance(out, Tensor) and out.is_floating_point() and not torch.isfinite(out).all():
                    raise Trouble(f"the output of {task.place(name)}")

            hooks.append(module.register_forward_hook(check))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
