"""CSV and TSV: what each odd file is read as, or says."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ranvier.core.errors import DataError
from ranvier.data.header import sniff
from ranvier.data.read import read


def table(folder: Path, data: bytes, name: str = "t.csv", **options):
    (folder / name).write_bytes(data)
    return read(folder / name, **options)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}),
        (b"a,b\r\n1,x\r\n2,\r\n", {"a": [1, 2], "b": ["x", None]}),
        (b"a;b\n1,5;x\n3;y\n", {"a": [1.5, 3.0], "b": ["x", "y"]}),
        (b"a\tb\n1\tx, y\n2\ty\n", {"a": [1, 2], "b": ["x, y", "y"]}),
        (b"a|b\n1|x\n2|y\n", {"a": [1, 2], "b": ["x", "y"]}),
        (b'a,b\n"x\ny",2\n"q""uo, te",3', {"a": ["x\ny", 'q"uo, te'], "b": [2, 3]}),
        (b'a,b\n1,""\n2,z\n', {"a": [1, 2], "b": [None, "z"]}),
        (b"\xef\xbb\xbfa,b\n1,\xc3\xbc\n", {"a": [1], "b": ["ü"]}),
        ("a,b\n1,ü\n".encode("utf-16"), {"a": [1], "b": ["ü"]}),
        ("a,b\n1,ü\n".encode("utf-16-be"), {"a": [1], "b": ["ü"]}),
        (b"a\n1\n\n2\n", {"a": [1, None, 2]}),
        (b"a\r1\r2\r", {"a": [1, 2]}),
        (b"a,b\n 1,x\n2 ,y\n", {"a": [1, 2], "b": ["x", "y"]}),
        (b"0,1\n3,4\n", {"0": [3], "1": [4]}),
        (b"a,b\nTrue,1e3\nfalse,-.5\n", {"a": [True, False], "b": [1000.0, -0.5]}),
        (b"day,t\n2020-01-02,x\n,y\n", {"day": ["2020-01-02", None], "t": ["x", "y"]}),
    ],
)
def test_reads(tmp_path, data, expected):
    made = table(tmp_path, data).frame
    assert made.to_dict(as_series=False) == expected
    for name, values in expected.items():
        assert [type(v) for v in made[name].to_list()] == [type(v) for v in values]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 (row 1): 3 fields, but the header has 2"),
        (b"a,b,c\n1,2,3\n\n4,5\n", "line 4 (row 1): 2 fields, but the header has 3"),
        (b'a,b\n"x\ny",2\n1\n', "line 4 (row 1): 1 field, but"),
        (b'a,b\n"x,2\n3,4\n', "unexpected end of data"),
        ("имя,город\nИван,Москва\n".encode("cp1251"), "byte 0xe8 at position 0 (line 1), and looks like none"),
        ("a,b\n1,2\n1,とうきょう\n".encode("shift_jis"), "at position 10 (line 3)"),
        (b"a\x00b,c\n1,2\n", "zero bytes"),
        (b"text\nhello, world\nI am\n", "line 2 (row 0): 2 fields"),
    ],
)
def test_refuses(tmp_path, data, told):
    with pytest.raises(DataError) as error:
        table(tmp_path, data)
    assert told in str(error.value)
    assert "t.csv" in str(error.value)


def test_leading_zeros_and_long_numbers_stay_text(tmp_path):
    made = table(tmp_path, b"zip,id,x\n00501,99999999999999999999,0.5\n90210,1,0\n")
    assert made.frame["zip"].to_list() == ["00501", "90210"]
    assert made.frame["id"].to_list() == ["99999999999999999999", "1"]
    assert made.frame["x"].to_list() == [0.5, 0.0]
    assert len(made.notes) == 2


def test_a_late_marker_becomes_missing_and_is_counted(tmp_path):
    rows = "".join(f"{i},{i / 2},r{i % 3}\n" for i in range(3000))
    made = table(tmp_path, f"i,f,t\n{rows}N/A,?,NA\n?,nan,NA\n".encode())
    assert made.frame.dtypes == [pl.Int64, pl.Float64, pl.String]
    assert made.frame.null_count().row(0) == (2, 2, 0)
    assert made.frame["t"][-1] == "NA"
    assert sorted(note.split(":")[0] for note in made.notes) == ["column 'f'", "column 'i'"]
    assert "1 of '?'" in made.notes[0]


def test_a_late_word_keeps_the_column_as_text_and_says_where(tmp_path):
    rows = "".join(f"{i},1\n" for i in range(2000))
    made = table(tmp_path, f"i,j\n{rows}about 7,1\n".encode())
    assert made.frame["i"].dtype == pl.String
    assert made.frame["i"].null_count() == 0
    assert "'about 7' in row 2000" in made.notes[0]


def test_ambiguous_thousands_stay_text(tmp_path):
    made = table(tmp_path, b'a,b\n"1,234",x\n"12,345",y\n')
    assert made.frame["a"].to_list() == ["1,234", "12,345"]
    assert made.notes == []  # what the commas are taken for is told by the column that reads them


def test_as_text_keeps_types_of_training(tmp_path):
    assert table(tmp_path, b"zip,x\n12,3\n", as_text=["zip"]).frame.row(0) == ("12", 3)


def test_unnamed_columns_and_blank_lines_are_told(tmp_path):
    made = table(tmp_path, b",b\n0,x\n\n1,\n")
    assert made.frame.to_dict(as_series=False) == {"column_1": [0, 1], "b": ["x", None]}
    assert len(made.notes) == 2
    assert not table(tmp_path, b"a,b\n0,x\n1,\n\n\n").notes


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_sniff(sign):
    assert sniff(f'name{sign}text{sign}n\na{sign}"well, then; no|no"{sign}3\nb{sign}"so"{sign}4\n') == sign


def test_a_long_text_and_a_chunk_border(tmp_path, monkeypatch):
    monkeypatch.setattr("ranvier.data.encoding._CHUNK", 7)
    made = table(tmp_path, ("a,b\n" + "ü" * 200_000 + ",\n").encode())
    assert made.frame["a"].str.len_chars()[0] == 200_000
    with pytest.raises(DataError, match="position 12 "):
        table(tmp_path, "a,b\nüü\n".encode() + b"x,\xff\n".replace(b"x,", b"\xc3\xbc,"))
