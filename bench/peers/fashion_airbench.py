"""A bf16 CPU port of the published airbench94 recipe to Fashion-MNIST; prints one JSON line.

Usage: python fashion_airbench.py --data FOLDER --held ROWS [--seed N] [--epochs X] [--batch N] [--kernel N]
                                  [--widths A B C] [--target SCORE] [--limit SECONDS]

The recipe: Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv:2404.00498), in the version with
Muon (2.59 s). Kept as published: a frozen first convolution that whitens patches (each eigenvector twice, once with
its sign turned) and whose bias learns for three epochs only; three groups of convolution, max pool 2, batch norm,
GELU, convolution, batch norm, GELU, of widths 64, 256, 256; identity initialisation of the first filters; batch norm
without a learned scale, momentum 0.6, eps 1e-12; a last max pool 3; a linear head without bias whose weights start at
deviation 1 and whose answer is divided by its width; label smoothing 0.2, the loss summed over the batch of 2,000; Muon
(rate 0.24, Nesterov momentum 0.6, three quintic Newton-Schulz steps in bf16, each filter bank brought to its own norm
before the step) for the filters; SGD with Nesterov momentum 0.85 for biases (rate 0.053) and head (rate 0.67), decay
2e-6 x batch; every rate straight down to 0; random crops from a border of 2 reflected pixels; alternating flip (a
random half is mirrored once, and every second epoch all are mirrored back); six views at test time (mirrored or not,
moved by a pixel or not). This version has no lookahead.

Adapted: one grey channel, so patches of 2 x 2 give 8 filters instead of 24 (`--kernel 3` gives 18); 28 x 28 pixels,
which go 27, 13, 6, 3, 1; Fashion-MNIST's mean and deviation; bf16 by autocast over fp32 weights instead of fp16
weights, for bf16 weights would lose the last small steps; no torch.compile, which costs a CPU more than it gains here;
Newton-Schulz on each bank by itself. `--batch` other than 2,000 takes Muon's rate times the root of the ratio.
Validation: after every epoch on the rows held out, one view each; after the last epoch, if that is not enough, with all
six views. It stops at the first score of `--target` or more. The test rows are looked at once, at the end, with six
views.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from fashion_files import DEVIATION, MEAN, read
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import Curve, peak, since_start
from sets import hold_out

PUBLISHED_BATCH, MUON_RATE, MUON_MOMENTUM, NEWTON_STEPS = 2_000, 0.24, 0.6, 3
BIAS_RATE, HEAD_RATE, SGD_MOMENTUM, DECAY = 0.053, 0.67, 0.85, 2e-6
SMOOTHING, BORDER, WHITEN_EPOCHS, WHITEN_ROWS, WHITEN_EPS = 0.2, 2, 3.0, 5_000, 5e-4


class Group(nn.Module):
    """Convolution, max pool, norm, GELU, convolution, norm, GELU: (B, a, H, W) to (B, b, H // 2, W // 2)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, b, 3, padding=1, bias=False) for width in (a, b))
        self.norm1, self.norm2 = (nn.BatchNorm2d(b, eps=1e-12, momentum=0.4) for _ in "12")
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight.data[: conv.in_channels])
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad = False

    def forward(self, x: Tensor) -> Tensor:
        """The group's answer."""
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Net(nn.Module):
    """Grey pictures (B, 1, 28, 28) to scores (B, classes)."""

    def __init__(self, kernel: int, widths: list[int], classes: int) -> None:
        super().__init__()
        filters = 2 * kernel * kernel
        self.whiten = nn.Conv2d(1, filters, kernel)
        self.whiten.weight.requires_grad = False
        self.groups = nn.Sequential(*(Group(a, b) for a, b in zip([filters, *widths], widths, strict=False)))
        self.head = nn.Linear(widths[-1], classes, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    @torch.no_grad()
    def learn_whitening(self, x: Tensor) -> None:
        """Sets the first filters to the whitened principal directions of the patches of x (N, 1, H, W), and minus."""
        kernel = self.whiten.kernel_size[0]
        patches = F.unfold(x, kernel).transpose(1, 2).reshape(-1, kernel * kernel)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        directions = (vectors / (values + WHITEN_EPS).sqrt()).T.reshape(-1, 1, kernel, kernel)
        self.whiten.weight.copy_(torch.cat([directions, -directions]))

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = F.max_pool2d(self.groups(F.gelu(self.whiten(x))), 3).flatten(1)
        return self.head(x) / x.shape[1]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, then a step in the nearest half-orthogonal direction, for banks of filters (Jordan 2024)."""

    def __init__(self, banks: list[nn.Parameter], lr: float) -> None:
        super().__init__(banks, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step for every bank that has a gradient."""
        for group in self.param_groups:
            for bank in group["params"]:
                memory = self.state[bank].setdefault("momentum", torch.zeros_like(bank))
                memory.mul_(MUON_MOMENTUM).add_(bank.grad)
                direction = orthogonal((bank.grad + MUON_MOMENTUM * memory).flatten(1))
                bank.mul_(math.sqrt(len(bank)) / bank.norm())
                bank.sub_(direction.view_as(bank).to(bank.dtype), alpha=group["lr"])


def orthogonal(g: Tensor) -> Tensor:
    """(M, N) with singular values brought near 1: X <- aX + (bA + cA^2)X, A = XX^T, a few times, in bf16."""
    x = g.bfloat16()
    wide = x.shape[0] <= x.shape[1]
    x = (x if wide else x.T) / (x.norm() + 1e-7)
    for _ in range(NEWTON_STEPS):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide else x.T


class Loader:
    """Batches of an epoch: alternately mirrored, cropped at random, shuffled; an incomplete last batch is left out."""

    def __init__(self, x: Tensor, y: Tensor, batch: int) -> None:
        mirrored = torch.rand(len(x), 1, 1, 1) < 0.5
        self.padded = F.pad(torch.where(mirrored, x.flip(3), x), (BORDER,) * 4, mode="reflect")
        self.y, self.batch, self.side = y, batch, x.shape[-1]
        self.steps = len(x) // batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of epoch `number`, counted from 0."""
        order = torch.randperm(len(self.y))
        for start in range(0, self.steps * self.batch, self.batch):
            index = order[start : start + self.batch]
            x = crop(self.padded[index], self.side)
            x = x.flip(3) if number % 2 else x
            yield x.contiguous(memory_format=torch.channels_last), self.y[index]


def crop(x: Tensor, side: int) -> Tensor:
    """(B, 1, S, S) to (B, 1, side, side), each picture cut out at a place of its own."""
    places = torch.arange(side)
    down, right = torch.randint(0, x.shape[-1] - side + 1, (2, len(x), 1))
    rows = (down + places)[:, :, None].expand(-1, side, x.shape[-1])
    columns = (right + places)[:, None, :].expand(-1, side, side)
    return x[:, 0].gather(1, rows).gather(2, columns)[:, None]


@torch.inference_mode()
def accuracy(net: Net, x: Tensor, y: Tensor, views: int) -> float:
    """The share of rows that are right, by one view of each or by six."""
    net.eval()
    right = 0
    for start in range(0, len(x), 1_000):
        part = x[start : start + 1_000].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            scores = six_views(net, part) if views == 6 else net(part)
        right += int((scores.argmax(1) == y[start : start + 1_000]).sum())
    net.train()
    return right / len(x)


def six_views(net: Net, x: Tensor) -> Tensor:
    """Half of the picture itself, half of it moved up left and down right by a pixel; each also mirrored."""

    def both(z: Tensor) -> Tensor:
        return (net(z).float() + net(z.flip(3)).float()) / 2

    padded, side = F.pad(x, (1,) * 4, mode="reflect"), x.shape[-1]
    moved = [both(padded[:, :, at : at + side, at : at + side]) for at in (0, 2)]
    return both(x) / 2 + (moved[0] + moved[1]) / 4


def train(net: Net, loader: Loader, epochs: float, curve: Curve, held: tuple[Tensor, Tensor]) -> int:
    """Trains until the last step, the target or the limit; how many steps."""
    steps, whiten_steps = math.ceil(epochs * loader.steps), math.ceil(WHITEN_EPOCHS * loader.steps)
    filters = [p for p in net.groups.parameters() if p.ndim == 4]
    biases = [p for p in net.groups.parameters() if p.ndim == 1 and p.requires_grad]
    decay = DECAY * loader.batch
    sgd = torch.optim.SGD(
        [
            {"params": [net.whiten.bias], "lr": BIAS_RATE, "weight_decay": decay / BIAS_RATE},
            {"params": biases, "lr": BIAS_RATE, "weight_decay": decay / BIAS_RATE},
            {"params": [net.head.weight], "lr": HEAD_RATE, "weight_decay": decay / HEAD_RATE},
        ],
        momentum=SGD_MOMENTUM,
        nesterov=True,
        lr=0.0,
    )
    muon = Muon(filters, MUON_RATE * math.sqrt(loader.batch / PUBLISHED_BATCH))
    first, *others = [*sgd.param_groups, *muon.param_groups]
    for group in (first, *others):
        group["start"] = group["lr"]
    done = 0
    for number in range(math.ceil(epochs)):
        for x, y in loader.epoch(number):
            first["lr"] = first["start"] * max(0.0, 1 - done / whiten_steps)
            net.whiten.bias.requires_grad = done < whiten_steps
            for group in others:
                group["lr"] = group["start"] * (1 - done / steps)
            with torch.autocast("cpu", torch.bfloat16):
                scores = net(x)
            F.cross_entropy(scores.float(), y, label_smoothing=SMOOTHING, reduction="sum").backward()
            sgd.step()
            muon.step()
            net.zero_grad(set_to_none=True)
            done += 1
            if done == steps or curve.late:
                break
        if curve.add(accuracy(net, *held, views=1)):
            return done
    curve.add(accuracy(net, *held, views=6))
    return done


def main() -> None:
    """Reads, trains, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held", type=int, required=True, help="training rows held out for validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=8.0)
    parser.add_argument("--batch", type=int, default=PUBLISHED_BATCH)
    parser.add_argument("--kernel", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs=3, default=[64, 256, 256])
    parser.add_argument("--target", type=float, default=0.0, help="validation accuracy at which to stop")
    parser.add_argument("--limit", type=float, default=0.0, help="seconds after which to give up")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    pixels, labels, classes = read(args.data / "fashion_train.parquet", [])
    x, y = scaled(pixels), torch.from_numpy(labels)
    rows, held = (torch.from_numpy(index) for index in hold_out(len(x), args.held))
    net = Net(args.kernel, args.widths, len(classes)).to(memory_format=torch.channels_last)
    net.learn_whitening(x[rows[:WHITEN_ROWS]])
    curve = Curve(args.target, args.limit)
    loader = Loader(x[rows], y[rows], min(args.batch, len(rows)))
    steps = train(net, loader, args.epochs, curve, (x[held], y[held]))
    pixels, labels, _ = read(args.data / "fashion_test.parquet", classes)
    test = accuracy(net, scaled(pixels), torch.from_numpy(labels), views=6)
    answer = curve.answer() | {"test": test, "steps": steps, "epochs": steps / loader.steps}
    print(json.dumps(answer | {"seconds": since_start(), "threads": torch.get_num_threads(), "rss": peak()}))


def scaled(pixels: object) -> Tensor:
    """uint8 (N, 28, 28) to (N, 1, 28, 28) of mean 0 and deviation 1."""
    return torch.as_tensor(pixels).unsqueeze(1).float().div_(255).sub_(MEAN).div_(DEVIATION)


if __name__ == "__main__":
    main()
