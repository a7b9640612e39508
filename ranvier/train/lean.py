"""Torch's optimizers without torch's compiler."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=type[Optimizer])
MARKED = ("add_param_group", "state_dict", "load_state_dict")


def unmarked(kind: type[Optimizer]) -> dict[str, Any]:
    """Methods of an optimizer without the mark by which torch keeps them out of compiled code.

    The mark imports torch's compiler at the first call, which takes a second: longer than many a training, and for
    nothing where no step is compiled.
    """
    return {name: inspect.unwrap(getattr(kind, name)) for name in MARKED}


@cache
def lean(kind: Kind) -> Kind:
    """The class of an optimizer of torch, its methods and its step unmarked; what they do stays the same."""
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**unmarked(kind), "step": step})  # type: ignore[return-value]
