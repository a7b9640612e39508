"""Files of predictions that are read back as what they were."""

from __future__ import annotations

import json

import polars as pl
import pytest

from ranvier.columns.boxes import Boxes
from ranvier.columns.recognise import recognise
from ranvier.data.read import read
from ranvier.model.write import writer

THING = {"x": 1.5, "y": 2.0, "w": 3.0, "h": 4.0, "label": 'a "big", red|cat', "score": 0.5}
ROWS = pl.DataFrame({"b": [[THING], [], None, [THING, {**THING, "x": 0.0, "label": "漢"}]], "tags": [["a", "b"]] * 4})


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_boxes_come_back_from_every_kind_of_file(suffix, tmp_path):
    path = writer(tmp_path / f"out.{suffix}", {})([ROWS[:2], ROWS[2:]])
    back = read(path).frame["b"]
    if suffix in ("csv", "tsv"):
        assert json.loads(back[0]) == [THING]
        assert back.null_count() == 1
        assert read(path).frame["tags"].to_list() == ["a|b"] * 4
    assert recognise(back, target=True)[0] == "boxes"
    found, whole = Boxes("b"), Boxes("b")
    found.learn([back])
    whole.learn([ROWS["b"]])
    assert found.state() == whole.state()
    one, other = found.encode(back), whole.encode(ROWS["b"])
    assert one.data.tolist() == other.data.tolist()
    assert one.offsets.tolist() == other.offsets.tolist()
    assert one.observed.tolist() == other.observed.tolist() == [True, True, False, True]
