"""The frozen hand-written loop that the engine is measured against: the same features, nothing else."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE, WARMUP, CLIP, DECAY, STRIDE = (
    1e-3,
    0.05,
    1.0,
    0.99,
    9,
)  # STRIDE: the engine averages every 9 steps, and at the end


def mlp() -> nn.Module:
    """784-256-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn() -> nn.Module:
    """Two convolutions and a linear layer on 28 x 28 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 10),
    )


def train(net: nn.Module, x: Tensor, y: Tensor, batches: list[Tensor]) -> tuple[float, list[Tensor]]:
    """One fused Adam step a batch, linear warm-up and decay, clipped, averaged; (seconds, averaged weights)."""
    params = list(net.parameters())
    matrices, vectors = [p for p in params if p.ndim >= 2], [p for p in params if p.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": matrices}, {"params": vectors}], lr=RATE, weight_decay=0.0, fused=True)
    average = [p.detach().clone() for p in params]
    losses: list[Tensor] = []
    steps = len(batches)
    started = time.perf_counter()
    for step, index in enumerate(batches, 1):
        t = (step - 0.5) / steps
        factor = t / WARMUP if t < WARMUP else 1.0 - min(1.0, (t - WARMUP) / (1.0 - WARMUP))
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor
        xb, yb = x[index], y[index]
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(xb), yb, reduction="none").sum() / len(yb)
        loss.backward()
        nn.utils.clip_grad_norm_(params, CLIP)
        optimizer.step()
        since = step % STRIDE
        if not since or step == steps:
            times = -(-step // STRIDE)
            with torch.no_grad():
                decay = min(DECAY**STRIDE, times / (times + 9.0))
                torch._foreach_lerp_(average, params, 1.0 - decay ** (since / STRIDE if since else 1.0))
        losses.append(loss.detach())
        if step % 50 == 0:
            torch.stack(losses).mean().item()
            losses.clear()
    return time.perf_counter() - started, average
