from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

from ranvier.columns.stream import blocks
from ranvier.columns.vector import Vector
from ranvier.core.errors import DataError
from ranvier.core.spec import Spec


def vectors(array: np.ndarray) -> pl.Series:
    return pl.Series("v", array.tolist(), dtype=pl.List(pl.Float64))


def test_standardises_like_scikit_learn_over_many_blocks(monkeypatch):
    monkeypatch.setattr("ranvier.columns.vector.BLOCK", 64)
    rng = np.random.default_rng(0)
    array = rng.normal(1e4, 3.0, (500, 5)) * np.array([1, 10, 0.01, 1, 1])
    array[:, 4] = 7.1  # constant
    column = Vector("v")
    assert column.learn([vectors(array)]) == Spec("vector", (5,))
    expected = StandardScaler().fit_transform(array)
    encoded = column.encode(vectors(array))
    assert encoded.data.dtype == np.float32
    np.testing.assert_allclose(encoded.data[:, :4], expected[:, :4], atol=1e-5)
    np.testing.assert_allclose(encoded.data[:, 4], 0, atol=1e-6)
    back = column.decode({"value": encoded.data})["v"].to_numpy()
    np.testing.assert_allclose(back, array, rtol=1e-6)


def test_missing_elements_take_the_mean_and_are_told():
    column = Vector("v")
    column.learn([pl.Series("v", [[1.0, 2.0], [3.0, None], None, [5.0, float("inf")], [3.0, 4.0]])])
    np.testing.assert_allclose(column.mean, [3, 3])
    encoded = column.encode(pl.Series("v", [[None, 4.0], None, [float("nan"), None], []], dtype=pl.List(pl.Float64)))
    assert encoded.observed.tolist() == [True, False, False, False]
    np.testing.assert_allclose(encoded.data, [[0, 1], [0, 0], [0, 0], [0, 0]])
    assert encoded.notes == ["v: 1 vector has missing or infinite elements, taken as the mean"]


def test_arrays_and_integers_and_no_standardising():
    column = Vector("v", standardise=False)
    column.learn([pl.Series("v", [[1, 2, 3], [4, 5, 6]], dtype=pl.Array(pl.Int8, 3))])
    assert column.encode(pl.Series([[7, 8, 9]])).data.tolist() == [[7, 8, 9]]


def test_wrong_length_names_the_row():
    column = Vector("v")
    with pytest.raises(DataError, match=r"'v', row 2: expected a vector of 2 numbers, got 3 \(1 such rows\)"):
        column.learn([pl.Series("v", [[1.0, 2.0], None, [1.0, 2.0, 3.0]])])
    column.learn([pl.Series("v", [[1.0, 2.0]])])
    with pytest.raises(DataError, match="row 0: expected a vector of 2 numbers, got 1"):
        column.encode(pl.Series("v", [[1.0]]))


@pytest.mark.parametrize("values", [[None, None], [], [[None, None]]])
def test_nothing_observed(values):
    with pytest.raises(DataError, match="no observed vector"):
        Vector("v").learn([pl.Series("v", values, dtype=pl.List(pl.Float64))])
    with pytest.raises(DataError, match=r"row 0: expected a list of numbers such as .*, got .a."):
        Vector("v").learn([pl.Series("v", ["a"])])


def test_blocks_are_the_same_however_chunked():
    values = pl.Series("v", range(23))
    for size in (1, 4, 7, 23, 50):
        chunks = [values.slice(i, size) for i in range(0, 23, size)]
        got = list(blocks(chunks, 5))
        assert [len(b) for b in got] == [5, 5, 5, 5, 3]
        assert pl.concat(got).to_list() == values.to_list()


def test_recognise():
    assert Vector.recognise(pl.Series([[1.0, 2.0], [3.0, 4.0]]))[0] == 0.9
    assert Vector.recognise(pl.Series([[1.0, 2.0], [3.0]])) == (0.05, "lists of 1 to 2 numbers, not of one length")
    assert Vector.recognise(pl.Series([["a"]]))[0] == 0
    assert Vector.recognise(pl.Series([1.0]))[0] == 0
