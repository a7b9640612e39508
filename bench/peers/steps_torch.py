"""A training step in bf16 as plain PyTorch or x-transformers write it; prints one JSON line.

Usage: python steps_torch.py transformer|cnn plain|xtransformers [--steps N] [--quick]

transformer, plain: nn.TransformerEncoder of pre-norm layers with GELU. transformer, xtransformers: its Encoder with
flash attention, rotary positions and RMS norm. cnn: the same small residual network as Ranvier's (pixel unshuffle, for
each width a convolution and one with a shortcut, batch norm, ReLU), channels-last. All under autocast, dropout 0, with
fused AdamW, on rows gathered from memory.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent))
import steps as shared


class Plain(nn.Module):
    """Tokens (B, T, width) to scores (B, classes)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.out = body, nn.Linear(shared.WIDTH, shared.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.out(self.body(x).mean(1))


def encoder() -> nn.Module:
    """PyTorch's own encoder."""
    width = shared.WIDTH
    how = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
    layer = nn.TransformerEncoderLayer(width, shared.HEADS, 4 * width, **how)
    return nn.TransformerEncoder(layer, shared.DEPTH, nn.LayerNorm(width), enable_nested_tensor=False)


def xtransformers() -> nn.Module:
    """That of x-transformers."""
    from x_transformers import Encoder

    how = {"attn_flash": True, "rotary_pos_emb": True, "use_rmsnorm": True}
    return Encoder(dim=shared.WIDTH, depth=shared.DEPTH, heads=shared.HEADS, **how)


class CNN(nn.Module):
    """Pictures (B, 1, 28, 28) to scores (B, classes)."""

    def __init__(self) -> None:
        super().__init__()
        channels, stages = shared.PATCH**2, []
        for width in shared.WIDTHS:
            stages.append(nn.ModuleList([self._layer(channels, width), self._layer(width, width)]))
            channels = width
        self.stages, self.out = nn.ModuleList(stages), nn.Linear(channels, shared.CLASSES)

    @staticmethod
    def _layer(a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = F.pixel_unshuffle(x, shared.PATCH).contiguous(memory_format=torch.channels_last)
        for number, (first, second) in enumerate(self.stages):
            x = first(F.max_pool2d(x, 2, ceil_mode=True) if number else x)
            x = x + second(x)
        return self.out(x.mean((2, 3)))


def main() -> None:
    """Times the steps of a plain loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=("transformer", "cnn"))
    parser.add_argument("kind", choices=("plain", "xtransformers"))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    rows = shared.batch_of(args.net, args.quick)
    x, y = shared.data(args.net, 4 * rows)
    torch.manual_seed(0)
    net = CNN() if args.net == "cnn" else Plain(encoder() if args.kind == "plain" else xtransformers())
    net = net.to(memory_format=torch.channels_last) if args.net == "cnn" else net
    optimizer = torch.optim.AdamW(net.parameters(), lr=shared.RATE, fused=True)

    def step() -> None:
        index = torch.randperm(len(x))[:rows]
        with torch.autocast("cpu", torch.bfloat16):
            answer = net(x[index])
        loss = F.cross_entropy(answer.float(), y[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    print(json.dumps(shared.timed(args.net, step, rows, args.steps)))


if __name__ == "__main__":
    main()
