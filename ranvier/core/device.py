"""Which device and precision the hardware is best at."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from ranvier.core.errors import PlanError, RunError


def pick_device(name: str = "auto") -> torch.device:
    """The named device; for "auto" CUDA where there is one, else the CPU. Raises PlanError for one that is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or not (number.isdecimal() or name == kind):
        raise PlanError(f"device {name!r} is not known; use 'auto', 'cpu', 'cuda' or 'cuda:0'")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise PlanError(f"device {name!r}: this PyTorch sees {torch.cuda.device_count()} CUDA devices; try 'cpu'")
    return torch.device(name)


@cache
def fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 faster than fp32: AMX or AMD's AVX-512 BF16 on a CPU, Ampere or later on CUDA.

    Intel's cores have half as many units for AVX-512 BF16 as for fp32: where AMX is off, products take longer by it.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    return torch.cpu._is_amx_tile_supported() or (torch.cpu._is_avx512_bf16_supported() and not _by_intel())


def _by_intel(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether Intel made the processor, as far as it says so."""
    return "GenuineIntel" in (facts.read_text() if facts.exists() else platform.processor())


@contextmanager
def memory_told(when: str, cure: str) -> Iterator[None]:
    """Inside, an accelerator without memory left is a RunError that says when that was, and what to try."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunError(f"the memory of the device ran out {when} ({short(error)}): try {cure}") from None


def short(error: torch.OutOfMemoryError) -> str:
    """How much was asked for, and how much is free: the first sentences of what torch says, which goes on for long."""
    return ". ".join(str(error).split(". ")[:3]).strip(" .")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, torch computes in so many threads (0 = as it does already)."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count:
            torch.set_num_threads(before)
