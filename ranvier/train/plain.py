"""Training for plain modules: `rv.train.fit(net, (x, y), loss="cross_entropy", optimizer="adam", epochs=5)`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial, update_wrapper
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ranvier.core import registry
from ranvier.core.device import pick_device
from ranvier.core.errors import DataError, PlanError, RanvierWarning
from ranvier.core.protocols import Batch
from ranvier.core.schema import check_options
from ranvier.core.training import Callback, Phase, Source, Task
from ranvier.train.engine import Engine, Progress
from ranvier.train.optimizers import RATES
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

Loss = Callable[[Tensor, Tensor], Tensor]


class NetTask(Task):
    """A module and a loss of (its answer, y) giving one number a row, (B,).

    A loss with `splits = False` lets the rows of a batch see one another (`ops.contrastive`), and so does batch norm;
    then the engine refuses to cut a batch into micro-batches.
    """

    def __init__(self, net: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.net, self.row_loss = net, loss
        splits = getattr(loss, "splits", True) and not any(isinstance(module, _BatchNorm) for module in net.modules())
        self.phases = [Phase("main", tuple(net.parameters()), self._loss, self._count, splits=splits)]

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        answer, y = self._answer(batch.inputs["x"].data), batch.targets["y"].data
        try:
            losses = self.row_loss(answer, y)
        except IndexError as error:  # of a class number; torch names the number, and not what it met
            raise DataError(
                f"{error}: the network has {answer.shape[-1]} outputs, so that class numbers are 0 to "
                f"{answer.shape[-1] - 1}; give it as many outputs as there are classes"
            ) from None
        if losses.ndim == 0:  # the rows' mean, as torch's own losses have it
            losses = losses.expand(batch.size)
        if losses.shape != (batch.size,):
            raise PlanError(f"the loss must give one number a row, shape ({batch.size},); got {tuple(losses.shape)}")
        return {"loss": losses}

    def _answer(self, x: Tensor) -> Tensor:
        """What the network says of x. Raises DataError where x does not fit the first layer."""
        try:
            answer: Tensor = self.net(x)
        except torch.OutOfMemoryError:  # which is one, and the engine's affair
            raise
        except RuntimeError:  # torch has no narrower one; it goes on unless the cause is known
            misfit = _misfit(self.net, x)
            if not misfit:
                raise
            whose = "x" if self.training else "the validation x"
            raise DataError(f"{whose} has rows of the shape {tuple(x.shape[1:])}, but {misfit}") from None
        return answer

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
    loss: str | dict[str, Any] | Loss = "cross_entropy",
    optimizer: str | dict[str, Any] = "adamw",
    rate: float | Literal["auto"] = "auto",
    epochs: float = 5,
    batch: int | Literal["auto"] = "auto",
    schedule: str | dict[str, Any] = "auto",
    decay: float = 0.0,
    clip: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
    average: float | Literal["swa"] = 0.0,
    precision: Literal["fp32", "bf16"] = "fp32",
    micro: int = 0,
    validation: tuple[Any, Any] | None = None,
    patience: int = 0,
    watch: bool = True,
    seed: int = 0,
    device: str = "auto",
    callbacks: Sequence[Callback] = (),
) -> Progress:
    """Trains a module in place on arrays or tensors (x, y), real numbers in the module's own type; gives the history.

    loss: the name of a registered loss (`ranvier.ops.losses`, `ranvier.ops.contrastive`), one with options such as
    {"name": "huber", "delta": 0.5}, or a function of (answer (B, ...), y (B, ...)) that gives (B,), or as torch's own
    the rows' mean. batch: 32 rows, but all for "gd". schedule: "linear", but "constant" for "schedule_free". With
    `validation` the weights of the best validation loss are kept. watch: tell of layers in trouble, at once in a
    RanvierWarning and later in the history's `notes`; every layer's last figures are in its `layers`. Raises PlanError
    for unknown names and settings that no run can have, DataError for x and y of different lengths, and for an x that
    does not fit the network's first layer.
    """
    x, y = _pair(data, "x", "y")
    named = _named("optimizer", optimizer)
    batch = _batch(batch, len(x), named["name"])
    if not 0 < epochs < math.inf or batch < 1:
        raise PlanError(f"epochs = {epochs}, batch = {batch}: expected finite numbers above 0")
    if schedule == "auto":
        schedule = "constant" if named["name"] == "schedule_free" else "linear"
    row_loss = _row_loss(loss)
    where = pick_device(device)
    net.to(where)
    real = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    source = TensorSource(_placed(x, where, real), _placed(y, where, real), batch=batch, seed=seed)
    held = None
    if validation is not None:
        rows = (_placed(part, where, real) for part in _pair(validation, "the validation x", "the validation y"))
        alone = getattr(row_loss, "splits", True)  # else its size depends on that of the batch
        held = TensorSource(*rows, batch=4 * batch if alone else batch, shuffle=False)
    in_epoch = source.order.steps
    settings = Settings(
        steps=max(1, int(np.ceil(epochs * in_epoch))),
        rate=RATES[named["name"]] if rate == "auto" else rate,
        decay=decay,
        l1=l1,
        l2=l2,
        max_norm=max_norm,
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
        watch=watch,
        seed=seed,
    )
    engine = Engine(NetTask(net, row_loss), source, settings, validation=held, callbacks=[*callbacks, _Warns()])
    return engine.run()


class _Warns(Callback):
    """Says notes as warnings."""

    def on_note(self, note: str) -> None:
        """Warns, once for each note."""
        warnings.warn(note, RanvierWarning, stacklevel=2)


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


def _misfit(net: nn.Module, x: Tensor) -> str:
    """What the layer that x comes to first expects, and what it gets; "" if it fits, or if that cannot be told."""
    met: list[tuple[nn.Module, tuple[Any, ...]]] = []
    names = {module: name for name, module in net.named_modules() if any(True for _ in module.parameters(False))}
    hooks = [module.register_forward_pre_hook(lambda *entered: met.append(entered)) for module in names]
    try:
        with torch.no_grad(), suppress(RuntimeError):  # the one that it is called for
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not met or not met[0][1]:
        return ""
    layer, (given, *_) = met[0]
    expected = _expected(layer, given)
    if not expected:
        return ""
    which = f"{type(layer).__name__} {names[layer]!r}" if names[layer] else type(layer).__name__
    got = tuple(given.shape[1:])
    return f"the network's first layer ({which}) expects {expected}, and gets {got}; reshape x, or build it for that"


def _expected(layer: nn.Module, given: Tensor) -> str:
    """The shape of a row for a linear layer or a convolution that what is given does not fit; else ""."""
    if isinstance(layer, nn.Linear):
        return f"(..., {layer.in_features})" if given.shape[-1] != layer.in_features else ""
    if isinstance(layer, _ConvNd):
        places = len(layer.kernel_size)
        # with or without an axis of rows before the channels, as torch takes it
        fits = given.ndim in (places + 1, places + 2) and given.shape[-places - 1] == layer.in_channels
        return "" if fits else f"({', '.join([str(layer.in_channels), *['any'] * places])})"
    return ""


def _batch(asked: int | Literal["auto"], rows: int, optimizer: str) -> int:
    """Rows in a step: 32, but all of them for gradient descent. Raises PlanError where that was asked otherwise."""
    if optimizer != "gd":
        return 32 if asked == "auto" else asked
    if asked != "auto" and asked < rows:
        raise PlanError(f"batch = {asked}: gradient descent takes all {rows:,} rows into every step; 'sgd' takes fewer")
    return rows


def _placed(tensor: Tensor, where: torch.device, real: torch.dtype) -> Tensor:
    """On the device; real numbers, which numpy holds in float64, in the type that the network computes in."""
    return tensor.to(where, real if tensor.is_floating_point() else tensor.dtype)


def _row_loss(given: str | dict[str, Any] | Loss) -> Loss:
    """The function, or the registered loss with its options. Raises PlanError."""
    if callable(given):
        return given
    if not isinstance(given, str | dict):
        raise PlanError(f"loss = {given!r}: expected a name, a name with options, or a function of (answer, y)")
    options = _named("loss", given)
    function = registry.lookup("loss", options.pop("name"))
    return update_wrapper(partial(function, **options), function)  # which keeps `splits`


def _named(kind: str, given: str | dict[str, Any]) -> dict[str, Any]:
    """{"name": ..., <options>} with everything checked. Raises PlanError."""
    options = {"name": given} if isinstance(given, str) else dict(given)
    name = options.pop("name", "")
    return {"name": name, **check_options(registry.lookup(kind, name), options, kind)}
