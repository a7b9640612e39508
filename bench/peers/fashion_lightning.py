"""Lightning's CIFAR-10 baseline (a ResNet-18 in fp32) on Fashion-MNIST; prints one JSON line.

Usage: python fashion_lightning.py --data FOLDER --held ROWS [--seed N] [--epochs X] [--target SCORE] [--limit SECONDS]

The documented recipe ("PyTorch Lightning CIFAR10 ~94% Baseline Tutorial"): ResNet-18 with a 3 x 3 first convolution of
stride 1 and no first max pool, random crops from a border of 4 and random mirroring, batch 256, SGD with momentum 0.9
and decay 5e-4 under a one-cycle rate up to 0.1 (which overrules the optimizer's own 0.05), 30 epochs, a
validation after each. Adapted: one grey channel of 28 x 28 pixels, and ResNet-18 (He et al. 2016, arXiv:1512.03385)
defined here, since torchvision is not there. In favour of the peer: pictures are augmented a batch at a time, rows lie
decoded in memory, and nothing is logged, drawn or saved. With `--epochs` below 30 the whole cycle is so long.
It stops at the first validation score of `--target` or more, or when the limit has passed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import sys
import warnings
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from fashion_files import DEVIATION, MEAN, read
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import Curve, peak, since_start
from sets import hold_out

BATCH, RATE, PEAK_RATE, MOMENTUM, DECAY, BORDER = 256, 0.05, 0.1, 0.9, 5e-4, 4


class Basic(nn.Module):
    """Two 3 x 3 convolutions around a shortcut: (B, a, H, W) to (B, b, H / stride, W / stride)."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)
        same = stride == 1 and a == b
        self.short = nn.Identity() if same else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        """The block's answer."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.short(x))


def resnet18(channels: int, classes: int) -> nn.Module:
    """ResNet-18 for small pictures; 11 million parameters."""
    widths = [64, 64, 128, 256, 512]
    blocks: list[nn.Module] = []
    for number, (a, b) in enumerate(itertools.pairwise(widths)):
        blocks += [Basic(a, b, 2 if number else 1), Basic(b, b, 1)]
    stem = [nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    net = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


class Classifier(L.LightningModule):
    """The network, its loss and its optimizer. steps: of the whole cycle."""

    def __init__(self, classes: int, steps: int, curve: Curve) -> None:
        super().__init__()
        self.net, self.steps, self.curve = resnet18(1, classes), steps, curve
        self.right = self.rows = 0

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """The loss of a batch, augmented."""
        x, y = batch
        return F.cross_entropy(self.net(augmented(scaled(x))), y)

    def on_train_batch_end(self, *_: object) -> None:
        """Gives up when the limit has passed."""
        if self.curve.late:
            self.trainer.should_stop = True

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Counts rows that are right."""
        x, y = batch
        self.right += int((self.net(scaled(x)).argmax(1) == y).sum())
        self.rows += len(y)

    def on_validation_epoch_end(self) -> None:
        """Notes the score, and stops if it is enough."""
        score, self.right, self.rows = self.right / self.rows, 0, 0
        if self.curve.add(score):
            self.trainer.should_stop = True

    def configure_optimizers(self) -> dict[str, object]:
        """SGD under a one-cycle rate, step by step."""
        sgd = torch.optim.SGD(self.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
        cycle = torch.optim.lr_scheduler.OneCycleLR(sgd, PEAK_RATE, total_steps=self.steps)
        return {"optimizer": sgd, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def scaled(x: Tensor) -> Tensor:
    """uint8 (B, 28, 28) to (B, 1, 28, 28) of mean 0 and deviation 1."""
    return x.unsqueeze(1).float().div_(255).sub_(MEAN).div_(DEVIATION)


def augmented(x: Tensor) -> Tensor:
    """Each picture cropped at a place of its own from a black border, and half of them mirrored."""
    side = x.shape[-1]
    padded = F.pad(x, (BORDER,) * 4, value=-MEAN / DEVIATION)
    down, right = torch.randint(0, 2 * BORDER + 1, (2, len(x), 1))
    rows = (down + torch.arange(side))[:, :, None].expand(-1, side, padded.shape[-1])
    columns = (right + torch.arange(side))[:, None, :].expand(-1, side, side)
    x = padded[:, 0].gather(1, rows).gather(2, columns)[:, None]
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)


@torch.inference_mode()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of rows that are right."""
    net.eval()
    right = sum(int((net(scaled(a)).argmax(1) == b).sum()) for a, b in zip(x.split(1_000), y.split(1_000), strict=True))
    return right / len(x)


def main() -> None:
    """Reads, trains, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held", type=int, required=True, help="training rows held out for validation")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=float, default=30.0)
    parser.add_argument("--target", type=float, default=0.0, help="validation accuracy at which to stop")
    parser.add_argument("--limit", type=float, default=0.0, help="seconds after which to give up")
    args = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    L.seed_everything(args.seed, verbose=False)
    pixels, labels, classes = read(args.data / "fashion_train.parquet", [])
    x, y = torch.from_numpy(pixels), torch.from_numpy(labels)
    rows, held = (torch.from_numpy(index) for index in hold_out(len(x), args.held))
    loader = DataLoader(TensorDataset(x[rows], y[rows]), batch_size=BATCH, shuffle=True)
    checks = DataLoader(TensorDataset(x[held], y[held]), batch_size=BATCH)
    steps = max(1, math.ceil(args.epochs * len(loader)))
    curve = Curve(args.target, args.limit)
    model = Classifier(len(classes), steps, curve)
    trainer = L.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, loader, checks)
    pixels, labels, _ = read(args.data / "fashion_test.parquet", classes)
    test = None if curve.late else accuracy(model.net, torch.from_numpy(pixels), torch.from_numpy(labels))
    done = trainer.global_step
    answer = curve.answer() | {"test": test, "steps": done, "epochs": done / len(loader)}
    print(json.dumps(answer | {"seconds": since_start(), "threads": torch.get_num_threads(), "rss": peak()}))


if __name__ == "__main__":
    main()
