"""Pictures of training, every point computed by the library itself."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from sheet import COLOURS, Panel, Sheet
from torch import nn

import ranvier as rv
from ranvier.core.registry import lookup
from ranvier.train.averaging import averaging
from ranvier.train.optimizers import parameter_groups

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
GREY = COLOURS[6]
EPOCHS = 60  # of the example of overfitting
STEEP = 15.0  # how much steeper the valley is across than along


def optimizers() -> Sheet:
    """Paths down a narrow valley."""
    sheet = Sheet(720, 330, "Paths of eleven optimizers down a narrow valley")
    panels = (
        (("sgd", 0.06, 60), ("momentum", 0.012, 60), ("nesterov", 0.012, 60)),
        (("adagrad", 0.35, 60), ("adadelta", 30.0, 60), ("rmsprop", 0.06, 60), ("lion", 0.09, 44)),
        (("adam", 0.15, 60), ("nadam", 0.1, 60), ("schedule_free", 0.3, 60), ("muon", 0.15, 60)),
    )
    for number, kinds in enumerate(panels):
        panel = Panel(sheet, (16 + 236 * number, 16, 216, 216), (-4.4, 1.4), (-2.6, 2.6))
        clip, (cx, cy), (ux, uy) = panel.clip(), panel.at(0, 0), panel.at(1, 1)
        for level in (0.3, 1.2, 3.0, 6.0, 10.0, 16.0, 26.0, 38.0):
            along, across = math.sqrt(2 * level), math.sqrt(2 * level / STEEP)
            oval = {"cx": cx, "cy": cy, "rx": along * (ux - cx), "ry": across * (cy - uy)}
            sheet.add("ellipse", **oval, cls="g n", clip_path=clip)
        for order, (name, rate, steps) in enumerate(kinds):
            colour = COLOURS[order]
            path = descent(name, rate, steps)
            panel.curve(path, colour, 1.8)
            for point in path[:37:6]:
                sheet.dot(panel.at(*point), 1.8, fill=colour)
            px, _ = panel.at(-4.2, 0)
            sheet.text(px, 252 + 17 * order, f"{name}, rate {rate:g}", "s", colour)
        sheet.dot(panel.at(0, 0), 3, cls="k")
    sheet.text(704, 322, f"f = x² / 2 + {STEEP:g} y² / 2; the dot is its minimum", "m e")
    return sheet


class Valley(nn.Module):
    """f(x, y) = x^2 / 2 + STEEP y^2 / 2, as a row of a matrix, so that no optimizer treats it as a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor([[-4.0, 1.8]]))

    def forward(self) -> torch.Tensor:
        x, y = self.place[0]
        return 0.5 * x**2 + 0.5 * STEEP * y**2


def descent(name: str, rate: float, steps: int) -> list[tuple[float, float]]:
    """The places of a registered optimizer at a constant rate."""
    valley = Valley()
    optimizer = lookup("optimizer", name)(parameter_groups(valley, valley.parameters(), rate, 0.0))
    for group in optimizer.param_groups:
        group["lr"] = rate
    path = [tuple(valley.place[0].tolist())]
    for _ in range(steps):
        optimizer.zero_grad()
        valley().backward()
        optimizer.step()
        if hasattr(optimizer, "swap"):
            optimizer.swap()
        path.append(tuple(valley.place[0].tolist()))
        if hasattr(optimizer, "swap"):
            optimizer.swap()
    return path


def fitting() -> Sheet:
    """Too little, enough, too much; and how validation tells."""
    sheet = Sheet(720, 210, "Underfitting, a good fit, overfitting; and the loss on training and validation rows")
    torch.manual_seed(4)
    x = torch.linspace(-1, 1, 16)[:, None]
    truth = lambda t: torch.sin(3 * t)  # noqa: E731
    y = truth(x) + 0.25 * torch.randn_like(x)
    line = torch.linspace(-1.05, 1.05, 121)[:, None]
    kinds = (
        ("too little: a line", [], 0.0),
        ("enough: small, with decay", [32, 32], 0.3),
        ("too much: large", [128, 128, 128], 0.0),
    )
    for number, (title, hidden, decay) in enumerate(kinds):
        panel = Panel(sheet, (14 + 178 * number, 30, 162, 150), (-1.1, 1.1), (-1.9, 1.9), title)
        torch.manual_seed(0)
        net = rv.nets.MLP(1, hidden, 1, activation="tanh" if decay else "relu")
        rv.train.fit(net, (x, y), loss="squared_error", rate=5e-3, batch=16, epochs=1500, decay=decay)
        panel.curve([(float(t), float(truth(t))) for t in line[:, 0]], GREY, 1.5, "4 3")
        with torch.no_grad():
            panel.curve(list(zip(line[:, 0].tolist(), net(line)[:, 0].tolist(), strict=True)), BLUE)
        for a, b in zip(x[:, 0].tolist(), y[:, 0].tolist(), strict=True):
            sheet.dot(panel.at(a, b), 2.8, fill=ORANGE)
    sheet.text(275, 200, "dots: training rows · dashed: the truth behind them · line: the network", "m")
    _stopping(sheet)
    return sheet


