"""Pictures of functions, every curve computed by the library itself: activations, initialisers, losses, schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from sheet import COLOURS, Panel, Sheet

from ranvier import nets
from ranvier.core.registry import lookup, names
from ranvier.ops import activations
from ranvier.train.schedules import Plateau

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
PALE = COLOURS[6]


def activation() -> Sheet:
    """Each activation with its slope."""
    sheet = Sheet(720, 462, "Fourteen activations (solid) and their slopes (dashed)")
    for number, name in enumerate(names("activation")):
        left, top = 16 + 141 * (number % 5), 30 + 150 * (number // 5)
        panel = Panel(sheet, (left, top, 124, 110), (-4, 4), (-2, 3), name)
        panel.axes()
        if name == "softmax":
            _softmax(panel)
            continue
        f = _of_one(name)
        panel.function(lambda x, f=f: _slope(f, x), ORANGE, 1.5, "4 3")
        panel.function(lambda x, f=f: float(f(torch.tensor(x))), BLUE)
    sheet.text(650, 352, "activation", colour=BLUE)
    sheet.text(650, 370, "its slope", colour=ORANGE)
    sheet.text(650, 396, "x from −4 to 4", "m")
    sheet.text(650, 412, "y from −2 to 3", "m")
    sheet.text(650, 412 + 16, "glu of (1, x)", "m")
    sheet.text(650, 412 + 32, "swiglu of (x, 1)", "m")
    return sheet


def _of_one(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The activation as a function of one number; of the gated ones' halves the other is 1."""
    if name == "prelu":
        return lambda x: activations.prelu(x, torch.tensor([0.25]))
    if name == "glu":
        return lambda x: activations.glu(torch.stack([torch.ones(()), x]))[0]
    if name == "swiglu":
        return lambda x: activations.swiglu(torch.stack([x, torch.ones(())]))[0]
    return getattr(activations, name)


def _slope(f: Callable[[torch.Tensor], torch.Tensor], at: float) -> float:
    x = torch.tensor(at, requires_grad=True)
    f(x).backward()
    return float(x.grad) if x.grad is not None else 0.0


def _softmax(panel: Panel) -> None:
    """Three scores as bars, and what becomes of them."""
    scores = torch.tensor([1.0, 2.0, -1.0])
    for number, (score, share) in enumerate(zip(scores.tolist(), activations.softmax(scores).tolist(), strict=True)):
        for x, value, colour in ((-3.7 + 1.15 * number, score, PALE), (0.4 + 1.15 * number, share, BLUE)):
            left, top = panel.at(x, max(value, 0))
            right, foot = panel.at(x + 0.9, min(value, 0))
            panel.sheet.box(left, top, right - left, foot - top, "", fill=colour)
            panel.word(x + 0.45, max(value, 0) + 0.12, f"{value:.2f}".removeprefix("0").removesuffix(".00"), "m")
    panel.word(-2.1, -1.7, "scores", "m")
    panel.word(2.0, -1.7, "shares", "m")


def init() -> Sheet:
    """The mean square of the signal in a deep stack of ReLU layers, by how its weights are drawn."""
    sheet = Sheet(560, 270, "The signal's mean square through 30 layers of ReLU, by initialiser")
    panel = Panel(sheet, (64, 30, 370, 190), (0, 30), (-12, 4), "mean square of the signal, 30 layers of 256 ReLUs")
    panel.ticks([(d, str(d)) for d in (0, 10, 20, 30)], [(e, f"1e{e}") for e in (-12, -8, -4, 0, 4)])
    sheet.text(249, 258, "layer", "m")
    kinds = (
        ("he", 1.0, BLUE, 0),
        ("lecun", 1.0, ORANGE, 0),
        ("default", 1.0, GREEN, 0),
        ("he, times 1.25", 1.25, PURPLE, 14),
    )
    for name, scale, colour, down in kinds:
        torch.manual_seed(0)
        x, squares = torch.randn(256, 256), [0.0]
        for _ in range(30):
            layer = nets.initialise(torch.nn.Linear(256, 256, bias=False), name.partition(",")[0], "relu")
            x = (x @ layer.weight.detach().T * scale).relu()
            squares.append(math.log10(float(x.square().mean())))
        panel.curve(list(enumerate(squares)), colour)
        inside = [(d, s) for d, s in enumerate(squares) if -12 <= s <= 4]
        px, py = panel.at(*inside[-1])
        sheet.text(min(px + 8, 442), py + 4 + down, name, "s", colour)
    return sheet


