"""A plain PyTorch MLP on a table of numbers and categories; prints one JSON line.

Usage: python table_torch.py DATASET --data FOLDER [--epochs N] [--batch N]

As tutorials write it: medians for missing numbers and a scale of one, one-hot categories, a standardised target if it
is a number, an MLP 256-256 in a DataLoader's loop with Adam, on the training rows of the first fold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import peak, since_start
from folds import split, tables


def column(values: pa.ChunkedArray, train: np.ndarray) -> np.ndarray:
    """(N, C) float32: a scaled number, or one-hot categories."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type):
        x = values.cast(pa.float64()).to_numpy().astype(float)
        x = np.where(np.isnan(x), np.nanmedian(x[train]), x)
        return ((x - x[train].mean()) / max(x[train].std(), 1e-9)).astype(np.float32)[:, None]
    texts = np.array([str(value) for value in values.to_pylist()])
    known = np.unique(texts[train])
    return (texts[:, None] == known[None]).astype(np.float32)


def main() -> None:
    """Trains and tells the test rows' score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    torch.manual_seed(0)
    table = next(t for t in tables(args.data) if t.name == args.dataset)
    frame = pq.read_table(table.path(args.data))
    target = frame.column(table.target).to_pylist()
    classes = sorted(set(target)) if table.classes else []
    y = np.array([classes.index(value) for value in target] if classes else target)
    train, test = split(np.array(target), table.classes, 0, 0)
    inputs = [frame.column(name) for name in frame.column_names if name != table.target]
    x = torch.from_numpy(np.concatenate([column(values, train) for values in inputs], 1))
    scaled = y if classes else (y - y[train].mean()) / y[train].std()
    answers = torch.from_numpy(scaled) if classes else torch.from_numpy(scaled.astype(np.float32))[:, None]
    net = nn.Sequential(nn.Linear(x.shape[1], 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
    net.append(nn.Linear(256, max(1, len(classes))))
    loss_of = nn.CrossEntropyLoss() if classes else nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters())
    loader = DataLoader(TensorDataset(x[train], answers[train]), batch_size=args.batch, shuffle=True)
    for _ in range(args.epochs):
        for xb, yb in loader:
            loss = loss_of(net(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        found, truth = net(x[test]), answers[test]
    right = (found.argmax(1) == truth).float().mean() if classes else 1 - (found - truth).square().mean() / truth.var()
    print(json.dumps({"dataset": table.name, "score": float(right), "seconds": since_start(), "rss": peak()}))


if __name__ == "__main__":
    main()
