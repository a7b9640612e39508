"""The same two networks as `sequence_keras.py`, as plain PyTorch tutorials write them; prints one JSON line.

Usage: python sequence_torch.py lstm|transformer --file JSON --held ROWS [--seed N] [--epochs N]

nn.Embedding, then nn.LSTM (two layers of 64, bidirectional; the last states of both directions) or
nn.TransformerEncoderLayer (2 heads, 32 wide, mean over tokens), DataLoader, Adam at its default rate, batch 32, the
quickstart's loop, a validation after every epoch. Words, lengths and padding are those of the Keras side.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import Curve, peak, since_start
from sets import Texts, encoded, texts, vocabulary

WORDS, LENGTH, BATCH = 20_000, 200, 32
WIDTH, HEADS, HIDDEN = 32, 2, 32


class LSTM(nn.Module):
    """Words (B, T) to scores (B, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 128)
        self.lstm = nn.LSTM(128, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.out = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        _, (state, _) = self.lstm(self.embedding(x))
        return self.out(torch.cat([state[-2], state[-1]], 1))


class Transformer(nn.Module):
    """Words (B, T) to scores (B, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.block = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.1, batch_first=True)
        drop = nn.Dropout(0.1)
        self.out = nn.Sequential(drop, nn.Linear(WIDTH, 20), nn.ReLU(), drop, nn.Linear(20, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.token(x) + self.place(torch.arange(x.shape[1]))
        return self.out(self.block(x).mean(1))


def rows(part: Texts, words: dict[str, int], shuffle: bool) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of word numbers and labels."""
    x, y = torch.from_numpy(encoded(part.texts, words, LENGTH)), torch.from_numpy(part.labels)
    return DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=shuffle)


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
    right = count = 0
    with torch.no_grad():
        for x, y in loader:
            right += int((model(x).argmax(1) == y).sum())
            count += len(y)
    return right / count


def main() -> None:
    """Trains and tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=("lstm", "transformer"))
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--held", type=int, required=True, help="training rows held out for validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    parts = texts(args.file, args.held)
    words = vocabulary(parts[0].texts, WORDS)
    loader, checks, last = (rows(part, words, shuffle=number == 0) for number, part in enumerate(parts))
    model = {"lstm": LSTM, "transformer": Transformer}[args.net](len(parts[0].classes))
    optimizer = torch.optim.Adam(model.parameters())
    curve = Curve()
    for _ in range(args.epochs):
        train(loader, model, optimizer)
        curve.add(test(checks, model))
    answer = curve.answer() | {"test": test(last, model), "epochs": float(args.epochs), "seconds": since_start()}
    print(json.dumps(answer | {"threads": torch.get_num_threads(), "rss": peak()}))


if __name__ == "__main__":
    main()
