"""Frames, arrays, tensors, dicts and pairs from memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from ranvier.core.errors import DataError
from ranvier.data.memory import read_memory
from ranvier.data.read import read

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
RNG = np.random.default_rng(0)


def test_dict_of_arrays_tensors_and_lists():
    x = RNG.integers(0, 255, (5, 4, 3, 2), dtype=np.uint8)
    made = read(
        {
            "image": x,
            "tensor": torch.from_numpy(x[..., 0]),
            "half": torch.ones(5, dtype=torch.bfloat16, requires_grad=True),
            "list": [1, 2.5, None, 4, 5],
            "words": np.array(list("abcde")),
            "year": np.array(["2020"] * 5, "M8[Y]"),
            "swapped": np.arange(5).astype(">i4"),
            "stack": [np.full(2, i) for i in range(5)],
        }
    ).frame
    assert made["image"].dtype == pl.Array(pl.UInt8, (4, 3, 2))
    assert np.array_equal(made["image"].to_numpy(), x)
    assert np.array_equal(made["tensor"].to_numpy(), x[..., 0])
    assert made["half"].to_list() == [1.0] * 5
    assert made["list"].to_list() == [1.0, 2.5, None, 4.0, 5.0]
    assert made["words"].to_list() == list("abcde")
    assert made["year"][0].year == 2020
    assert made["swapped"].to_list() == list(range(5))
    assert made["stack"].dtype == pl.Array(pl.Int64, 2)


def test_pairs():
    x, y = RNG.normal(size=(4, 2)), np.arange(4)
    assert read((x, y)).frame.columns == ["x0", "x1", "target"]
    assert np.array_equal(read((x, y)).frame["x1"].to_numpy(), x[:, 1])
    assert read((x, y[:, None])).frame.columns == ["x0", "x1", "target"]
    assert read((x, x)).frame.columns == ["x0", "x1", "target0", "target1"]
    assert read((x.tolist(), list("abcd"))).frame.columns == ["x0", "x1", "target"]
    assert read((["a b", "c"], [0, 1])).frame.row(0) == ("a b", 0)
    assert read((torch.zeros(4, 28, 28), torch.arange(4))).frame.schema["x"] == pl.Array(pl.Float32, (28, 28))
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=[7, 8])
    assert read((frame[["a"]], frame["b"])).frame.columns == ["a", "b"]
    assert read((frame.to_numpy(), pd.Series([1, 2]))).frame.columns == ["x0", "x1", "target"]
    with pytest.raises(DataError, match="both have a column named 'a'"):
        read((frame, frame["a"]))
    with pytest.raises(DataError, match="'X' has 4 rows, 'y' has 3"):
        read((x, y[:3]))
    assert read(x).frame.equals(read((x, y)).frame.drop("target"))


def test_pandas():
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "f": [1.5, np.nan],
            "s": ["a", None],
            "d": pd.to_datetime(["2020-01-01", None]),
            "c": pd.Categorical(["u", "v"]),
            "ci": pd.Categorical([3, 4]),
            "o": pd.Series(["x", np.nan], dtype=object),
            "b": [True, False],
            "I": pd.array([1, None], dtype="Int64"),
            "l": [[1, 2], [3]],
        }
    )
    made = read(frame)
    assert made.frame.drop("d").rows() == [
        (1, 1.5, "a", "u", 3, "x", True, 1, [1, 2]),
        (2, None, None, "v", 4, None, False, None, [3]),
    ]
    assert made.frame["d"].null_count() == 1
    assert made.notes == []
    assert read(frame.rename(columns={"i": 0})).frame.columns[0] == "0"
    assert read(frame["f"]).frame.columns == ["f"]
    assert "index (i)" in read(frame.set_index("i")).notes[0]
    with pytest.raises(DataError, match="more than one column named 'a'"):
        read(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_polars_pyarrow_structured_and_records():
    frame = pl.DataFrame(
        {"a": [1.0, float("nan")], "c": pl.Series(["x", "y"], dtype=pl.Categorical), "n": [None, None]}
    )
    made = read(frame)
    assert made.frame.rows() == [(1.0, "x", None), (None, "y", None)]
    assert made.frame.dtypes == [pl.Float64, pl.String, pl.String]
    assert made.notes == ["column 'a': 1 NaN taken as missing"]
    assert read(frame.lazy()).frame.equals(made.frame)
    assert read(pa.table({"a": [1, 2]})).frame["a"].to_list() == [1, 2]
    assert read(np.array([(1, "u")], dtype=[("a", "i4"), ("b", "U3")])).frame.row(0) == (1, "u")
    assert read([{"a": 1}, {"b": "x", "a": 2}]).frame.rows() == [(1, None), (2, "x")]
    assert read(made) is made


def test_unusual_values():
    made = read(
        {
            "masked": np.ma.array([1, 2], mask=[True, False]),
            "paths": [Path("/x.png"), Path("/y.png")],
            "tags": [{"b", "a"}, {"c"}],
            "ragged": [torch.zeros(1), torch.ones(2)],
            "scalars": [np.int64(1), np.float32(2.5)],
        }
    ).frame
    assert made.row(0) == (None, "/x.png", ["a", "b"], [0.0], 1.0)
    assert made.row(1) == (2.0, "/y.png", ["c"], [1.0, 1.0], 2.5)
    assert read([[1, 2], [3, 4]]).frame.columns == ["x0", "x1"]
    frame = pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M"), "s": pd.arrays.SparseArray([0, 1])})
    assert read(frame).frame.rows() == [("2020-01", 0), ("2020-02", 1)]


def test_embedded_files_are_taken_out_of_their_records():
    frame = pl.DataFrame({"image": [{"bytes": b"png", "path": None}, {"bytes": b"gif", "path": "x"}]})
    assert read(frame).frame["image"].to_list() == [b"png", b"gif"]


def test_answers_of_squad_are_taken_as_a_start_and_a_text():
    several = [{"text": ["so", "s"], "answer_start": [3, 3]}, {"text": [], "answer_start": []}, None]
    table = read(pl.DataFrame({"answers": several}))
    assert table.frame["answers"].to_list() == [{"start": 3, "text": "so"}, {"start": None, "text": None}, None]
    assert table.notes == ["column 'answers': 1 row has several answers, of which the first is taken"]
    records = [[{"text": "so", "answer_start": 3}, {"text": "s", "answer_start": 3}], [], None]
    assert read({"answers": records}).frame.equals(table.frame.select("answers"))
    assert read({"answers": records}).notes == table.notes
    for one in ({"text": "so", "answer_start": 3}, {"text": ["so"], "answer_start": [3]}):
        table = read(pl.DataFrame({"answers": [one]}))
        assert table.frame["answers"].to_list() == [{"start": 3, "text": "so"}]
        assert table.notes == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"a": [1], "b": [1, 2]}, "'a' has 1 rows, 'b' has 2"),
        ({"a": "xx", "b": [1, 2]}, "single value"),
        ({"a": 3, "b": [1]}, "single value"),
        ({"a": np.float32(3), "b": [1]}, "single value"),
        ({"a": np.zeros(())}, "without axes"),
        ({"a": np.zeros(2, complex)}, "complex"),
        ({"a": [object()]}, "Python objects"),
        ({"a": [1, [2]]}, "row 1 holds [2]"),
        ({"a": []}, "no rows"),
        ({1: [1], "1": [2]}, "more than one column named '1'"),
        ({}, "no columns"),
        ([], "empty list"),
        (object(), "expected a path"),
        ({"a": {1, 2}}, "no order of rows"),
        ({"a\ud800": [1]}, "no valid text"),
        (pl.DataFrame({"*": [1], "a": [2]}), "'*' is a pattern"),
        (pl.DataFrame({"^a.$": [1], "ab": [2]}), "'^a.$' is a pattern"),
        ({"a": ["\ud800"]}, "surrogate"),
        ({"a": [["b"], ["a", "\ud800"]]}, "column 'a', row 1: half a surrogate pair"),
        (np.zeros((3, 0)), "no columns"),
        (pd.DataFrame({"a": [1j, 2]}), "complex"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "more than one column named 'a'"),
        (pl.LazyFrame({"a": [1]}).select("b"), "cannot be collected"),
        (pl.scan_csv("/nowhere/t.csv"), "cannot be collected"),
        ([[1, 2], [3]], "unequal rows"),
        (3, "int 3"),
        (None, "NoneType"),
        (pl.DataFrame({"a": [1]}).head(0), "no rows"),
        ((3, [1]), "X of (X, y) is a int"),
    ],
)
def test_refuses(source, told):
    with pytest.raises(DataError) as error:
        read(source)
    assert told in str(error.value)


def test_heavy_packages_stay_out():
    code = (
        "import sys; from ranvier.data import read, split, roles, leak; import ranvier.samples;"
        "read.read(ranvier.samples.path('penguins'));"
        "bad = {'torch', 'pandas', 'pyarrow', 'pydantic', 'PIL'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_dict_of_single_values_is_one_row():
    frame = read_memory({"a": 3, "b": "said", "c": None, "d": np.float32(0.5)}).frame
    assert frame.height == 1
    assert frame.row(0) == (3, "said", None, 0.5)


def test_a_pandas_array_serves_as_y():
    pd = pytest.importorskip("pandas")
    frame = read_memory((np.zeros((3, 2)), pd.Series(["a", "b", None], dtype="string").values)).frame
    assert frame["target"].to_list() == ["a", "b", None]
