"""What is told of single rows names them as they stand in the data given, whichever part of these is at hand."""

from __future__ import annotations

import io
import re

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.core.errors import DataError
from ranvier.core.rows import numbered, row_number
from ranvier.core.threads import each
from ranvier.model.find_lr import find_lr
from ranvier.model.fit import fit

QUICK = {"epochs": 1, "size": "s", "threads": 1, "progress": False}
ODD = (3, 58, 97)  # rows that hold something odd


def png(shade):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def frame():
    rng = np.random.default_rng(0)
    x = [f"{value:.3f}" for value in rng.normal(size=120)]
    pictures = [png(int(shade)) for shade in rng.integers(0, 255, 120)]
    for row in ODD:
        x[row], pictures[row] = "oops", b"none"
    return pl.DataFrame({"x": x, "picture": pictures, "y": rng.normal(size=120)})


def named(notes, about):
    """The rows that the notes on a thing name."""
    return {int(row) for note in notes if about in note for row in re.findall(r"\brow (\d+)", note)}


def test_rows_at_hand_have_the_numbers_given():
    assert row_number(2) == 2
    with numbered(np.array([7, 9, 40])):
        assert [row_number(place) for place in range(3)] == [7, 9, 40]
        with numbered(None):
            assert row_number(1) == 1
        assert each(row_number, [0, 2]) == [7, 40]  # in threads too
    assert row_number(2) == 2


@pytest.mark.parametrize("how", [{"split": "random"}, {"folds": 3}, {"split": "none"}])
def test_notes_of_a_fit_name_the_rows_given(how):
    notes = fit(frame(), "y", types={"x": "number"}, **how, **QUICK).notes
    assert named(notes, "pictures cannot be read") == set(ODD)  # each in the part that it fell in
    assert named(notes, "no numbers") <= set(ODD)


def test_rows_given_apart_are_told_apart():
    given = frame()
    val = given[50:70]
    notes = fit(given, "y", val=val, types={"x": "number"}, **QUICK).notes
    (apart,) = [note for note in notes if note.startswith("val: picture:")]
    assert "row 8:" in apart
    (own,) = [note for note in notes if note.startswith("picture:")]
    assert named([own], "picture") == set(ODD)


@pytest.mark.parametrize("call", [fit, lambda *data, **how: find_lr(*data, steps=20, types=how["types"])])
def test_errors_of_a_fit_name_the_row_given(call):
    vectors = [[1.0, 2.0]] * 120
    vectors[57:60] = [[1.0]] * 3  # one of them trains
    data = frame().with_columns(pl.Series("vector", vectors)).drop("x", "picture")
    with pytest.raises(DataError, match=r"row 5[789]: expected a vector of 2 numbers"):
        call(data, "y", types={"vector": "vector"}, **QUICK)
