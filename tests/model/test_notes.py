"""Rows are read at prediction as they were in training, and whatever is repaired in them is told."""

from __future__ import annotations

import warnings
from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from model.made import table

from ranvier.columns.set import Set
from ranvier.core.errors import DataError, MissingExtra, RanvierWarning
from ranvier.evaluate.score import score
from ranvier.model import model as module
from ranvier.model import network
from ranvier.model.fit import fit
from ranvier.model.model import load

QUICK = {"epochs": 1, "size": "s", "threads": 1, "progress": False}


# ---- reading


def test_codes_in_a_csv_are_read_as_in_training(tmp_path):
    random = np.random.default_rng(0)
    codes = random.integers(1, 4, 90).tolist()
    lines = [f"{'?' if i % 9 == 4 else f' {code}'},{i % 7}.5,{'pq'[code > 2]}" for i, code in enumerate(codes)]
    path = tmp_path / "codes.csv"
    path.write_text("\n".join(["code,x,y", *lines]) + "\n")
    model = fit(path, "y", types={"code": "category"}, **QUICK)
    assert model.columns["code"].raw == "Int64"
    again = load(model.save(tmp_path / "m.rv"))
    assert {n: c.raw for n, c in again.columns.items()} == {"code": "Int64", "x": "Float64", "y": "String"}
    frame = pl.DataFrame(
        {
            "code": [None if i % 9 == 4 else int(code) for i, code in enumerate(codes)],
            "x": [i % 7 + 0.5 for i in range(90)],
            "y": ["pq"[code > 2] for code in codes],
        }
    )
    for one in (model, again):
        report = one.judge(path)
        assert not any("not seen" in note for note in report.notes)
        assert report.metrics == model.judge(frame).metrics