def _stopping(sheet: Sheet) -> None:
    """The loss over epochs on a hundred training pictures and on held-out ones: the example of the page."""
    (x, y), held = _clothes("fashion_train", 100), _clothes("fashion_test", 500)
    torch.manual_seed(0)
    net = rv.nets.MLP(784, [256], 10)
    done = rv.train.fit(net, (x, y), optimizer="adam", epochs=EPOCHS, validation=held, schedule="constant")
    panel = Panel(sheet, (562, 30, 146, 150), (0, EPOCHS), (0, 2), f"loss over {EPOCHS} epochs")
    for key, colour in (("loss", BLUE), ("val_loss", ORANGE)):
        panel.curve([(epoch, record[key]) for epoch, record in enumerate(done.history, 1)], colour)
    at = [record["val_loss"] for record in done.history].index(done.best) + 1
    sheet.line(panel.at(at, 0), panel.at(at, 2), "a", stroke_dasharray="3 3")
    panel.word(at + 2, 1.8, "best", "s m")
    sheet.text(562, 200, "training", "s", BLUE)
    sheet.text(708, 200, "validation", "e", ORANGE)


def _clothes(sample: str, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (rows, 784) in [0, 1] and class numbers (rows,)."""
    frame = rv.read(rv.samples.path(sample)).frame[:rows]
    pictures = [np.array(Image.open(io.BytesIO(png))) for png in frame["image"]]
    kinds = sorted(frame["label"].unique())
    return torch.tensor(np.stack(pictures)).flatten(1) / 255, torch.tensor([kinds.index(k) for k in frame["label"]])


def shrink() -> Sheet:
    """What L1 and L2 do to a weight, and what comes of it."""
    sheet = Sheet(720, 220, "What a step of L1 and of L2 does to a weight, and the weights that each ends with")
    panel = Panel(sheet, (30, 30, 180, 160), (-1, 1), (-1, 1), "a weight after a step over before")
    panel.axes()
    panel.function(lambda w: w, GREY, 1, "4 3")
    panel.function(lambda w: math.copysign(max(abs(w) - 0.3, 0.0), w), BLUE)
    panel.function(lambda w: 0.6 * w, ORANGE)
    panel.word(0.55, -0.62, "L1: − 0.3", colour=BLUE)
    panel.word(-0.5, 0.62, "L2: × 0.6", colour=ORANGE)
    torch.manual_seed(0)
    x = torch.randn(120, 20)
    y = x[:, :3] @ torch.tensor([[2.0], [-1.5], [1.0]]) + torch.randn(120, 1)
    for number, (penalty, colour) in enumerate(((("l1", 0.2), BLUE), (("l2", 0.2), ORANGE))):
        torch.manual_seed(0)
        net = rv.nets.MLP(20, [], 1)
        done = rv.train.fit(
            net, (x, y), loss="squared_error", optimizer="gd", rate=0.05, batch=120, epochs=300, **dict([penalty])
        )
        zeros = int((net[0].weight == 0).sum())
        assert penalty[0] == "l2" or done.history[-1]["sparsity"] == zeros / 20
        bars = Panel(
            sheet,
            (250 + 240 * number, 30, 220, 160),
            (0, 20),
            (-1.8, 2.2),
            f"{penalty[0]} = {penalty[1]}: {zeros} of 20 weights are 0",
        )
        bars.axes()
        foot = bars.at(0, 0)[1]
        sheet.line(bars.at(0, 0), bars.at(20, 0))
        for place, weight in enumerate(net[0].weight[0].tolist()):
            left, top = bars.at(place + 0.15, max(weight, 0))
            low = bars.at(0, min(weight, 0))[1]
            if weight:
                sheet.box(left, top, 7.7, max(low - top, 0.5), "", fill=colour)
            else:
                sheet.dot((left + 3.9, foot), 1.6, fill=colour)
    sheet.text(480, 210, "20 inputs, of which only the first three count", "m")
    return sheet


def average() -> Sheet:
    """A noisy weight, its moving average, and the mean over the last quarter."""
    sheet = Sheet(560, 200, "A weight along a noisy run, its moving average, and the mean of its last quarter")
    panel = Panel(sheet, (30, 20, 410, 150), (0, 400), (-0.9, 2.2))
    for decay, colour, name, down in (
        (0.0, GREY, "the weight", 26),
        (0.98, BLUE, "average = 0.98", -6),
        ("swa", ORANGE, 'average = "swa"', 10),
    ):
        torch.manual_seed(2)
        module = nn.Linear(1, 1, bias=False)
        nn.init.constant_(module.weight, 2.0)
        kept = averaging(module, decay, 400)
        points = []
        for step in range(1, 401):
            with torch.no_grad():
                module.weight -= 0.05 * (module.weight + 1.6 * torch.randn(1, 1))
            if kept is None:
                points.append((step, float(module.weight.detach())))
            else:
                kept.update(step)
                if kept.ready(step):
                    points.append((step, float(kept.mean[0])))
        panel.curve(points, colour, 1 if kept is None else 2.5)
        sheet.text(448, panel.at(0, points[-1][1])[1] + down, name, "s", colour)
    panel.curve([(0, 0), (400, 0)], GREEN, 1.5, "4 3")
    sheet.text(448, panel.at(0, 0)[1] - 22, "the best value", "s", GREEN)
    sheet.text(235, 188, "step", "m")
    return sheet


PICTURES = {
    "optimizers": optimizers,
    "fitting": fitting,
    "shrink": shrink,
    "average": average,
}
