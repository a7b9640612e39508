"""The curve of a learning-rate range test as an SVG, drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 52  # margins of the frame
GREY, PALE, FAINT, BLUE, ORANGE = "#555", "#ddd", "#9db8d6", "#1f5fa8", "#c2540a"


def picture(
    rates: Sequence[float], losses: Sequence[float], smooth: Sequence[float], start: float, rate: float | None
) -> str:
    """An SVG: the loss after each step as a dot over its rate, the smoothed curve, and the suggested rate as a line.

    rates rise; smooth is the curve of those losses that are numbers, which come first; start is the loss before the
    first step, a little above which the frame ends: what explodes leaves it.
    """
    sheet = _Sheet(rates, min([start, *smooth]), start)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="{GREY}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="28" font-size="15" fill="black">Learning-rate range test</text>',
            *sheet.axes(),
            *sheet.curve(losses, smooth),
            *(sheet.mark(rate) if rate is not None else []),
            "</svg>\n",
        ]
    )


class _Sheet:
    """Where rates and losses stand in the picture."""

    def __init__(self, rates: Sequence[float], low: float, start: float) -> None:
        self.rates = rates
        self.left, self.right = math.log10(rates[0]), math.log10(rates[-1])
        room = max(start - low, 0.1 * abs(start), 1e-9)
        self.low, self.high = low - 0.05 * room, start + 0.3 * room

    def x(self, rate: float) -> float:
        """Pixels from the left."""
        share = (math.log10(rate) - self.left) / max(self.right - self.left, 1e-9)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, loss: float) -> float:
        """Pixels from the top."""
        share = (loss - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def axes(self) -> list[str]:
        """A line at each power of ten and at some losses, and what they mean."""
        foot, end = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = []
        for power in range(math.ceil(self.left - 1e-9), math.floor(self.right + 1e-9) + 1):
            x = self.x(10.0**power)
            parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{foot}" stroke="{PALE}"/>')
            parts.append(f'<text x="{x:.1f}" y="{foot + 18}" text-anchor="middle">{10.0**power:g}</text>')
        for loss in _round_numbers(self.low, self.high):
            y = self.y(loss)
            parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{end}" y2="{y:.1f}" stroke="{PALE}"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{loss:g}</text>')
        middle = (LEFT + end) / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">learning rate</text>')
        parts.append(
            f'<text transform="translate(16 {(TOP + foot) / 2}) rotate(-90)" text-anchor="middle">training loss</text>'
        )
        return parts

    def curve(self, losses: Sequence[float], smooth: Sequence[float]) -> list[str]:
        """Dots and curve, as far as they stay in the frame."""
        frame = f'x="{LEFT}" y="{TOP}" width="{WIDTH - RIGHT - LEFT}" height="{HEIGHT - BOTTOM - TOP}"'
        far = self.high + 2 * (self.high - self.low)  # beyond it a place is as good as any other
        places = [(self.x(r), self.y(min(v, far))) for r, v in zip(self.rates, smooth, strict=False)]
        dots = [(self.x(r), self.y(v)) for r, v in zip(self.rates, losses, strict=True) if v <= far]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        return [
            f'<clipPath id="frame"><rect {frame}/></clipPath><g clip-path="url(#frame)">',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{FAINT}"/>' for x, y in dots),
            f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="2.5"/>',
            f'</g><rect {frame} fill="none" stroke="{GREY}"/>',
        ]

    def mark(self, rate: float) -> list[str]:
        """The suggested rate."""
        x = self.x(rate)
        anchor, shift = ("end", -6) if x > WIDTH / 2 else ("start", 6)
        return [
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{ORANGE}" stroke-width="2" '
            'stroke-dasharray="6 4"/>',
            f'<text x="{x + shift:.1f}" y="{HEIGHT - BOTTOM - 10}" text-anchor="{anchor}" fill="{ORANGE}" '
            f'font-size="13">suggested: {rate:g}</text>',
        ]


def _round_numbers(low: float, high: float) -> list[float]:
    """Three to eight round numbers between the two."""
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough)
    return [round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
