"""Draws the pictures of docs/canon.md anew: `python docs/draw`, or some of them: `python docs/draw norms folds`.

Curves are computed by the library itself, so that a picture shows what the code does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import curves
import sketches
import torch
import training

import ranvier as rv

IMAGES = Path(__file__).parent.parent / "img"
LIMIT = 15_000  # bytes


def main(wanted: list[str]) -> None:
    """Writes the pictures named, or all. Raises SystemExit for an unknown name or a picture that is too large."""
    torch.set_num_threads(1)
    pictures = {**sketches.PICTURES, **curves.PICTURES, **training.PICTURES}
    unknown = {*wanted} - {*pictures, "lr"}
    if unknown:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(sorted({*pictures, 'lr'}))}")
    for name in wanted or pictures:
        if name in pictures:
            pictures[name]().save(IMAGES / f"{name}.svg")
    if not wanted or "lr" in wanted:  # the library draws this one
        rv.find_lr(rv.samples.path("penguins"), "species").save(IMAGES / "lr.svg")
    large = [file.name for file in IMAGES.glob("*.svg") if file.stat().st_size > LIMIT]
    if large:
        raise SystemExit(f"larger than {LIMIT} bytes: {', '.join(large)}")


if __name__ == "__main__":
    main(sys.argv[1:])
