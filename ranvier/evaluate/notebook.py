"""A report as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranvier.core.html import folded, lines, table
from ranvier.evaluate.figures import headline, meaning
from ranvier.evaluate.text import SHOWN, UNSEEN


def target_html(column: str, target: Mapping[str, Any]) -> str:
    """The first figures of one target (`TargetReport.to_dict`), and at a click the others and the confusion; notes."""
    kind, figures = target["kind"], target["metrics"]
    first = headline(kind, figures) or list(figures)
    others = [name for name in figures if name not in first]
    aside = f", {target['missing']:,} set aside without a truth" if target["missing"] else ""
    notes = [f"note: {name}: {why}" for name, why in target["notes"].items()]
    if target["positive"]:
        notes.insert(0, f"positive class: {target['positive']}")
    parts = [
        lines([f"{column} ({kind}): {target['rows']:,} rows{aside}"]),
        _figures(kind, figures, first),
        folded(f"{len(others)} more figures", _figures(kind, figures, others)) if others else "",
        _confusion(target["labels"], target["confusion"]),
        lines(notes),
    ]
    return "".join(parts)


def _figures(kind: str, figures: Mapping[str, float], names: list[str]) -> str:
    return table(("figure", "value", "meaning"), [(name, figures[name], meaning(kind, name)) for name in names])


def _confusion(labels: list[str], confusion: list[list[float]]) -> str:
    """The matrix at a click, where there are few classes."""
    if not confusion or len(labels) > SHOWN:
        return ""
    rows = list(labels) + [UNSEEN] * (len(confusion) - len(labels))
    cells = [(name, *row) for name, row in zip(rows, confusion, strict=True)]
    return folded("confusion", table(("truth \\ predicted", *labels), cells))
