"""Ranvier's side of the bf16 bench: steps of the engine on its own networks, in a process of its own; prints a line.

Usage: python -m bench.ours_steps transformer|cnn [--steps N] [--quick]
"""

from __future__ import annotations

import argparse
import json

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ranvier as rv
from bench import steps as shared
from ranvier.train.plain import NetTask


class Classifier(nn.Module):
    """Tokens (B, T, width) through Ranvier's Transformer, their mean to scores (B, classes)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = rv.nets.Transformer(shared.WIDTH, depth=shared.DEPTH, heads=shared.HEADS)
        self.out = nn.Linear(shared.WIDTH, shared.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.out(self.body(x).mean(1))


def main() -> None:
    """Times the engine's steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=("transformer", "cnn"))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    rows = shared.batch_of(args.net, args.quick)
    x, y = shared.data(args.net, 4 * rows)
    torch.manual_seed(0)
    net = Classifier() if args.net == "transformer" else rv.nets.ResNet(1, shared.WIDTHS, shared.CLASSES)
    task = NetTask(net, lambda answer, y: F.cross_entropy(answer.float(), y, reduction="none"))
    source = rv.train.TensorSource(x, y, batch=rows)
    settings = rv.train.Settings(
        steps=args.steps + shared.WARM, rate=shared.RATE, precision="bf16", schedule={"name": "constant"}, watch=False
    )
    engine = rv.train.Engine(task, source, settings)
    task.train()

    def step() -> None:
        engine.train_step(source.batch(engine.progress.step))

    with engine.own_random():
        print(json.dumps(shared.timed(args.net, step, rows, args.steps)))


if __name__ == "__main__":
    main()
