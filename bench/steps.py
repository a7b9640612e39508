"""The two steps that the bf16 bench times, and how; torch and the standard library only, for ours and the peers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WIDTH, DEPTH, HEADS, TOKENS, ROWS, CLASSES = 512, 6, 8, 256, 16, 10
PICTURES, SIDE, WIDTHS, PATCH = 512, 28, [64, 128, 256], 2
RATE = 1e-4
SQUARE = 2_048  # side of the matrices whose product tells the peak
WARM = 2


def data(net: str, rows: int) -> tuple[Tensor, Tensor]:
    """Inputs of several batches, all in memory, and labels: tokens (N, 256, 512), or pictures (N, 1, 28, 28)."""
    torch.manual_seed(0)
    shape = (TOKENS, WIDTH) if net == "transformer" else (1, SIDE, SIDE)
    return torch.randn(rows, *shape), torch.randint(0, CLASSES, (rows,))


def batch_of(net: str, quick: bool) -> int:
    """Rows in a step."""
    rows = ROWS if net == "transformer" else PICTURES
    return max(2, rows // 8) if quick else rows


def operations(net: str, rows: int) -> float:
    """Multiplications and additions of a step (backward counted as twice forward), of matrix products alone.

    Transformer: 2 x (12 width^2 + 2 tokens x width) a token and block: four projections, two feed-forward layers four
    times as wide, scores and their sums. CNN: 2 x 9 x channels in x channels out a place, for every 3 x 3 convolution.
    """
    if net == "transformer":
        return 3 * 2 * rows * TOKENS * DEPTH * (12 * WIDTH**2 + 2 * TOKENS * WIDTH)
    channels, side, forward = PATCH**2, SIDE // PATCH, 0
    for width in WIDTHS:
        forward += side * side * 9 * (channels * width + width * width)
        channels, side = width, -(-side // 2)
    return 3 * 2 * rows * float(forward)


def peak_of_products(times: int) -> float:
    """Operations a second of the fastest bf16 product of two square matrices of fixed size."""
    a, b = (torch.randn(SQUARE, SQUARE).bfloat16() for _ in "ab")
    return 2 * SQUARE**3 / min(_seconds(lambda: a @ b) for _ in range(times))


def timed(net: str, step: Callable[[], object], rows: int, steps: int) -> dict[str, Any]:
    """Median milliseconds of a step after a few that do not count, its operations, and the peak around it, in 10^12."""
    before = peak_of_products(5)
    for _ in range(WARM):
        step()
    seconds = statistics.median(_seconds(step) for _ in range(steps))
    peak = max(before, peak_of_products(5))
    return {
        "net": net,
        "ms": seconds * 1e3,
        "peak": peak / 1e12,
        "operations": operations(net, rows) / 1e12,
        "threads": torch.get_num_threads(),
    }


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
