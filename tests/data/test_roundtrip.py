"""Any table comes back from any format as it was, or is refused with our error."""

from __future__ import annotations

import datetime as dt
import io
import tempfile
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.core.errors import RanvierError
from ranvier.data.header import is_float
from ranvier.data.infer import MARKERS
from ranvier.data.read import read

_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=12)
_INTS = st.integers(-(2**63), 2**63 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_DATES = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
_KINDS = {pl.Int64: _INTS, pl.Float64: _FLOATS, pl.String: _TEXT, pl.Boolean: st.booleans(), pl.Date: _DATES}


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(_NAMES, min_size=1, max_size=4, unique_by=str.strip))
    columns = []
    for name in names:
        dtype = draw(st.sampled_from(list(_KINDS)))
        cells = st.one_of(st.none(), _KINDS[dtype])
        columns.append(pl.Series(name, draw(st.lists(cells, min_size=rows, max_size=rows)), dtype=dtype))
    return pl.DataFrame(columns)


def through(frame, kind):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{kind}"
        if kind == "csv":
            frame.write_csv(path, quote_style="non_numeric")
        elif kind == "jsonl":
            frame.write_ndjson(path)
        else:
            frame.write_parquet(path)
        return read(path).frame


@given(frames())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_parquet(frame):
    assert through(frame, "parquet").equals(frame)


@given(frames())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_jsonl(frame):
    made = through(frame, "jsonl")
    for column in frame:
        if column.dtype == pl.Date:
            column = column.dt.to_string("%Y-%m-%d")
        other = made[column.name]
        assert other.cast(column.dtype).to_list() == column.to_list()


def _counted(frame):
    return [f"column_{place + 1}" for place in range(frame.width)]


@given(frames())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_csv(frame):
    try:
        made = through(frame, "csv")
    except RanvierError:  # names that are only blanks
        return
    if made.columns == _counted(frame) and any(is_float(name.strip()) for name in frame.columns):
        assert made.height == frame.height + 1  # names that are numbers are taken for values
        return
    assert made.height == frame.height
    for place, column in enumerate(frame):
        if column.dtype == pl.Date:
            column = column.dt.to_string("%Y-%m-%d")
        for was, now in zip(column.to_list(), made.to_series(place).to_list(), strict=True):
            if was is None or was == "":
                assert now is None
            elif isinstance(was, str) and not isinstance(now, str):  # text that reads as another type
                assert now is None or str(now).lower() == was.strip().lower() or float(was.replace(",", ".")) == now
                assert now is not None or was.strip().lower() in MARKERS
            else:
                assert now == was


@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet", "arrow", "csv.gz"]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_bytes_are_read_or_refused(data, kind):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{kind}"
        path.write_bytes(data)
        with suppress(RanvierError):
            assert read(path).frame.height


@given(st.text(st.sampled_from('a1,;"\n\t .é'), max_size=40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text_is_read_or_refused(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(text.encode())
        with suppress(RanvierError):
            assert read(path).frame.height


def test_a_truncated_file_is_refused():
    whole = io.BytesIO()
    pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}).write_parquet(whole)
    with tempfile.TemporaryDirectory() as folder:
        for size in range(1, len(whole.getvalue()), 37):
            path = Path(folder) / "t.parquet"
            path.write_bytes(whole.getvalue()[:size])
            with pytest.raises(RanvierError, match=r"t\.parquet"):
                read(path)
