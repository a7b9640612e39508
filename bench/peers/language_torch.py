"""A GPT of characters as nanoGPT trains it, in plain PyTorch; prints one JSON line.

Usage: python language_torch.py DATASET --data FOLDER --seconds N [--stretch N] [--compile]

GPT-2's blocks (Radford et al. 2019): learned positions, layer norm before each part, GELU, one matrix for embedding
and answer, no biases, weights drawn at 0.02 and those that end a part at less by the root of their number. Windows
drawn at random from the text, bf16 autocast, AdamW (0.9, 0.99) with decay on matrices alone, clipping at 1, 100 steps
of warm-up, then a cosine from 1e-3 to 1e-4 over the seconds. --compile: torch.compile, where its steps are faster. The
seconds are those of the loop alone: reading, compiling and trying out which is faster do not count.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import peak

LAYERS, WIDTH, HEADS, WINDOW, BATCH = 3, 256, 4, 256, 32
RATE, LEAST, WARMUP, DECAY, BETAS, CLIP = 1e-3, 1e-4, 100, 0.1, (0.9, 0.99), 1.0
TRIED = 8  # steps that tell whether compiling pays


class Block(nn.Module):
    """Attention to what came before, then a layer four times as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.ends = nn.ModuleList([nn.Linear(width, WIDTH, bias=False) for width in (WIDTH, 4 * WIDTH)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, WIDTH) to the same."""
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.ends[0](seen.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.ends[1](F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Characters (B, T) and those that follow them to the mean loss in nats, or with each=True to (B, T) of them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(size, WIDTH), nn.Embedding(WINDOW, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if "ends" in name else 0.02)

    def forward(self, x: Tensor, y: Tensor, each: bool = False) -> Tensor:
        """The loss."""
        h = self.token(x) + self.place(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            h = block(h)
        scores = F.linear(self.norm(h), self.token.weight)
        return F.cross_entropy(scores.flatten(0, 1).float(), y.flatten(), reduction="none" if each else "mean")


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    """AdamW, with decay on what has two dimensions."""
    groups = [[p for p in net.parameters() if (p.dim() > 1) == matrix] for matrix in (True, False)]
    listed = [{"params": group, "weight_decay": decay} for group, decay in zip(groups, (DECAY, 0.0), strict=True)]
    return torch.optim.AdamW(listed, lr=RATE, betas=BETAS, fused=True)


def drawn(text: Tensor) -> tuple[Tensor, Tensor]:
    """Windows from anywhere, and what follows each character."""
    index = torch.randint(len(text) - WINDOW, (BATCH, 1)) + torch.arange(WINDOW + 1)
    rows = text[index]
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def step(net: nn.Module, optimizer: torch.optim.Optimizer, text: Tensor) -> None:
    """One step."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(*drawn(text))
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def tried(net: nn.Module, text: Tensor) -> float:
    """Median seconds of a step; the first two do not count."""
    optimizer = optimizer_of(net)
    return statistics.median([_seconds(lambda: step(net, optimizer, text)) for _ in range(TRIED + 2)][2:])


def _seconds(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def faster(net: nn.Module, text: Tensor) -> tuple[nn.Module, str]:
    """The network, compiled if its steps are faster then, with the weights that it came with; and what was seen."""
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    plain = tried(net, text)
    compiled = torch.compile(net)
    quick = tried(compiled, text)
    net.load_state_dict(weights)
    told = f"{plain * 1e3:.0f} ms a step, compiled {quick * 1e3:.0f} ms; the faster was taken"
    return (compiled if quick < plain else net), told


def train(net: nn.Module, text: Tensor, seconds: float, stretch: int) -> list[tuple[float, float]]:
    """Steps for so many seconds; (seconds, characters trained on) after every stretch of steps."""
    optimizer, began, steps = optimizer_of(net), time.perf_counter(), 0
    points = [(0.0, 0.0)]
    while (now := time.perf_counter() - began) < seconds:
        if not steps % stretch and steps:
            points.append((now, float(steps * BATCH * WINDOW)))
        warm = min(1.0, (steps + 1) / WARMUP)
        fall = LEAST + 0.5 * (RATE - LEAST) * (1 + math.cos(math.pi * now / seconds))
        for group in optimizer.param_groups:
            group["lr"] = warm * RATE if warm < 1 else fall
        step(net, optimizer, text)
        steps += 1
    return [*points, (time.perf_counter() - began, float(steps * BATCH * WINDOW))]


@torch.inference_mode()
def judge(net: nn.Module, text: Tensor, first: Tensor) -> float:
    """Nats a character, in windows end to end; before the first character stands `first`."""
    net.eval()
    text = torch.cat([first, text])
    total = 0.0
    for start in range(0, len(text) - 1, WINDOW):
        rows = text[start : start + WINDOW + 1]
        with torch.autocast("cpu", torch.bfloat16):
            total += float(net(rows[None, :-1], rows[None, 1:], each=True).double().sum())
    return total / (len(text) - 1)


def main() -> None:
    """Reads, tries out, trains for the seconds given, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="of the training loop")
    parser.add_argument("--stretch", type=int, default=5, help="steps between two looks at the clock")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    parts = [(args.data / f"{args.dataset}_{part}.txt").read_text(encoding="utf-8") for part in ("train", "val")]
    code = {sign: number for number, sign in enumerate(sorted(set("".join(parts)) | {"\n"}))}
    text, val = (torch.tensor([code[sign] for sign in part]) for part in parts)
    net = GPT(len(code))
    used, told = faster(net, text) if args.compile else (net, "not tried")
    points = train(used, text, args.seconds, args.stretch)
    answer = {
        "loss": judge(net, val, torch.tensor([code["\n"]])),
        "characters": len(val),
        "points": points,
        "seconds": points[-1][0],
        "training": points[-1][0],
        "steps": points[-1][1] / BATCH / WINDOW,
        "parameters": sum(p.numel() for p in net.parameters()),
        "compiled": told,
    }
    print(json.dumps(answer | {"threads": torch.get_num_threads(), "rss": peak()}))


if __name__ == "__main__":
    main()
