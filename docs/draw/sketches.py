"""Pictures that explain a word: a neuron, the loop of training, kinds of dropout, norms, augmentation, folds."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from sheet import COLOURS, Sheet

import ranvier as rv
from ranvier.core.protocols import Batch, Value
from ranvier.core.registry import lookup
from ranvier.core.spec import Spec

BLUE, ORANGE, GREEN = COLOURS[:3]
Inside = tuple[int, int]


def neuron() -> Sheet:
    """Inputs times weights, summed, through an activation."""
    sheet = Sheet(600, 190, "A neuron: inputs times weights, the bias, their sum, an activation, the output")
    inputs, weights, bias = (0.5, -1.0, 2.0), (0.4, 0.3, 0.1), 0.2
    for number, (x, w) in enumerate(zip(inputs, weights, strict=True)):
        y = 40 + 55 * number
        sheet.arrow((92, y), (252, 90 + 5 * (number - 1)))
        sheet.dot((70, y), 22, cls="b")
        sheet.text(70, y + 4, f"{x:g}")
        sheet.text(24, y + 4, "x" + "₁₂₃"[number], "m")
        sheet.text(135, y + (6, -4, -20)[number], f"× {w:g}", colour=BLUE)
    total = sum(x * w for x, w in zip(inputs, weights, strict=True)) + bias
    sheet.arrow((280, 160), (280, 120))
    sheet.text(280, 176, f"+ {bias:g}  (bias)", colour=BLUE)
    sheet.dot((280, 90), 28, cls="b")
    sheet.text(280, 95, "Σ")
    sheet.arrow((308, 90), (390, 90))
    sheet.text(348, 82, f"z = {total:.1f}")
    sheet.box(390, 62, 78, 56, rx=6)
    sheet.text(429, 95, "sigmoid")
    sheet.arrow((468, 90), (540, 90))
    sheet.text(560, 86, "ŷ =")
    sheet.text(566, 102, f"{float(torch.tensor(total).sigmoid()):.3f}")
    return sheet


def loop() -> Sheet:
    """Forward, loss, backward, update, and again."""
    sheet = Sheet(600, 150, "Training: forward, loss, backward, update, and again with the next batch")
    steps = (("forward", "ŷ = f(x; w)"), ("loss", "L(ŷ, y)"), ("backward", "g = ∂L/∂w"), ("update", "w ← w − η g"))
    for number, (name, formula) in enumerate(steps):
        x = 20 + 145 * number
        sheet.box(x, 30, 115, 56, rx=6)
        sheet.text(x + 57, 53, name, "h")
        sheet.text(x + 57, 72, formula)
        if number:
            sheet.arrow((x - 30, 58), (x, 58))
    sheet.path([(512, 86), (512, 122), (77, 122), (77, 94)], "#818b98", 1.5)
    sheet.arrow((77, 100), (77, 86))
    sheet.text(300, 116, "the next batch", "m")
    return sheet


def dropout() -> Sheet:
    """What each kind of dropout takes away."""
    sheet = Sheet(720, 200, "What dropout takes away: single values, whole channels, words, or the branches of rows")
    random = np.random.default_rng(3)
    _title(sheet, 85, "dropout", "single values")
    for row in range(6):
        for column in range(6):
            _cell(sheet, 35 + 17 * column, 50 + 17 * row, bool(random.random() < 0.35))
    _title(sheet, 260, "spatial dropout", "whole channels of a map")
    for channel, gone in enumerate((False, True, False)):
        for row in range(5):
            for column in range(5):
                _cell(sheet, 185 + 56 * channel + 10 * column, 62 + 10 * row, gone, 10)
        sheet.text(210 + 56 * channel, 130, str(channel + 1), "m")
    _title(sheet, 440, "word drop", "whole words")
    for number, word in enumerate(("a", "truly", "lovely", "little", "film")):
        x, y, gone = 385 + 58 * (number % 2), 50 + 28 * (number // 2), number in (1, 3)
        sheet.box(x, y, 52, 22, "g n" if gone else "b", rx=4)
        sheet.text(x + 26, y + 15, word, "m")
        if gone:
            sheet.line((x + 4, y + 11), (x + 48, y + 11))
    _title(sheet, 620, "stochastic depth", "the branch f, for some rows")
    for row, gone in enumerate((False, True, False)):
        y = 70 + 40 * row
        sheet.arrow((545, y), (695, y))
        sheet.text(536, y + 4, "x", "m")
        sheet.text(700, y - 8, "x" if gone else "x + f(x)", "e m")
        if not gone:
            sheet.path([(560, y), (560, y - 18), (650, y - 18), (650, y)], BLUE, 1.5)
            sheet.box(588, y - 28, 30, 18, rx=4)
            sheet.text(603, y - 15, "f")
    return sheet


def norms() -> Sheet:
    """Over which numbers each norm takes its mean and variance."""
    sheet = Sheet(720, 170, "Over which numbers of a batch each norm takes mean and variance")
    kinds = {
        "batch": lambda row, column: column == 2,
        "layer": lambda row, column: row == 1,
        "group": lambda row, column: row == 1 and column < 4,
        "rms": lambda row, column: row == 1,
    }
    for number, (name, inside) in enumerate(kinds.items()):
        left = 55 + 170 * number
        sheet.text(left + 68, 24, name, "h")
        for row in range(5):
            for column in range(8):
                marked = inside(row, column)
                x, y = left + 17 * column, 36 + 17 * row
                sheet.box(x, y, 17, 17, "" if marked else "g n", fill=BLUE if marked else "")
        sheet.text(left + 68, 138, "features", "m")
    sheet.text(28, 82, "rows", "m")
    sheet.text(650 - 17, 156, "(takes no mean)", "m")
    return sheet


def folds() -> Sheet:
    """Five networks, each validated on the fifth that it has not seen."""
    sheet = Sheet(600, 180, "Five folds: each network learns from four fifths of the rows and is judged by the fifth")
    for number in range(5):
        y = 22 + 27 * number
        sheet.text(70, y + 15, f"network {number + 1}")
        for part in range(5):
            held = part == number
            sheet.box(120 + 62 * part, y, 60, 22, "" if held else "b", fill=ORANGE if held else "", rx=3)
        sheet.arrow((435, y + 11), (478, 88))
    sheet.text(540, 84, "the mean of")
    sheet.text(540, 100, "their answers")
    sheet.box(120, 160, 12, 12)
    sheet.text(138, 171, "learnt from", "s m")
    sheet.box(250, 160, 12, 12, "", fill=ORANGE)
    sheet.text(268, 171, "held out: judged once, by a network that never saw it", "s m")
    return sheet


def augment() -> Sheet:
    """One picture under each kind of augmentation, drawn with the classes that training uses."""
    frame = rv.read(rv.samples.path("fashion_train")).frame
    first = {kind: frame["image"][frame["label"].to_list().index(kind)] for kind in ("Ankle boot", "Bag")}
    boot, bag = (torch.tensor(np.array(Image.open(io.BytesIO(png))))[None, :, :, None] for png in first.values())
    spec = Spec("pixels", (28, 28), 1, "pixel")
    one = {
        "as it is": {},
        "flip": {"flip": True},
        "shift": {"shift": 5},
        "crop": {"crop": 0.4},
        "rotate": {"rotate": 40.0},
        "brightness": {"brightness": 0.8},
        "contrast": {"contrast": 1.0},
        "erase": {"erase": 1.0},
        "cutout": {"cutout": 12},
    }
    seeds = {"flip": 3, "shift": 8, "crop": 2, "rotate": 1, "brightness": 2, "contrast": 4, "erase": 6, "cutout": 3}
    shown = {}
    for name, options in one.items():
        vary = lookup("augment", "image")(spec, **({"flip": False, "shift": 0} | options))
        shown[name] = vary(Value(boot), torch.Generator().manual_seed(seeds.get(name, 0))).data[0, :, :, 0].numpy()
    pair = Batch(2, {"image": Value(torch.cat([boot, bag]))}, {"label": Value(torch.tensor([0, 1]))})
    for name, seed in (("mixup", 30), ("cutmix", 11)):
        mixed = lookup("mix", name)({"image": spec}, alpha=8.0)(pair, np.random.default_rng(seed))
        shown[name] = mixed.inputs["image"].data[0, :, :, 0].numpy()
    sheet = Sheet(720, 276, "A picture of a boot under each kind of augmentation, and mixed with a bag")
    for number, (name, picture) in enumerate(shown.items()):
        left, top = 14 + 118 * (number % 6), 30 + 130 * (number // 6)
        sheet.text(left + 49, top - 8, name)
        sheet.box(left, top, 98, 98, "", fill="#000")
        _pixels(sheet, picture, left, top, 3.5)
    return sheet


def _pixels(sheet: Sheet, picture: np.ndarray, left: float, top: float, side: float) -> None:
    """A grey picture as runs of pixels, in four shades, each painted over the one before."""
    level = (picture.astype(int) + 32) // 64
    for shade in range(1, 5):
        runs = []
        for y, row in enumerate(level >= shade):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
            runs += [f"M{a} {y}h{b - a}" for a, b in zip(edges[::2], edges[1::2], strict=True)]
        where = f"translate({left} {top + side / 2:g})scale({side})"
        grey = f"#{min(255, shade * 64):02x}" + f"{min(255, shade * 64):02x}" * 2
        sheet.add("path", d="".join(runs), stroke=grey, stroke_width="1.05", transform=where)


def _title(sheet: Sheet, x: float, name: str, what: str) -> None:
    sheet.text(x, 24, name, "h")
    sheet.text(x, 188, what, "m")


def _cell(sheet: Sheet, x: float, y: float, gone: bool, side: float = 17) -> None:
    sheet.box(x, y, side, side, "g n" if gone else "", fill="" if gone else BLUE)


PICTURES = {
    "neuron": neuron,
    "loop": loop,
    "dropout": dropout,
    "norms": norms,
    "folds": folds,
    "augment": augment,
}
