"""A U-Net as tutorials have it, learning masks on a CPU; prints one JSON line.

Usage: python masks_torch.py --data FOLDER --seconds N [--seed N] [--base N]

Four times two convolutions with batch norm and a maximum pooling, and as many upwards with what was found on the way
down laid beside (Ronneberger et al. 2015), `base` channels on the finest grid; cross-entropy, Adam at 1e-3 falling to 0
with the seconds left, batches of 32, every other picture mirrored. Nothing is chosen on test rows.
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
BATCH, RATE, CLASSES = 32, 1e-3, 13


def twice(a: int, b: int) -> nn.Sequential:
    """Two convolutions with batch norm and ReLU."""
    parts: list[nn.Module] = []
    for channels in (a, b):
        parts += [nn.Conv2d(channels, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts)


class UNet(nn.Module):
    """(B, 3, H, W) to (B, CLASSES, H, W), H and W multiples of 16."""

    def __init__(self, base: int) -> None:
        super().__init__()
        widths = [base << k for k in range(5)]
        self.down = nn.ModuleList(twice(a, b) for a, b in zip([3, *widths], widths, strict=False))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[:-1])
        self.up = nn.ModuleList(twice(2 * w, w) for w in widths[:-1])
        self.out = nn.Conv2d(base, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of each pixel."""
        found = []
        for level, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2) if level else x)
            found.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([found[level], self.grow[level](x)], 1))
        return self.out(x)


def read(path: Path) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, H, W) between 0 and 1, and masks (N, H, W)."""
    table = pq.read_table(path, columns=["image", "mask"]).to_pydict()
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in table["image"]])
    masks = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in table["mask"]])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(masks).long()


@torch.no_grad()
def judged(net: nn.Module, pictures: Tensor, masks: Tensor) -> dict[str, float]:
    """Mean IoU over the classes that are met, and of all but the background as one."""
    net.eval()
    table = torch.zeros(CLASSES, CLASSES, dtype=torch.long)
    for x, y in zip(pictures.split(BATCH), masks.split(BATCH), strict=True):
        places = (y * CLASSES + net(x).argmax(1)).flatten()
        table += torch.bincount(places, minlength=CLASSES**2).view(CLASSES, CLASSES)
    union = table.sum(0) + table.sum(1) - table.diagonal()
    met = union > 0
    mean = (table.diagonal()[met] / union[met]).mean()
    return {"mean_iou": float(mean), "foreground_iou": float(table[1:, 1:].sum() / (table.sum() - table[0, 0]))}


def main() -> None:
    """Prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--base", type=int, default=16)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    pictures, masks = read(args.data / "objects_train.parquet")
    held = len(pictures) // 10
    net, rows, until = UNet(args.base), 0, START + args.seconds
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    net.train()
    while (left := (until - time.perf_counter()) / args.seconds) > 0:
        optimizer.param_groups[0]["lr"] = RATE * left
        at = torch.randint(len(pictures) - held, (BATCH,))
        x, y = pictures[at], masks[at]
        mirrored = torch.rand(BATCH) < 0.5
        x, y = (
            torch.where(mirrored[:, None, None, None], x.flip(3), x),
            torch.where(mirrored[:, None, None], y.flip(2), y),
        )
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        rows += BATCH
    fitted = time.perf_counter() - START
    test = read(args.data / "objects_test.parquet")
    line = {"seen": judged(net, pictures[-held:], masks[-held:]), "test": judged(net, *test), "fitted": fitted}
    count = sum(p.numel() for p in net.parameters())
    print(json.dumps({**line, "epochs": rows / (len(pictures) - held), "parameters": count, "rss": peak()}), flush=True)


if __name__ == "__main__":
    main()
