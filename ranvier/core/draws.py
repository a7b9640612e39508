"""Torch's own random state, which all threads of the process share."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_held = [threading.RLock()]


def _free() -> None:
    _held[0] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)  # the thread that held it is not in the child


@contextmanager
def own_random(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Inside, torch draws from that seed, here and on a CUDA device; after, from the caller's state as it was.

    Others who ask for it in other threads wait, so that what is drawn inside is what it would be alone.
    """
    with _held[0], torch.random.fork_rng(devices=[device] if device is not None and device.type == "cuda" else []):
        draw_from(seed, device)
        yield


def draw_from(seed: int, device: torch.device | None = None) -> None:
    """Seeds torch's random state here, and on a CUDA device."""
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(seed)