def test_decimal_commas_are_those_of_training_also_of_a_single_number(tmp_path):
    random = np.random.default_rng(0)
    lines = [f"{x:.2f};{'ab'[int(x > 2)]}".replace(".", ",") for x in random.uniform(0, 4, 90)]
    path, few = tmp_path / "all.csv", tmp_path / "few.csv"
    path.write_text("\n".join(["x;y", *lines]) + "\n")
    few.write_text("x;y\n1,234;a\n")  # alone, thousands
    model = fit(path, "y", val=few, **QUICK)
    assert model.columns["x"].raw == "Float64"
    assert "decimal commas read as decimal points" in " ".join(model.notes)
    wanted = model.predict(pl.DataFrame({"x": [1.234]}))
    for one in (model, load(model.save(tmp_path / "m.rv"))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert one.predict(few).equals(wanted)


def test_text_that_looks_like_numbers_stays_text(tmp_path):
    frame = pl.DataFrame({"zip": ["007", "12", "n/a"] * 20, "y": ["a", "b", "c"] * 20})
    model = fit(frame, "y", **QUICK)
    path = tmp_path / "few.csv"
    path.write_text("zip\n12\n")  # alone, a number
    assert model.predict(path).equals(model.predict(frame[1:2]))


def test_polars_frames_are_tidied_at_prediction_too():
    random = np.random.default_rng(0)
    seconds = random.integers(0, 100, 60).tolist()
    frame = pl.DataFrame(
        {
            "taken": [timedelta(seconds=int(s)) for s in seconds],
            "where": [{"x": float(s), "kind": "ab"[s % 2]} for s in seconds],
            "y": ["pq"[s > 50] for s in seconds],
        }
    )
    model = fit(frame, "y", epochs=20, size="s", threads=1, progress=False)
    assert set(model.plan.inputs) == {"taken", "where.x", "where.kind"}
    with pytest.warns(RanvierWarning, match="durations are taken as seconds"):
        out = model.predict(frame)
    plain = frame.unnest("where").rename({"x": "where.x", "kind": "where.kind"})
    plain = plain.with_columns(taken=pl.Series(seconds, dtype=pl.Float64))
    assert out.equals(model.predict(plain))
    assert out["y_p_p"].n_unique() > 10  # not all missing


def test_pandas_rows_keep_their_index(small, monkeypatch):
    frame = table(20).to_pandas()
    for index in (pd.RangeIndex(100, 120), pd.Index([f"r{i}" for i in range(20)], name="row")):
        assert small.predict(frame.set_axis(index)).index.equals(index)

    def missing(*_):
        raise ModuleNotFoundError

    monkeypatch.setattr(pl.DataFrame, "to_pandas", missing)
    with pytest.raises(MissingExtra, match=r"ranvier\[pandas\]"):
        small.predict(frame)


# ---- telling


def test_a_prediction_warns_once_and_names_the_caller(small):
    strange = table(20).with_columns(c=pl.lit("never"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small.predict(strange)
        small.embed(strange)
        small.predict(table(20))
    assert [w.category for w in caught] == [RanvierWarning] * 2
    assert {w.filename for w in caught} == {__file__}
    assert "c: 20 values not seen in training: 'never' (row 0)" in str(caught[0].message)


def test_notes_of_later_rows_say_where_they_start(small, monkeypatch, tmp_path):
    monkeypatch.setattr(network, "CHUNK", 8)
    strange = table(20).with_columns(c=pl.when(pl.col("t") == 10).then(pl.lit("never")).otherwise("c"))
    with pytest.warns(RanvierWarning, match=r"^rows from 8, counted from there: c: .*'never' \(row 2\)$"):
        small.predict(strange, to=tmp_path / "out.csv")


def test_a_report_holds_the_notes_and_prints_them(small, capsys):
    strange = table(20).with_columns(c=pl.lit("never"), y=pl.when(pl.col("t") == 3).then(pl.lit("?")).otherwise("y"))
    report = small.judge(strange)
    assert len(report.notes) == 2
    assert report.to_dict()["notes"] == report.notes
    with pytest.warns(RanvierWarning, match="c: 20 values not seen in training"):
        small.evaluate(strange, show=False)
    assert capsys.readouterr().out == ""
    small.evaluate(strange)  # which tells all once
    told = capsys.readouterr().out
    assert "note: c: 20 values not seen in training" in told
    assert "note: y: 1 value not seen in training" in told
    assert small.judge(table(20)).notes == []


def test_a_weight_column_that_is_not_there_is_noted():
    roles = {"w": "weight", "t": "ignore"}
    model = fit(table(), "y", roles=roles, val=table(40).drop("w"), **QUICK)
    assert sum("weight column 'w'" in note for note in model.notes) == 1
    report = model.judge(table(40).drop("w"))
    assert report.notes == ["the weight column 'w' is not in these 40 rows, so each of them counts as 1"]
    assert model.judge(table(40)).notes == []


# ---- test rows


def test_test_rows_are_scored_at_the_end_and_kept(tmp_path, capsys):
    test = table(50).with_columns(c=pl.lit("never"))
    model = fit(table(), "y", inputs=["a", "b", "c"], test=test, **{**QUICK, "progress": True})
    assert "test rows: accuracy" in capsys.readouterr().err
    judged = model.judge(test)
    assert model.test_report.notes == judged.notes
    # products of rows that are computed again may be rounded otherwise, by where they lie in memory
    assert model.test_report.targets["y"].metrics == pytest.approx(judged.targets["y"].metrics)
    assert model.test_report.on == "test"
    assert any("never" in note for note in model.test_report.notes)
    again = load(model.save(tmp_path / "m.rv"))
    assert again.test_report == model.test_report
    assert fit(table(), "y", **QUICK).test_report is None


def test_what_was_found_is_told_at_the_end(capsys):
    rows = table(9).drop("y")
    quiet = fit(table(), "y", inputs=["a", "b"], test=rows, **QUICK)
    assert not capsys.readouterr().err
    fit(table(), "y", inputs=["a", "b"], test=rows, **{**QUICK, "progress": True})
    told = capsys.readouterr().err.splitlines()
    assert [told.count(f"note: {note}") for note in quiet.notes] == [1] * len(quiet.notes)
    assert quiet.notes


def test_test_rows_that_cannot_be_scored_cost_no_model(capsys):
    model = fit(table(), "y", inputs=["a", "b"], test=table(9).drop("y"), **QUICK)
    assert model.test_report is None
    assert any("test rows are not scored: column 'y', which is needed" in note for note in model.notes)
    assert model.predict(table(3)).height == 3


# ---- sets


def test_figures_of_sets_know_the_threshold_and_the_unseen_labels():
    random = np.random.default_rng(0)
    x = random.normal(size=80)
    frame = pl.DataFrame({"x": x, "s": [["a"] * int(v > -1) + ["b"] * int(v > 1) for v in x]})
    plain = {"inputs": ["x"], "split": "none", **QUICK}
    model = fit(frame, "s", **plain)
    plan = model.plan
    plan.columns["s"].options["threshold"] = 0.2
    low = fit(plan, progress=False)
    rows = frame.with_columns(s=pl.concat_list(pl.col("s"), pl.lit("new")))
    probs = np.column_stack([low.predict(frame)[f"s_p_{label}"] for label in "ab"])
    truth = np.column_stack([x > -1, x > 1]).astype(np.uint8)
    expected = score("set", {"probs": probs}, truth, labels=["a", "b"], unseen=np.ones(80), threshold=0.2)
    report = low.judge(rows)
    assert report.metrics == pytest.approx(expected.metrics)
    assert report.targets["s"].unseen == 80
    assert report.metrics["subset_accuracy"] == 0
    assert report.metrics["recall_micro"] < low.judge(frame).metrics["recall_micro"]
    assert isinstance(low.columns["s"], Set)


# ---- writing


@pytest.mark.parametrize(("label", "joined"), [("a|b", "a|b;c"), ("a|b;", "a|b;,c"), ("a|;,b", '["a|;,b", "c"]')])
def test_labels_that_hold_the_separator_come_apart_again(tmp_path, label, joined):
    frame = pl.DataFrame({"x": [float(i) for i in range(40)], "s": [[label, "c"]] * 40})
    model = fit(frame, "s", inputs=["x"], epochs=20, size="s", split="none", rate=0.05, threads=1, progress=False)
    lines = pl.read_csv(model.predict(frame, to=tmp_path / "out.csv"))
    assert lines["s"][0] == joined


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_writing_holds_one_chunk_at_a_time(small, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(network, "CHUNK", 10)
    alive, most = [], []
    decode = module.Model._decode

    class Held(pl.DataFrame):
        def __del__(self):
            alive.remove(1)

    def counted(self, answers):
        made = Held(decode(self, answers))
        alive.append(1)
        most.append(len(alive))
        return made

    monkeypatch.setattr(module.Model, "_decode", counted)
    path = small.predict(table(100), to=tmp_path / f"out.{suffix}")
    assert len(most) == 10
    assert max(most) <= 2  # the one being made, and the one just written
    read = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet, "arrow": pl.read_ipc}[suffix]
    monkeypatch.undo()
    assert read(path)["y"].to_list() == small.predict(table(100))["y"].to_list()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_a_path_that_cannot_be_written_is_named(small, tmp_path, suffix):
    (tmp_path / f"out.{suffix}").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*out\."):
        small.predict(table(5), to=tmp_path / f"out.{suffix}")
    assert len(list(tmp_path.iterdir())) == 1
