"""Every file format gives the same frame; damaged and missing files say what to do."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from ranvier.core.errors import DataError
from ranvier.data.read import read, read_parts

FRAME = pl.DataFrame({"n": [1, 2, None], "x": [0.5, None, -1.0], "t": ["a, b", None, "ü\n"], "b": [True, False, None]})


def write(path, kind):
    if kind == "csv":
        FRAME.write_csv(path)
    elif kind == "tsv":
        FRAME.write_csv(path, separator="\t")
    elif kind in ("jsonl", "ndjson"):
        FRAME.write_ndjson(path)
    elif kind == "json":
        FRAME.write_json(path)
    elif kind == "parquet":
        FRAME.write_parquet(path)
    elif kind == "arrow":
        FRAME.write_ipc(path)
    else:
        FRAME.write_ipc_stream(path)


def test_names_of_pictures_start_from_the_files_folder_unless_they_exist_as_given(tmp_path, monkeypatch):
    for place in ("data/pics", "here"):
        (tmp_path / place).mkdir(parents=True)
    for name in ("data/pics/a.png", "data/pics/b.JPG", "here/b.JPG"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "here/pics").symlink_to(".")  # so that pics/b.JPG is found from the working directory too
    monkeypatch.chdir(tmp_path / "here")
    names = ["pics/a.png", "pics/b.JPG", None, "pics/none.png", str(tmp_path / "data/pics/a.png")]
    frame = pl.DataFrame({"picture": names, "other": ["x.txt", "y", None, "z", "w"]})
    frame.write_parquet(tmp_path / "data/t.parquet")
    frame.write_csv(tmp_path / "data/t.csv")
    inside = str(tmp_path / "data/pics/a.png")
    for table in ("t.parquet", "t.csv"):
        got = read(tmp_path / "data" / table).frame
        assert got["picture"].to_list() == [inside, "pics/b.JPG", None, "pics/none.png", inside]
        assert got["other"].to_list() == frame["other"].to_list()
    assert read("../data/t.csv").frame["picture"][0] == "../data/pics/a.png"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json", "parquet", "arrow", "ipc"])
def test_formats_agree(tmp_path, kind, zipped):
    path = tmp_path / f"t.{kind}"
    write(path, kind)
    if zipped:
        packed = tmp_path / f"z.{kind}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    assert read(path).frame.equals(FRAME)
    assert read(str(path)).frame.equals(FRAME)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("t.parquet", b"nonsense", "no readable Parquet"),
        ("t.arrow", b"nonsense", "no readable Arrow"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "damaged gzip"),
        ("t.csv.gz", b"a,b\n1,2\n", "damaged gzip"),
        ("t.xlsx", b"PK", "no readable Excel workbook"),
        ("t.ods", b"PK", "save it as .xlsx or CSV"),
        ("t.zip", b"PK", "damaged zip"),
        ("t.foo", b"1", "unknown kind of file '.foo'; known are .csv"),
        ("t.jsonl", b'{"a": 1}\n{"a":\n', "line 2, character"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "line 2: expected an object"),
        ("t.jsonl", b'{"a": 1, "a": 2}\n', "'a' appears twice"),
        ("t.jsonl", b'{"a": [1]}\n{"a": "x"}\n', "row 1 holds 'x'"),
        ("t.jsonl", b"\n\n", "empty"),
        ("t.csv", b"a,*\n1,2\n", "the column name '*' is a pattern"),
        ("t.json", b"3", "expected an array of objects"),
        ("t.json", b"[]", "no rows"),
        ("t.json", b'{"a": [1, 2], "b": ["x"]}', "'a' has 2 rows, 'b' has 1"),
        ("t.json", b'[{"a": "\\ud800"}]', "surrogate"),
    ],
)
def test_refuses(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as error:
        read(tmp_path / name)
    assert told in str(error.value)


def test_json_kinds(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "b": "1", "c": {"d": 2}}\n\n{"a": 2.5, "b": 7, "e": [1, 2.5]}\n{"a": NaN, "b": "?"}\n')
    made = read(path)
    assert made.frame.to_dict(as_series=False) == {
        "a": [1.0, 2.5, None],
        "b": [1, 7, None],
        "c.d": [2, None, None],
        "e": [None, [1.0, 2.5], None],
    }
    assert len(made.notes) == 3  # the marker, the NaN, the record


def test_missing_file_names_a_neighbour(tmp_path):
    (tmp_path / "penguins.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"did you mean 'penguins\.csv'"):
        read(tmp_path / "pinguins.csv")
    with pytest.raises(DataError, match="there is no folder"):
        read(tmp_path / "nowhere" / "t.csv")
    with pytest.raises(DataError, match="no file matches"):
        read(str(tmp_path / "*.parquet"))


def test_several_files_are_typed_together(tmp_path):
    (tmp_path / "p1.csv").write_text("zip,x\n12,1\n")
    (tmp_path / "p2.csv").write_text("x,zip\n2.5,007\n")
    made = read(str(tmp_path / "p*.csv")).frame
    assert made.to_dict(as_series=False) == {"zip": ["12", "007"], "x": [1.0, 2.5]}
    assert read([tmp_path / "p1.csv", str(tmp_path / "p2.csv")]).frame.equals(made)
    (tmp_path / "p3.csv").write_text("zip\n12\n")
    with pytest.raises(DataError, match=r"p3\.csv lacks the column 'x'"):
        read(str(tmp_path / "p*.csv"))


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no matter")


def test_folder_of_images(tmp_path):
    for name in ("cat/1.png", "cat/deep/2.JPG", "dog/1.jpeg", "dog/notes.txt", ".hidden/3.png", "loose.png"):
        picture(tmp_path / name)
    (tmp_path / "empty").mkdir()
    made = read(tmp_path)
    assert made.frame["label"].to_list() == ["cat", "cat", "dog"]
    assert made.frame["image"].to_list() == [str(tmp_path / n) for n in ("cat/1.png", "cat/deep/2.JPG", "dog/1.jpeg")]
    assert len(made.notes) == 3  # the text file, the loose image, the empty class


def test_folder_with_parts(tmp_path, monkeypatch):
    for name in ("train/cat/1.png", "train/dog/1.png", "Test/cat/2.png", "valid/dog/3.png"):
        picture(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    parts = read_parts(".")
    assert {name: part.frame.height for name, part in parts.items()} == {"train": 2, "val": 1, "test": 1}
    assert parts["train"].frame["image"][0].startswith(str(tmp_path))
    with pytest.raises(DataError, match="name the folder of one"):
        read(tmp_path)
    assert read(tmp_path / "Test").frame.height == 1


def test_folder_without_images(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="no images"):
        read(tmp_path)
    picture(tmp_path / "x.png")
    assert read(tmp_path).frame.columns == ["image"]


def test_parquet_with_a_name_that_is_a_pattern_is_refused(tmp_path):
    pl.DataFrame({"*": [1], "a": [2]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="is a pattern"):
        read(tmp_path / "t.parquet")
