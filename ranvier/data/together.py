"""Columns of a table packed into one, of which each row holds all their values."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ranvier.core.errors import DataError, did_you_mean

ROW = "row"


def packed(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with the columns as the fields of one, `row`; without names as it is.

    Raises DataError for a column that is not there, and for one that has the name `row` already.
    """
    if not names:
        return frame
    for name in names:
        if name not in frame.columns:
            raise DataError(f"column {name!r} is not in the data; {did_you_mean(name, frame.columns)}")
    if ROW in frame.columns:
        raise DataError(f"a column is called {ROW!r}, as those that are drawn together are: rename it")
    return frame.select(pl.all().exclude(names), pl.struct(names).alias(ROW))
