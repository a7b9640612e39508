"""What models do with frames of any library: chunks of rows with what is to be told of them, and pandas given back."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ranvier.core.errors import DataError, MissingExtra, RanvierWarning, did_you_mean
from ranvier.core.plan import Plan
from ranvier.data.folder import IMAGE
from ranvier.model.network import chunks

MOST = 20  # notes in a warning


def kept_columns(plan: Plan, frame: pl.DataFrame, keep: str | Sequence[str], data: Any, more: str) -> list[str]:
    """The columns to stand before the predictions. Raises DataError for one that is not there, or is predicted.

    more: what else than always the names of predictions may end in, as a pattern.
    """
    names = [keep] if isinstance(keep, str) else list(dict.fromkeys(keep))
    if not names and isinstance(data, str | Path) and Path(data).expanduser().is_dir():
        names = [IMAGE]
    for name in names:
        if name not in frame.columns:
            raise DataError(f"keep: column {name!r} is not in the data; {did_you_mean(name, frame.columns)}")
        if any(re.fullmatch(rf"{re.escape(n)}({_endings(plan, n)}{more})?", name) for n in plan.targets):
            raise DataError(f"keep: column {name!r} is predicted, and two cannot have one name; rename it first")
        dtype = frame[name].dtype
        if dtype.is_nested() or dtype == pl.Binary:
            raise DataError(f"keep: column {name!r} holds {dtype}; only plain values can be carried over")
    return names


def _endings(plan: Plan, target: str) -> str:
    """A pattern of what names of a target's predictions end in."""
    return r"_confidence|_p_.*|_q[\d.]+" + ("|_start|_end" if plan.columns[target].type == "span" else "")


def told_chunks(frame: pl.DataFrame, notes: list[str]) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    """The frame's rows chunk by chunk, each with a list for what is to be told of it, which `notes` gets in the end."""
    for start, rows in chunks(frame):
        told: list[str] = []
        yield rows, told
        once = list(dict.fromkeys(told))  # several networks say mostly the same
        notes += once if start == 0 else [f"rows from {start:,}, counted from there: {note}" for note in once]


def tell(notes: list[str]) -> None:
    """Warns the caller of the caller, once, one line a note."""
    lines = list(dict.fromkeys(notes))
    if len(lines) > MOST:
        lines = [*lines[:MOST], f"and {len(lines) - MOST:,} more such notes"]
    if lines:
        warnings.warn("\n".join(lines), RanvierWarning, stacklevel=3)


def to_pandas(frame: pl.DataFrame, index: Any) -> Any:
    """Raises MissingExtra without pyarrow."""
    try:
        made = frame.to_pandas()
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", "pandas") from None
    made.index = index
    return made


def is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"
