"""Torch's own random state, which all threads of the process share."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor


class _Shared:
    """Who draws now, and how it was before anyone did."""

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self.users = 0
        self.before: dict[torch.device | None, Tensor] = {}


_shared = [_Shared()]


def _anew() -> None:
    _shared[0] = _Shared()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_anew)  # the thread that held it is not in the child


@contextmanager
def own_random(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Inside, torch draws from that seed, here and on a CUDA device; after, from the state as it was.

    Others who ask for it in other threads wait, so that what is drawn inside is what it would be alone.
    """
    with _shared[0].turn, torch.random.fork_rng(devices=[device] if _cuda(device) else []):
        draw_from(seed, device)
        yield


@contextmanager
def kept_random(device: torch.device | None = None) -> Iterator[None]:
    """Inside, others may draw in turns (`its_turn`); when the last of them leaves, all is as the first has found it."""
    shared = _shared[0]
    with shared.turn:
        shared.users += 1
        for each in (None, device) if _cuda(device) else (None,):
            if each not in shared.before:
                shared.before[each] = torch.get_rng_state() if each is None else torch.cuda.get_rng_state(each)
    try:
        yield
    finally:
        with shared.turn:
            shared.users -= 1
            while not shared.users and shared.before:
                each, state = shared.before.popitem()
                if each is None:
                    torch.set_rng_state(state)
                else:
                    torch.cuda.set_rng_state(state, each)


def its_turn() -> AbstractContextManager[Any]:
    """To be held while drawing from a seed of one's own (`draw_from`), so that nobody else draws between."""
    return _shared[0].turn


def draw_from(seed: int, device: torch.device | None = None) -> None:
    """Seeds torch's random state here, and on a CUDA device."""
    torch.default_generator.manual_seed(seed)
    if _cuda(device):
        torch.cuda.manual_seed(seed)


def _cuda(device: torch.device | None) -> bool:
    return device is not None and device.type == "cuda"
