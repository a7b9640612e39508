"""What models do with frames of any library: chunks of rows with what is to be told of them, and pandas given back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import polars as pl

from ranvier.core.errors import MissingExtra, RanvierWarning
from ranvier.model.network import chunks

MOST = 20  # notes in a warning


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
