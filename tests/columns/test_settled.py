"""What only all values of a call tell: something is to be settled in all of them if and only if it is in a part."""

from __future__ import annotations

import polars as pl
import pytest

from ranvier.columns.date import Date
from ranvier.columns.number import Number
from ranvier.core.column import Column


def _number(values: list[str]) -> Column:
    column = Number("x")
    column.learn([pl.Series("x", values)])
    return column


def _date(values: list[str] | pl.Series) -> Column:
    column = Date("x")
    column.learn([pl.Series("x", values)])
    return column


PLAIN = _number(["1 kg", "2 kg", "3 kg"])
COMMAS = _number(["1,5", "2,25", "3,0"])
DAYS = _date(["2024-01-05", "2024-02-17", "2024-12-31"])
STORED = _date(pl.Series(["2024-01-05", "2024-02-17"]).str.to_date())
CASES: list[tuple[Column, list[str | None]]] = [
    (PLAIN, ["1", "2 kg", None, "word"]),
    (PLAIN, ["1", "2 kg", None, "3,5"]),
    (PLAIN, ["1,234", "0,5", "2", ""]),
    (COMMAS, ["1,5", "2", "1,234", "word"]),
    (COMMAS, ["0.5", "1.234", None, "2"]),
    (DAYS, ["2024-01-05", None, "2024-12-31", "2023-02-28"]),
    (DAYS, ["2024-01-05", "31.12.2024", None, "2023-02-28"]),
    (DAYS, ["2024-01-05", "soon", None, "2023-02-28"]),
    (STORED, ["2024-01-05", None, "2024-12-31", "2023-02-28"]),
]


@pytest.mark.parametrize(("column", "values"), CASES)
def test_of_all_if_and_only_if_of_a_part(column: Column, values: list[str | None]):
    whole = pl.Series("x", values, dtype=pl.String)
    left = column.settled(whole)[0] is whole
    for size in (1, 2, 3):
        parts = [whole[start : start + size] for start in range(0, len(whole), size)]
        known = [part for part in parts if part.null_count() < len(part)]
        assert all(column.settled(part)[0] is part for part in known) == left


@pytest.mark.parametrize("column", [PLAIN, COMMAS, DAYS, STORED])
def test_only_texts_are_settled(column: Column):
    for values in (
        pl.Series("x", [1.5, None]),
        pl.Series("x", [20240105]),
        pl.Series("x", ["2024-01-05"]).str.to_date(),
    ):
        settled, told = column.settled(values)
        assert settled is values
        assert not told


def test_points_where_training_had_commas():
    values, told = COMMAS.settled(pl.Series("x", ["1.234", "-0.125", "0.333", "7"]))
    assert values.to_list() == [1.234, -0.125, 0.333, 7.0]
    assert told == ["column 'x': decimals come after a point here, and came after a comma in training"]
    left, told = COMMAS.settled(pl.Series("x", ["1.234", "2.345"]))  # which may well be thousands
    assert left.to_list() == ["1.234", "2.345"]
    assert COMMAS.encode(pl.Series("x", ["0,333"])).data[0, 0] == COMMAS.encode(pl.Series("x", ["0.333"])).data[0, 0]
