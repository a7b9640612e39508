"""What all pictures share: a sheet that is readable on light and on dark pages, and panels with axes on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

Point = tuple[float, float]

# eight colours that people with any colour vision can tell apart (Okabe and Ito), the yellow darkened
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0578d", "#96700a", "#3a9bd9", "#7f7f7f", "#8c564b")
IN_THE_DARK = ("#56a8e8", "#f58a3c", "#3fbf97", "#dc8fc0", "#d9ab3c", "#8cc8f0", "#a0a0a0", "#c4917f")
STYLE = (
    "text{font:12px sans-serif;text-anchor:middle}.t,.k{fill:#1f2328}.p{fill:#fff}.m{fill:#59636e}.m,.f{font-size:11px}"
    ".a{stroke:#818b98}.g{stroke:#d1d9e0}.b{fill:#eef1f4;stroke:#818b98}.n{fill:none}.s{text-anchor:start}"
    ".e{text-anchor:end}.h{font-weight:bold}"
)
DARK = ".t,.k{fill:#e6edf3}.p{fill:#0d1117}.m{fill:#9198a1}.g{stroke:#2f353d}.b{fill:#1b2129}"


class Sheet:
    """An SVG with a background of its own, which follows the reader's colour scheme, so that it suits any page."""

    def __init__(self, width: int, height: int, what: str) -> None:
        self.width, self.height, self.what = width, height, what
        self.parts: list[str] = []

    def add(self, name: str, **attributes: object) -> None:
        """One element; attributes with `_` for `-`, and `cls` for `class`."""
        named = {"class" if k == "cls" else k.replace("_", "-"): v for k, v in attributes.items() if v != ""}
        said = " ".join(f'{k}="{number(v) if isinstance(v, float) else v}"' for k, v in named.items())
        self.parts.append(f"<{name} {said}/>")

    def text(self, x: float, y: float, what: str, cls: str = "", colour: str = "") -> None:
        """A line of text, its middle (class s: start, e: end) at x."""
        kinds = cls.replace("m", "f") if colour else cls if "m" in cls.split() else f"t {cls}".strip()
        named = (f' class="{kinds}"' if kinds else "") + (f' fill="{colour}"' if colour else "")
        self.parts.append(f'<text x="{number(x)}" y="{number(y)}"{named}>{escape(what)}</text>')

    def line(self, a: Point, b: Point, cls: str = "a", **more: object) -> None:
        """From a to b."""
        self.add("line", x1=float(a[0]), y1=float(a[1]), x2=float(b[0]), y2=float(b[1]), cls=cls, **more)

    def box(self, x: float, y: float, width: float, height: float, cls: str = "b", **more: object) -> None:
        """A rectangle."""
        self.add("rect", x=float(x), y=float(y), width=float(width), height=float(height), cls=cls, **more)

    def dot(self, at: Point, radius: float = 2.5, **more: object) -> None:
        """A small disc."""
        self.add("circle", cx=float(at[0]), cy=float(at[1]), r=float(radius), **more)

    def path(self, points: Sequence[Point], colour: str = COLOURS[0], width: float = 2, dash: str = "") -> None:
        """A polyline."""
        if len(points) > 1:
            d = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in simplified(points))
            self.add("path", d=d, fill="none", stroke=colour, stroke_width=width, stroke_dasharray=dash)

    def arrow(self, a: Point, b: Point, colour: str = "#818b98", width: float = 1.5) -> None:
        """From a to b, with a head."""
        length = math.dist(a, b)
        ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
        neck = (b[0] - 7 * ux, b[1] - 7 * uy)
        self.path([a, neck], colour, width)
        corners = [b, (neck[0] - 3.5 * uy, neck[1] + 3.5 * ux), (neck[0] + 3.5 * uy, neck[1] - 3.5 * ux)]
        self.add("path", d="M" + "L".join(f"{number(x)} {number(y)}" for x, y in corners) + "z", fill=colour)

    def save(self, path: Path) -> None:
        """Writes the file."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(self.what)}</title>'
        paper = '<rect class="p" width="100%" height="100%" rx="6"/>'
        drawn = "\n".join(self.parts)
        dark = DARK + "".join(
            f'[{what}="{colour}"]{{{what}:{other}}}'
            for colour, other in zip(COLOURS, IN_THE_DARK, strict=True)
            for what in ("fill", "stroke")
            if f'{what}="{colour}"' in drawn
        )
        style = f"<style>{STYLE}@media(prefers-color-scheme:dark){{{dark}}}</style>"
        body = "\n".join([head + style + paper, drawn, "</svg>\n"])
        path.write_text(body, encoding="utf-8")


class Panel:
    """A rectangle of a sheet with data coordinates: x from left to right, y from bottom to top."""

    def __init__(
        self, sheet: Sheet, place: tuple[float, float, float, float], x: Point, y: Point, title: str = ""
    ) -> None:
        """place: left, top, width, height in pixels. x, y: the range of the data."""
        self.sheet, self.place, self.x, self.y = sheet, place, x, y
        left, top, width, height = place
        sheet.box(left, top, width, height, "g n")
        if title:
            sheet.text(left + width / 2, top - 6, title)

    def at(self, x: float, y: float) -> Point:
        """Where a point of the data stands."""
        left, top, width, height = self.place
        return (
            left + width * (x - self.x[0]) / (self.x[1] - self.x[0]),
            top + height * (1 - (y - self.y[0]) / (self.y[1] - self.y[0])),
        )

    def axes(self) -> None:
        """Lines through 0, where 0 is inside."""
        if self.y[0] < 0 < self.y[1]:
            self.sheet.line(self.at(self.x[0], 0), self.at(self.x[1], 0))
        if self.x[0] < 0 < self.x[1]:
            self.sheet.line(self.at(0, self.y[0]), self.at(0, self.y[1]))

    def ticks(self, x: Iterable[tuple[float, str]] = (), y: Iterable[tuple[float, str]] = ()) -> None:
        """Numbers below and to the left, with a fine line each."""
        for value, said in x:
            px, py = self.at(value, self.y[0])
            self.sheet.line((px, py), self.at(value, self.y[1]), "g")
            self.sheet.text(px, py + 13, said, "m")
        for value, said in y:
            px, py = self.at(self.x[0], value)
            self.sheet.line((px, py), self.at(self.x[1], value), "g")
            self.sheet.text(px - 4, py + 4, said, "m e")

    def curve(self, points: Iterable[Point], colour: str = COLOURS[0], width: float = 2, dash: str = "") -> None:
        """The part of a curve that is inside."""
        run: list[Point] = []
        for x, y in points:
            if self.x[0] <= x <= self.x[1] and self.y[0] <= y <= self.y[1]:
                run.append(self.at(x, y))
            else:
                self.sheet.path(run, colour, width, dash)
                run = []
        self.sheet.path(run, colour, width, dash)

    def function(self, f: Callable[[float], float], colour: str = COLOURS[0], width: float = 2, dash: str = "") -> None:
        """The graph of f."""
        span = self.x[1] - self.x[0]
        self.curve([(x, f(x)) for x in (self.x[0] + span * i / 400 for i in range(401))], colour, width, dash)

    def clip(self) -> str:
        """The attribute by which what is drawn outside is cut off."""
        left, top, width, height = map(number, self.place)
        name = f"c{len(self.sheet.parts)}"
        rect = f'<rect x="{left}" y="{top}" width="{width}" height="{height}"/>'
        self.sheet.parts.append(f'<clipPath id="{name}">{rect}</clipPath>')
        return f"url(#{name})"

    def word(self, x: float, y: float, what: str, cls: str = "", colour: str = "") -> None:
        """A line of text at a place of the data."""
        px, py = self.at(x, y)
        self.sheet.text(px, py, what, cls, colour)


def number(x: float) -> str:
    """With one digit behind the point, if it has one."""
    return f"{x:.1f}".removesuffix(".0")


def simplified(points: Sequence[Point], off: float = 0.2) -> list[Point]:
    """Fewer points of a polyline, none of those left out farther than `off` pixels from it (Douglas and Peucker)."""
    if len(points) < 3:
        return list(points)
    (ax, ay), (bx, by) = points[0], points[-1]
    length = math.hypot(bx - ax, by - ay)

    def far(p: Point) -> float:
        if length == 0:
            return math.hypot(p[0] - ax, p[1] - ay)
        return abs((bx - ax) * (ay - p[1]) - (ax - p[0]) * (by - ay)) / length

    worst = max(range(1, len(points) - 1), key=lambda i: far(points[i]))
    if far(points[worst]) <= off:
        return [points[0], points[-1]]
    return simplified(points[: worst + 1], off)[:-1] + simplified(points[worst:], off)
