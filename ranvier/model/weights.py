"""The network of a plan, with weights that a file holds: no more memory than these take, whatever the plan asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from ranvier.core import registry
from ranvier.core.draws import own_random
from ranvier.core.errors import RunError
from ranvier.core.plan import Plan
from ranvier.core.room import amount, free_memory
from ranvier.core.schema import check_options
from ranvier.core.spec import Spec
from ranvier.tasks.build import build
from ranvier.tasks.columns import ColumnsTask

LARGEST = 10**6  # whole numbers of a part's options, unless the file holds more weights than that
PARTS = 20  # modules, and parameters that are made, for each tensor that the file holds, at most
IN_PLACE = frozenset({nn.init.normal_, Tensor.normal_})
SAME_FORM = IN_PLACE | {Tensor.mul, Tensor.clamp, F.normalize}  # beside plain numbers, as their first argument


def network_of(plan: Plan, specs: Mapping[str, Spec], weights: Mapping[str, Tensor]) -> ColumnsTask:
    """The plan's network with the weights. Raises ValueError for other names, shapes or types, and NaN.

    Names and shapes are compared on a network without memory first: what a plan asks for is had only if the file
    holds it. How many parts that may have, and their numbers, follow from the file too.
    """
    _check_options(plan, max(LARGEST, sum(tensor.numel() for tensor in weights.values())))
    with own_random(0):  # first weights are drawn, and then thrown away
        with without_memory(), _at_most(PARTS * (len(weights) + 50)):
            wanted = build(plan, specs).state_dict()
        for name in {**wanted, **weights}:
            asked, held = _form(wanted.get(name)), _form(weights.get(name))
            if asked != held:
                raise ValueError(f"weights {name!r}: expected {asked}, got {held}")
        task = build(plan, specs)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"weights {name!r} hold NaN or infinity")
    task.load_state_dict(weights)
    return task


def _form(tensor: Tensor | None) -> str:
    return "no such tensor" if tensor is None else f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _check_options(plan: Plan, largest: int) -> None:
    """Raises PlanError for options of the network's parts of unknown names or other types.

    Raises ValueError for a number among them that no network of this file can have.
    """
    named = [("encoder", f"inputs.{name}.encoder", one.encoder) for name, one in plan.inputs.items()]
    named += [("head", f"targets.{name}.head", one.head) for name, one in plan.targets.items()]
    for kind, place, given in [*named, ("fuse", "fuse", plan.fuse)]:
        options = registry.renamed(kind, dict(given))
        part = registry.lookup(kind, options.pop("name"))
        for option, value in check_options(part, options, place).items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, int) and abs(one) > largest:
                    raise ValueError(f"{place}.{option} = {one}: the file holds no network as large as that")


@contextmanager
def without_memory() -> Iterator[None]:
    """Tensors made inside have names, shapes and types, and no numbers."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """What parts do to first weights is left out where torch would do it by its compiler, on the device "meta".

    Importing that takes longer than the rest of loading. All else is done as ever, and in place mostly without it.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func is torch.randn and "generator" not in named:
            return torch.empty(*args, **named)
        if func in SAME_FORM:
            first, *others = (*args, *named.values())
            plain = first.is_meta and first.is_floating_point()
            if plain and not any(isinstance(other, Tensor | complex) for other in others):
                return first if func in IN_PLACE else torch.empty(first.shape, dtype=first.dtype)
        return func(*args, **named)


@contextmanager
def within_memory() -> Iterator[None]:
    """Raises RunError inside as soon as parameters are made that are more than what is free, before any has numbers.

    Else the system would end the process without a word, for it gives memory only when that is written to.
    """
    free, mine, made, seen = free_memory(), threading.get_ident(), 0, set[int]()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        if parameter is None or id(parameter) in seen or threading.get_ident() != mine:
            return
        seen.add(id(parameter))
        made += parameter.numel() * parameter.element_size()
        if made > free:
            shape = " x ".join(f"{side:,}" for side in parameter.shape)
            raise RunError(
                f"the network's weights alone take {amount(made)} or more, the last of them {shape} in a layer "
                f"{type(module).__name__}, and {amount(free)} are free: lower the widths in the plan, or size = 's'"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _at_most(parts: int) -> Iterator[None]:
    """Raises ValueError inside as soon as more modules or parameters are made."""
    made, mine = 0, threading.get_ident()

    def count(module: nn.Module, name: str, part: Any) -> None:
        nonlocal made
        if threading.get_ident() != mine:  # the hooks are those of all threads
            return
        made += 1
        if made > parts:
            raise ValueError(f"the plan asks for a network of more than {parts:,} parts, and the file holds fewer")

    hooks = [register_module_module_registration_hook(count), register_module_parameter_registration_hook(count)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