def losses() -> Sheet:
    """Losses of numbers over the error, and of classes over the lead of the true class."""
    sheet = Sheet(720, 296, "Losses over the error, and over the lead of the true class")
    left = Panel(sheet, (34, 34, 300, 210), (-3, 3), (0, 4), "numbers: loss over prediction − target")
    left.ticks([(e, str(e)) for e in (-3, -2, -1, 0, 1, 2, 3)], [(v, str(v)) for v in (0, 1, 2, 3, 4)])
    zero = torch.zeros(1)
    of_number = ("squared_error", "half_squared_error", "absolute_error", "huber", "quantile")
    for order, (name, colour) in enumerate(zip(of_number, COLOURS, strict=False)):
        f, options = lookup("loss", name), {"level": 0.9} if name == "quantile" else {}
        left.function(lambda e, f=f, o=options: float(f(torch.tensor([e]), zero, **o)), colour)
        said = name + (", level 0.9" if options else "")
        sheet.text((36, 130, 254)[order % 3], 274 + 15 * (order // 3), said, "s", colour)
    right = Panel(sheet, (386, 34, 316, 210), (-4, 4), (0, 5), "two classes: loss over score of the true − the other")
    right.ticks([(e, str(e)) for e in (-4, -2, 0, 2, 4)], [(v, str(v)) for v in (0, 1, 2, 3, 4, 5)])
    truth = torch.tensor([0])
    of_class = (
        ("cross_entropy", 0.0, BLUE, (416, 274)),
        ("cross_entropy, smoothing 0.1", 0.1, COLOURS[5], (516, 274)),
        ("focal", 0.0, ORANGE, (416, 289)),
        ("hinge", 0.0, GREEN, (516, 289)),
    )
    for said, smoothing, colour, at in of_class:
        f, o = lookup("loss", said.partition(",")[0]), {"smoothing": smoothing}
        dash = "4 3" if smoothing else ""
        right.function(lambda z, f=f, o=o: float(f(torch.tensor([[z, 0.0]]), truth, **o)), colour, 2, dash)
        sheet.text(*at, said, "s", colour)
    return sheet


def schedules() -> Sheet:
    """The factor of the rate along the run."""
    sheet = Sheet(720, 290, "Eight schedules: the factor of the learning rate from the first step to the last")
    figures = [1.0, 0.7, 0.55, 0.5, 0.5, 0.5, 0.5, 0.42, 0.4, 0.4, 0.4, 0.4, 0.39, 0.39, 0.39]
    for number, name in enumerate(names("schedule")):
        left, top = 34 + 174 * (number % 4), 34 + 132 * (number // 4)
        panel = Panel(sheet, (left, top, 150, 84), (0, 1), (-0.04, 1.08), name)
        panel.ticks([(0, "0"), (1, "1")], [(0, "0"), (1, "1")])
        schedule = lookup("schedule", name)()
        points = []
        for step in range(1, 301):
            points.append((step / 300, schedule(step / 300)))
            if isinstance(schedule, Plateau) and step % 20 == 0:
                schedule.saw(figures[step // 20 - 1])
        panel.curve(points)
        if name == "plateau":
            low, high = min(figures), max(figures)
            panel.curve([(k / 15, (v - low) / (high - low)) for k, v in enumerate(figures, 1)], ORANGE, 1.5, "4 3")
    sheet.text(692, 284, "dashed: the validation loss that plateau looks at", "m e", ORANGE)
    return sheet


PICTURES = {
    "activations": activation,
    "init": init,
    "losses": losses,
    "schedules": schedules,
}
