"""Columns of a table packed into one, of which each row holds all their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ranvier.core.errors import DataError, did_you_mean
from ranvier.data.roles import Role, assign_roles

ROW = "row"
ALL = "*"  # as the target: every number and category of the table, drawn together
APART = "rows are drawn of numbers and categories"


def roles_of_all(
    frame: pl.DataFrame, kinds: Mapping[str, str], able: Sequence[str], inputs: Sequence[str], roles: Mapping[str, str]
) -> dict[str, Role]:
    """The role of every column where all of kinds that are able to are drawn together, but for those of other roles."""
    found = assign_roles(frame, kinds, (), None, roles)
    for name, role in found.items():
        if name in inputs:
            found[name] = Role("input", "named as input")
        elif role.role == "input":
            found[name] = Role("target", "drawn with the others") if kinds[name] in able else Role("ignore", APART)
    return found


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
