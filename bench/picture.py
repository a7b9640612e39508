"""Pictures as SVG: points, and straight lines, in panels side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 420, 300, 60, 44, 30
COLOURS = ("#1f5fa8", "#c4561d", "#3b7f3f")


@dataclass(frozen=True)
class Panel:
    """points: by name. lines: by name, the two ends of each. Both axes begin at 0."""

    title: str
    x: str
    y: str
    points: Mapping[str, Points]
    lines: Mapping[str, Points] = field(default_factory=dict)


def svg(panels: Sequence[Panel]) -> str:
    """The picture."""
    parts = [_panel(panel, number * WIDTH) for number, panel in enumerate(panels)]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}" viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}"'
    style = 'font-family="sans-serif" font-size="12" fill="#222"'
    background = f'<rect width="{WIDTH * len(panels)}" height="{HEIGHT}" fill="white"/>\n'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{background}{"".join(parts)}</svg>\n'


def ticks(most: float) -> list[float]:
    """About five round numbers from 0 to what is not below `most`. Raises ValueError unless most > 0."""
    if most <= 0:
        raise ValueError(f"the largest value is {most}; a picture needs one above 0")
    power = 10.0 ** math.floor(math.log10(most / 5))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= most / 5)
    return [round(step * k, 10) for k in range(math.ceil(most / step) + 1)]


def _panel(panel: Panel, left: float) -> str:
    every = [point for points in (*panel.points.values(), *panel.lines.values()) for point in points]
    xs, ys = (ticks(max(point[axis] for point in every)) for axis in (0, 1))

    def across(x: float) -> float:
        return left + LEFT + x / xs[-1] * (WIDTH - LEFT - 24)

    def up(y: float) -> float:
        return HEIGHT - BELOW - y / ys[-1] * (HEIGHT - BELOW - ABOVE)

    parts = [_text(left + LEFT, 18, panel.title, "start", bold=True)]
    for y in ys:
        parts.append(f'<path d="M{across(0):.1f} {up(y):.1f}H{across(xs[-1]):.1f}" stroke="#ddd"/>\n')
        parts.append(_text(across(0) - 6, up(y) + 4, f"{y:g}", "end"))
    for x in xs:
        parts.append(_text(across(x), HEIGHT - BELOW + 16, f"{x:g}", "middle"))
    parts.append(_text(across(xs[-1] / 2), HEIGHT - 8, panel.x, "middle"))
    middle = up(ys[-1] / 2)
    turn = f'transform="rotate(-90 {left + 14:.1f} {middle:.1f})"'
    parts.append(f'<text x="{left + 14:.1f}" y="{middle:.1f}" text-anchor="middle" {turn}>{escape(panel.y)}</text>\n')
    for number, (name, points) in enumerate(panel.points.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="4" fill="{colour}"/>\n' for x, y in points]
        parts.append(_text(across(0) + 8, ABOVE + 14 + 16 * number, f"● {name}", "start", colour))
    for number, (name, ends) in enumerate(panel.lines.items(), len(panel.points)):
        colour = COLOURS[number % len(COLOURS)]
        (x1, y1), (x2, y2) = ends
        where = f'd="M{across(x1):.1f} {up(y1):.1f}L{across(x2):.1f} {up(y2):.1f}"'
        parts.append(f'<path {where} stroke="{colour}" stroke-dasharray="5 4" fill="none"/>\n')
        parts.append(_text(across(0) + 8, ABOVE + 14 + 16 * number, f"- - {name}", "start", colour))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222", *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}'
    return f"<text {place}>{escape(text)}</text>\n"
