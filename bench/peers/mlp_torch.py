"""784-256-10 with the training loop of PyTorch's quickstart; prints one JSON line.

Usage: python mlp_torch.py --file NPZ [--seed N] [--epochs N] [--batch N]

The loop of pytorch.org's "Quickstart": DataLoader, cross-entropy, zero_grad, backward, step, a test after every epoch,
five epochs. Adapted: 256 units in one layer and batch 32, as on all sides here; Adam at its default rate, since the
quickstart's SGD at 1e-3 stays below 70 % in five epochs; rows are shuffled. In favour of the peer: rows lie in memory
as tensors in [0, 1], where the quickstart decodes each picture anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import Curve, peak, since_start


def train(loader: DataLoader[tuple[Tensor, ...]], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One epoch."""
    model.train()
    loss_of = nn.CrossEntropyLoss()
    for x, y in loader:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test(loader: DataLoader[tuple[Tensor, ...]], model: nn.Module) -> float:
    """The share of rows that are right."""
    model.eval()
    right = rows = 0
    with torch.no_grad():
        for x, y in loader:
            right += int((model(x).argmax(1) == y).sum())
            rows += len(y)
    return right / rows


def main() -> None:
    """Trains, and tests after every epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    with np.load(args.file) as file:
        x, y, x_test, y_test = (torch.from_numpy(file[name]) for name in ("x", "y", "x_test", "y_test"))
    rows = TensorDataset(x.unsqueeze(1).float() / 255, y)
    held = TensorDataset(x_test.unsqueeze(1).float() / 255, y_test)
    loader = DataLoader(rows, batch_size=args.batch, shuffle=True)
    checks = DataLoader(held, batch_size=args.batch)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters())
    curve = Curve()
    for _ in range(args.epochs):
        train(loader, model, optimizer)
        curve.add(test(checks, model))
    answer = curve.answer() | {"test": curve.points[-1][1], "epochs": float(args.epochs), "seconds": since_start()}
    print(json.dumps(answer | {"threads": torch.get_num_threads(), "rss": peak()}))


if __name__ == "__main__":
    main()
