"""A report as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.evaluate.figures import headline, meaning

SHOWN = 12  # classes up to which the whole confusion matrix is printed
WIDEST = 16  # letters of a class name
LINE = 110  # letters of a line of figures
UNSEEN = "(unseen)"


def target_text(column: str, target: Mapping[str, Any]) -> str:
    """The first figures of one target (`TargetReport.to_dict`) with what they mean, the others, confusion, notes."""
    aside = f", {target['missing']:,} set aside without a truth" if target["missing"] else ""
    lines = [f"{column} ({target['kind']}): {target['rows']:,} rows{aside}"]
    lines += _figures(target["kind"], target["metrics"])
    if target["positive"]:
        lines.append(f"  (positive class: {target['positive']})")
    if target["confusion"]:
        lines += ["", *_confusion(target["labels"], target["confusion"])]
    lines += [f"  note: {name}: {why}" for name, why in target["notes"].items()]
    return "\n".join(lines)


def _figures(kind: str, figures: Mapping[str, float]) -> list[str]:
    first = headline(kind, figures) or list(figures)
    lines = _lines(kind, {name: figures[name] for name in first})
    others = [f"{name}={figure:.5g}" for name, figure in figures.items() if name not in first]
    how = {"initial_indent": "  also ", "subsequent_indent": "       ", "break_on_hyphens": False}
    return lines + textwrap.wrap("  ".join(others), LINE, **how)  # type: ignore[arg-type]


def _lines(kind: str, figures: Mapping[str, float]) -> list[str]:
    wide = max((len(name) for name in figures), default=0)
    return [f"  {name:<{wide}}  {figure:>10.5g}  {meaning(kind, name)}".rstrip() for name, figure in figures.items()]


def explained(target: Mapping[str, Any]) -> str:
    """Every figure of one target with what it means, one a line."""
    return "\n".join(_lines(target["kind"], target["metrics"]))


def _confusion(labels: Sequence[str], table: Sequence[Sequence[float]]) -> list[str]:
    """The matrix, or for many classes the commonest confusions."""
    rows = list(labels) + [UNSEEN] * (len(table) - len(labels))
    if len(labels) > SHOWN:
        return _worst(labels, rows, table)
    cells = [[f"{x:.6g}" for x in row] for row in table]
    names = [_short(name) for name in labels]
    widths = [max(len(names[c]), *(len(row[c]) for row in cells)) for c in range(len(names))]
    wide = max(len(_short(name)) for name in rows)
    lines = ["  confusion (rows: truth, columns: predicted)"]
    lines.append("  " + " " * wide + "".join(f"  {name:>{w}}" for name, w in zip(names, widths, strict=True)))
    for name, row in zip(rows, cells, strict=True):
        lines.append(f"  {_short(name):<{wide}}" + "".join(f"  {x:>{w}}" for x, w in zip(row, widths, strict=True)))
    return lines


def _worst(labels: Sequence[str], rows: Sequence[str], table: Sequence[Sequence[float]]) -> list[str]:
    wrong = [(x, t, p) for t, row in enumerate(table) for p, x in enumerate(row) if x > 0 and t != p]
    if not wrong:
        return ["  no class is taken for another"]
    worst = sorted(wrong, key=lambda item: -item[0])[:5]
    return ["  most often taken for another (truth -> predicted)"] + [
        f"  {x:>8.6g}  {_short(rows[t])} -> {_short(labels[p])}" for x, t, p in worst
    ]


def _short(name: str) -> str:
    return name if len(name) <= WIDEST else name[: WIDEST - 1] + "…"
