"""How a model came to be, in lines for people (see `model/provenance.py`)."""

from __future__ import annotations

from typing import Any


def told(known: dict[str, Any]) -> list[str]:
    """A few lines; [] of a model that knows nothing of it. Raises what a dict of another make leads to."""
    if not known:
        return []
    rows, split, one = known["rows"], known["split"], "" if known["threads"] == 1 else "s"
    folds = f", {split['folds']} folds" if split["folds"] > 1 else ""
    test = f", {rows['test']:,} test rows" if rows["test"] else ""
    versions = ", ".join(f"{name} {known[name]}" for name in ("ranvier", "torch", "numpy", "polars", "python"))
    return [
        f"made by {versions}; {known['device']} ({known['instructions']}), {known['threads']} thread{one}; "
        f"seed {known['seed']}; {', '.join(map(str, known['steps']))} steps",
        f"data {', '.join(known['data'])}: {rows['given']:,} rows given, {rows['validation']:,} of validation{test}; "
        f"split {split['how']}{folds}, {split['hash']}",
        *(f"not the same again: {why}" for why in known["differs"]),
    ]
