"""Training for plain modules: `rv.train.fit(net, (x, y), loss="cross_entropy", optimizer="adam", epochs=5)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ranvier.core import registry
from ranvier.core.device import pick_device
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.protocols import Batch, Callback, Phase, Source, Task
from ranvier.core.schema import check_options
from ranvier.ops.losses import LOSSES
from ranvier.train.engine import Engine, Progress
from ranvier.train.optimizers import RATES
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

Loss = Callable[[Tensor, Tensor], Tensor]


class NetTask(Task):
    """A module and a loss of (its answer, y) giving one number a row, (B,)."""

    def __init__(self, net: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.net, self.row_loss = net, loss
        splits = not any(isinstance(module, _BatchNorm) for module in net.modules())
        self.phases = [Phase("main", tuple(net.parameters()), self._loss, self._count, splits=splits)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        losses = self.row_loss(self.net(batch.inputs["x"].data), batch.targets["y"].data)
        if losses.shape != (batch.size,):
            raise PlanError(f"the loss must give one number a row, shape ({batch.size},); got {tuple(losses.shape)}")
        return {"loss": losses}

    def _count(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": torch.ones(batch.size, device=batch.inputs["x"].data.device)}

    @torch.no_grad()
    def validate(self, source: Source) -> dict[str, float]:
        """The mean loss over the source."""
        total, rows = 0.0, 0
        for step in range(source.steps or 0):
            batch = source.batch(step)
            total += float(self._loss(batch)["loss"].sum())
            rows += batch.size
        return {"loss": total / max(rows, 1)}


def fit(
    net: nn.Module,
    data: tuple[Any, Any],
    *,
    loss: str | Loss = "cross_entropy",
    optimizer: str | dict[str, Any] = "adamw",
    rate: float | Literal["auto"] = "auto",
    epochs: float = 5,
    batch: int = 32,
    schedule: str | dict[str, Any] = "linear",
    decay: float = 0.0,
    clip: float = 0.0,
    average: float = 0.0,
    precision: Literal["fp32", "bf16"] = "fp32",
    micro: int = 0,
    validation: tuple[Any, Any] | None = None,
    patience: int = 0,
    seed: int = 0,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
) -> Progress:
    """Trains a module in place on arrays or tensors (x, y), real numbers in the module's own type; gives the history.

    loss: a name of `ops.losses.LOSSES` or a function (answer (B, ...), y (B, ...)) -> (B,). With `validation`
    the weights of the best validation loss are kept. Raises PlanError for unknown names and settings that no run can
    have, DataError for x and y of different lengths.
    """
    if not 0 < epochs < math.inf or batch < 1:
        raise PlanError(f"epochs = {epochs}, batch = {batch}: expected finite numbers above 0")
    x, y = _pair(data, "x", "y")
    row_loss = LOSSES.get(loss) if isinstance(loss, str) else loss
    if row_loss is None:
        raise PlanError(f"unknown loss {loss!r}; {did_you_mean(str(loss), LOSSES)}")
    where = pick_device(device)
    net.to(where)
    real = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    source = TensorSource(_placed(x, where, real), _placed(y, where, real), batch=batch, seed=seed)
    held = None
    if validation is not None:
        rows = (_placed(part, where, real) for part in _pair(validation, "the validation x", "the validation y"))
        held = TensorSource(*rows, batch=4 * batch, shuffle=False)
    named = _named("optimizer", optimizer)
    in_epoch = source.order.steps
    settings = Settings(
        steps=max(1, int(np.ceil(epochs * in_epoch))),
        rate=RATES[named["name"]] if rate == "auto" else rate,
        decay=decay,
        optimizer=named,
        schedule=_named("schedule", schedule),
        clip=clip,
        average=average,
        precision=precision,
        micro=micro,
        log_every=in_epoch,
        validate_every=in_epoch if held else 0,
        patience=patience,
        keep="best" if held else "average" if average else "last",
        seed=seed,
    )
    engine = Engine(NetTask(net, row_loss), source, settings, validation=held, callbacks=callbacks)
    return engine.run()


def _pair(data: tuple[Any, Any], *names: str) -> tuple[Tensor, Tensor]:
    """Both as tensors. Raises DataError for what is no array of numbers, and unless they have as many rows."""
    try:
        x, y = (torch.as_tensor(part) for part in data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{names[0]} and {names[1]} must be tensors or arrays of numbers: {error}") from None
    if not x.ndim or not y.ndim:
        raise DataError(f"{names[0]} has the shape {tuple(x.shape)} and {names[1]} {tuple(y.shape)}; a row is missing")
    if len(x) != len(y) or len(x) == 0:
        one, other = names
        raise DataError(f"{one} has {len(x)} rows and {other} has {len(y)}; they must be as many, and more than none")
    return x, y


def _placed(tensor: Tensor, where: torch.device, real: torch.dtype) -> Tensor:
    """On the device; real numbers, which numpy holds in float64, in the type that the network computes in."""
    return tensor.to(where, real if tensor.is_floating_point() else tensor.dtype)


def _named(kind: str, given: str | dict[str, Any]) -> dict[str, Any]:
    """{"name": ..., <options>} with everything checked. Raises PlanError."""
    options = {"name": given} if isinstance(given, str) else dict(given)
    name = options.pop("name", "")
    return {"name": name, **check_options(registry.lookup(kind, name), options, kind)}
