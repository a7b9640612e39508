"""What the verbs print: tables for people, one JSON value for programs."""

from __future__ import annotations

import json
import math
import sys
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ranvier.core.plan import Plan
    from ranvier.model.model import Model

WIDE = 120  # columns of text where there is no terminal to ask
MANY = 40  # columns of data that a table of choices lists
BESIDE = 8  # folds up to which each has a column of its own
# sections of the plan in the order in which a person asks
ORDER = ("size", "data", "inputs", "fuse", "targets", "train")
# the choices that tell most; `ranvier show` and the plan itself have all
MAIN = ("size", "split", "folds", ".name", ".time", ".rate", ".batch", ".epochs", ".precision", ".keep", ".refit")


def console() -> Console:
    """A console on standard output that takes no text for markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, markup=False, highlight=False, emoji=False)


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows of texts under a head; the last column wraps."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for number, name in enumerate(head):
        shown.add_column(name, overflow="fold", no_wrap=number < len(head) - 2)
    for row in rows:
        shown.add_row(*map(Text, row))
    console().print(shown)


def as_json(value: Any) -> None:
    """Prints one JSON value; numbers that JSON has no word for (not-a-number, infinity) are null, bytes in base 64."""
    print(json.dumps(_plain(value), ensure_ascii=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def warn(sentences: Iterable[str]) -> None:
    """Prints sentences for the user on standard error."""
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr)


def choices(plan: Plan, *, everything: bool = False) -> None:
    """Prints what each column is and does, and the plan's main choices (or all of them), with their reasons."""
    used = [(name, column) for name, column in plan.columns.items() if column.role != "ignore"]
    told = [(name, column.type, column.role, _why(plan, f"columns.{name}")) for name, column in used[:MANY]]
    more = f" (the first {MANY} of {len(used)})" if len(used) > MANY else ""
    table(f"columns{more}", ("column", "type", "role", "because"), told)
    places = [place for place in plan.why if place.split(".")[0] in ORDER]
    places = [place for place in places if not (place.startswith("data.") and plan.why[place].value == "")]
    if not everything:
        places = [place for place in places if place.endswith(MAIN)]
    places.sort(key=lambda place: ORDER.index(place.split(".")[0]))
    rows = [(place, short(plan.why[place].value), plan.why[place].why) for place in places]
    table("choices" if everything else "main choices", ("place in the plan", "value", "because"), _fewer(rows))


def fold_table(model: Model) -> None:
    """Prints the mean over the folds of the first figures, with its standard error; nothing for less than two folds."""
    from ranvier.model.held import over_folds

    if model.report is None or len(model.fold_figures) < 2:
        return
    each = model.fold_figures if len(model.fold_figures) <= BESIDE else []
    spread = over_folds(model.fold_figures)
    rows = [
        (name, f"{spread[name][0]:.4g} ± {spread[name][1]:.2g}", *(f"{one.get(name, math.nan):.4g}" for one in each))
        for name in model.report.headline
        if name in spread
    ]
    title = f"over {len(model.fold_figures)} folds, ± standard error"
    table(title, ("figure", "mean", *(f"fold {number}" for number in range(1, len(each) + 1))), rows)


def _why(plan: Plan, place: str) -> str:
    """Why a column is what it is; and why it is for what it is for, where that is not plain."""
    kind, role = plan.why.get(f"{place}.type"), plan.why.get(f"{place}.role")
    told = [reason.why for reason in (kind, role) if reason is not None]
    return "; ".join(dict.fromkeys(t for t in told if t != "a column like any other"))


def _fewer(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The same choice made for many inputs, told once."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for place, value, why in rows:
        parts = place.split(".")
        many = parts[0] == "inputs" and len(parts) > 3
        key = (f"inputs.*.{'.'.join(parts[-2:])}" if many else place, value, why)
        groups.setdefault(key, []).append(place)
    return [
        (places[0] if len(places) == 1 else f"{place} ({len(places)} columns)", value, why)
        for (place, value, why), places in groups.items()
    ]


def short(value: Any, length: int = 40) -> str:
    """A value as a short text on one line."""
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, list | tuple) and len(value) > 6:
        return f"[{', '.join(short(v, 12) for v in value[:3])}, ... {len(value)} values]"
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= length else f"{text[: length - 3]}..."
