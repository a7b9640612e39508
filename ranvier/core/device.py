"""Which device and precision the hardware is best at."""

from __future__ import annotations

from functools import cache

import torch


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or CUDA where there is one, else the CPU. Raises ValueError for a device not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but this PyTorch sees no CUDA device; try device='cpu'")
    return device


@cache
def fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware (AMX or AVX-512 BF16 on a CPU, Ampere or later on CUDA)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
