"""Identities: numbers that are the same in every process, names of their own type, nothing told of new ones."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from ranvier.columns.identity import Identity
from ranvier.columns.recognise import recognise
from ranvier.core.errors import DataError

SEEN = pl.Series("who", ["b", "a", None, "b"])


def learnt(values: pl.Series = SEEN) -> Identity:
    column = Identity(values.name)
    column.learn([values])
    return column


def test_new_identities_have_numbers_beyond_those_of_training():
    column = learnt()
    assert (column.spec.kind, column.spec.size, column.names) == ("identity", 2, ["a", "b"])
    encoded = column.encode(pl.Series("who", ["b", "new", "", "other", "new", None]))
    assert encoded.observed.tolist() == [True, True, False, True, True, False]
    assert encoded.data.dtype == np.int64
    assert encoded.data[0] == 1
    assert encoded.data[1] == encoded.data[4] != encoded.data[3]
    assert (encoded.data[[1, 3]] >= 2).all()
    assert not any("not seen" in note for note in encoded.notes)


def test_they_are_the_same_in_every_process():
    code = (
        "import polars as pl; from ranvier.columns.identity import Identity; c = Identity('who'); "
        "c.learn([pl.Series('who', ['a', 'b'])]); print(c.encode(pl.Series('who', ['new', 'Zoë'])).data.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(learnt().encode(pl.Series("who", ["new", "Zoë"])).data.tolist())


def test_names_are_of_the_type_of_the_column():
    column = learnt(pl.Series("who", [7, 3, 7]))
    assert column.label(12) == column.label("12") == column.label(12.0) == "12"
    assert column.values(["12", None]).to_list() == [12, None]
    same = column.encode(pl.Series("who", [12])).data, column.encode(pl.Series("who", ["12", "7"])).data
    assert same[0][0] == same[1][0]
    assert same[1][1] == 1
    for wrong in ("Ada", None, ""):
        with pytest.raises(DataError, match="is no"):
            column.label(wrong)
    assert learnt(pl.Series("who", [True, False])).values(["true"]).to_list() == [True]


def test_it_is_never_taken_for_one_by_itself():
    assert recognise(pl.Series("who", [f"p{i}" for i in range(500)] * 2), target=True)[0] != "identity"


def test_rare_identities_are_as_new_ones():
    column = Identity("who", rare=2)
    column.learn([SEEN])
    assert column.names == ["b"]
    assert column.encode(pl.Series("who", ["a"])).data[0] >= 1
    assert any("not seen" in note for note in column.notes)
