"""Tables piece by piece are those that are read at once, to the last value and note, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import DataError
from ranvier.data import infer, pieces, typed
from ranvier.data.pieces import in_chunks
from ranvier.data.read import read, read_pieces

KINDS = {
    "whole": ["1", "-2", "30", "", "4"],
    "large": ["9223372036854775807", "12345678901234567890", "1"],
    "decimal": ["1.5", "-2e3", "7", "", "0.25"],
    "spaced": [" 1", "2 ", " 3.5 "],
    "marked": ["1", "NA", "n/a", "2", "-", "nan"],
    "code": ["007", "12", "00501"],
    "comma": ["1,5", "2", "0,25"],
    "thousands": ["1,234", "2", "12,345"],
    "word": ["red", "green", "", "blue"],
    "number-like": ["1", "2", "three"],
    "truth": ["true", "False", "", "TRUE"],
    "yes": ["yes", "No", "y", "n", "on"],
    "two": ["yes", "no"],
    "marker": ["none", "?", "NA"],
    "nothing": [""],
    "day": ["2024-01-02", "2023-12-31"],
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch):
    """Few bytes and rows at a time, and few first values."""
    monkeypatch.setattr(pieces, "TEXT", 64)
    monkeypatch.setattr(pieces, "MOST", 3)
    monkeypatch.setattr(pieces, "LEAST", 1)
    for module in (infer, typed):
        monkeypatch.setattr(module, "HEAD", 6)


def alike(source: object, **how: object) -> pieces.Pieces:
    """Checks that both ways of reading give the same; gives the pieces."""
    found, whole = read_pieces(source, **how), read(source, **how)  # type: ignore[arg-type]
    assert found is not None
    for _ in range(2):  # as often as asked for
        frames = list(found.frames())
        assert len(frames) > 1
        assert pl.concat(frames).equals(whole.frame)
        assert {frame.schema == whole.frame.schema for frame in (*frames, found.head)} == {True}
    assert found.notes == whole.notes
    assert (found.rows, found.head.height) == (whole.frame.height, 0)
    assert found.nulls == {column.name: column.null_count() for column in whole.frame}
    return found


def _written(path: Path, columns: dict[str, list[str]]) -> Path:
    pl.DataFrame(columns).write_csv(path, quote_style="necessary")
    return path


@pytest.mark.parametrize("first", KINDS)
def test_whatever_a_column_holds_first_and_later(tmp_path: Path, first: str):
    random = np.random.default_rng(len(first))
    for later in KINDS:
        values = [*random.choice(KINDS[first], 14), *random.choice(KINDS[later], 8)]
        again = [*values[:20], *random.choice(KINDS[first], 2)]
        alike(_written(tmp_path / f"{later}.csv", {"id": list("abcdefghijklmnopqrstuv"), "x": values, "y": again}))


def test_columns_to_leave_as_text(tmp_path: Path):
    path = _written(tmp_path / "t.csv", {"id": list("abcdefgh") * 3, "x": ["1", "2"] * 12, "y": ["yes", "n"] * 12})
    found = alike(path, as_text=["x", "y"])
    assert found.head.schema["x"] == found.head.schema["y"] == pl.String


def test_truths_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = _written(tmp_path / "t.csv", {"id": list("abcdefgh") * 3, "x": ["true", "FALSE"] * 12, "n": ["1", "2"] * 12})
    expected = read(path).frame
    monkeypatch.setattr(typed, "infer_column", None)  # which all values would be given to
    found = read_pieces(path)
    assert found is not None
    assert pl.concat(list(found.frames())).equals(expected)
    assert expected.schema["x"] == pl.Boolean


@pytest.mark.parametrize(
    "text",
    [
        "item,n\n" + "a,1\n" * 30 + "Total,30\n",
        "item,n\n" + "a,1\n" * 30 + "total,2\nTotal,30\n" + "Total,31\n",  # one of several is none
        "item,n\n" + "a,1\n" * 150 + "a\n" + "b,2\n" * 50,  # too few fields
        "item,n\n" + "a,1\n" * 20 + "item,n\n" + "b,2\n" * 20,
        'item,n\n"a\nb",1\n' + 'c,"2"\n' * 20 + '"",""\n',
        "item;n;\n" + "a;1;\n" * 30,
        "A title\n\nitem\tn\n" + "a\t1\n" * 30,
        "\ufeffitem,n\n" + "a,1\n" * 30,
        "item,item,\n" + "a,1,2\n" * 30,
        "x\n" + "1\n\n" * 30,
    ],
)
def test_what_is_repaired_is_told_once(tmp_path: Path, text: str):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    alike(path)


def test_a_totals_row_is_not_among_the_nulls(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("item,n,m\n" + "a,,1\n" * 30 + "Total,30,\n")
    assert alike(path).nulls == {"item": 0, "n": 30, "m": 0}


def test_several_files_have_their_types_together(tmp_path: Path):
    one = _written(tmp_path / "1.csv", {"a": ["1"] * 20, "b": ["x"] * 20, "c": ["true"] * 20})
    two = tmp_path / "2.csv"
    pl.DataFrame({"b": ["2"] * 20, "c": ["No"] * 20, "a": ["1.5"] * 20}).write_csv(two)
    alike([one, two])
    alike(str(tmp_path / "*.csv"))


def test_errors_are_those_of_reading_and_come_at_once(tmp_path: Path):
    for name, text in {
        "short.csv": "a,b\n" + "1,2\n" * 20 + "1\n" * 5,
        "bare.csv": "a,b\n",
        "open.csv": "a,b\n" + "1,2\n" * 20 + '"3,4\n',
        "empty.csv": "",
    }.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(DataError) as whole:
            read(path)
        with pytest.raises(DataError) as pieced:
            read_pieces(path)
        assert str(pieced.value) == str(whole.value)


def test_parquet_by_slices(tmp_path: Path):
    n = 11
    pl.DataFrame(
        {
            "f": [1.0, float("nan"), None, *range(n - 3)],
            "i": range(n),
            "s": [None, *map(str, range(n - 1))],
            "c": pl.Series([*"ababababab", None], dtype=pl.Categorical),
            "d": pl.Series(range(n)).cast(pl.Date),
            "long": pl.Series(range(n)).cast(pl.Duration("ms")),
            "exact": pl.Series(range(n)).cast(pl.Decimal(10, 2)),
            "null": [None] * n,
            "l": [[1, 2]] * n,
        }
    ).write_parquet(tmp_path / "t.parquet", row_group_size=4)
    assert alike(tmp_path / "t.parquet").nulls["f"] == 2
    pl.DataFrame({"i": range(n)}).write_parquet(tmp_path / "whole.parquet")
    alike(tmp_path / "whole.parquet")


def test_what_only_a_whole_table_tells_is_read_whole(tmp_path: Path):
    pl.DataFrame({"a": [{"b": 1}]}).write_parquet(tmp_path / "records.parquet")
    pl.DataFrame({"a": [None, "x.png"]}).write_parquet(tmp_path / "names.parquet")
    pl.DataFrame({"a": []}).write_parquet(tmp_path / "bare.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    for name in ("records.parquet", "names.parquet", "bare.parquet", "damaged.parquet", "t.jsonl"):
        assert read_pieces(tmp_path / name) is None
    assert read_pieces({"a": [1]}) is None
    assert read_pieces(tmp_path) is None


def test_wherever_frames_are_cut_chunks_are_the_same():
    frame = pl.DataFrame({"a": range(23)})
    for cuts in ([23], [1] * 23, [4, 4, 15], [0, 10, 0, 13]):
        places = np.cumsum([0, *cuts])
        parts = [frame[start:stop] for start, stop in pairwise(places)]
        made = list(in_chunks(iter(parts), 5))
        assert [start for start, _ in made] == [0, 5, 10, 15, 20]
        assert [rows.height for _, rows in made] == [5, 5, 5, 5, 3]
        assert pl.concat([rows for _, rows in made]).equals(frame)
    assert list(in_chunks(iter([]), 5)) == []


GROWTH = """
import resource, sys
from ranvier.data import pieces
from ranvier.data.read import read_pieces
pieces.TEXT = 1 << 18
def peak(path):
    rows = sum(frame.height for frame in read_pieces(path).frames())
    return rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(*peak(sys.argv[1]), *peak(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are in other units")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path):
    line = "0.25,12,some words,true,2024-01-02\n"
    for name, rows in (("short", 30_000), ("long", 450_000)):
        (tmp_path / name).with_suffix(".csv").write_text("a,b,c,d,e\n" + line * rows)
    files = [str(tmp_path / "short.csv"), str(tmp_path / "long.csv")]
    how = os.environ | {"POLARS_MAX_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", GROWTH, *files], capture_output=True, text=True, check=True, env=how)
    few, low, many, high = map(float, told.stdout.split())
    assert (few, many) == (30_000, 450_000)
    assert high - low < 12  # MB; the file has 15, and a frame of all rows 30
