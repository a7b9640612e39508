"""The loop that a good engineer writes for Fashion-MNIST on a CPU; prints one JSON line.

Usage: python fashion_torch.py --data FOLDER --seconds N

A small residual network, bf16 autocast and channels-last, AdamW, random shifts and flips, a learning rate that warms up
and then falls with the seconds left (reading included), and the weights of the end. Nothing is chosen on test rows.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import peak

START = time.perf_counter()
BATCH, RATE, DECAY, WARMUP, SMOOTHING = 256, 4e-3, 0.05, 0.1, 0.1
RESERVE = 5.0  # seconds for the test at the end


class Block(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same."""
        return F.relu(x + self.norm2(self.two(F.relu(self.norm1(self.one(x))))))


def network() -> nn.Module:
    """(B, 1, 28, 28) to (B, 10); half a million parameters."""

    def down(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), Block(b)]

    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(
        *stem, *down(16, 32), *down(32, 64), *down(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)
    )


def read(path: Path, classes: list[str]) -> tuple[Tensor, Tensor, list[str]]:
    """(N, 1, 28, 28) floats of mean 0 and deviation 1, (N,) labels, and the classes (found, if none are given)."""
    table = pq.read_table(path)
    pictures = (np.asarray(Image.open(io.BytesIO(cell.as_py()))) for cell in table["image"])
    x = torch.from_numpy(np.stack(list(pictures))).unsqueeze(1).float().div(255).sub(0.286).div(0.353)
    labels = table["label"].to_pylist()
    classes = classes or sorted(set(labels))
    code = {name: number for number, name in enumerate(classes)}
    return x, torch.tensor([code[label] for label in labels]), classes


def augmented(x: Tensor) -> Tensor:
    """The pictures of a batch shifted by up to two pixels (one shift for all) and half of them flipped."""
    down, right = torch.randint(0, 5, (2,)).tolist()
    x = F.pad(x, (2, 2, 2, 2), value=-0.81)[:, :, down : down + 28, right : right + 28]
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)


def train(net: nn.Module, x: Tensor, y: Tensor, until: float) -> int:
    """Steps until `until` seconds after the start; how many."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    began, steps = time.perf_counter() - START, 0
    while True:
        order = torch.randperm(len(x))
        for start in range(0, len(x), BATCH):
            t = (time.perf_counter() - START - began) / max(until - began, 1e-9)
            if t >= 1:
                return steps
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(t / WARMUP, (1 - t) / (1 - WARMUP))
            index = order[start : start + BATCH]
            xb = augmented(x[index]).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(net(xb), y[index], label_smoothing=SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            steps += 1


@torch.inference_mode()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of rows that are right."""
    net.eval()
    right = 0
    for start in range(0, len(x), 1000):
        xb = x[start : start + 1000].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            right += int((net(xb).argmax(1) == y[start : start + 1000]).sum())
    return right / len(x)


def main() -> None:
    """Reads, trains for the seconds given, tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="for all: reading, training, testing")
    args = parser.parse_args()
    torch.manual_seed(0)
    x, y, classes = read(args.data / "fashion_train.parquet", [])
    net = network().to(memory_format=torch.channels_last)
    steps = train(net, x, y, max(args.seconds - RESERVE, 0.5 * args.seconds))
    x_test, y_test, _ = read(args.data / "fashion_test.parquet", classes)
    answer = {"accuracy": accuracy(net, x_test, y_test), "epochs": steps * BATCH / len(x), "steps": steps}
    answer |= {"seconds": time.perf_counter() - START, "threads": torch.get_num_threads()}
    print(json.dumps(answer | {"rss": peak()}))


if __name__ == "__main__":
    main()
