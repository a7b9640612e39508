"""A model used: what predictions look like, and that they depend on the row alone."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from model.made import TARGETS, mixed, table

from ranvier.core.errors import DataError, PlanError, RanvierWarning
from ranvier.model import network
from ranvier.model.fit import fit
from ranvier.model.judge import Judge
from ranvier.model.model import load

NAMES = ["kind", "kind_confidence", "kind_p_no", "kind_p_yes", "amount", "labels", "labels_p_w", "labels_p_x"]


def assert_close(one: pl.DataFrame, other: pl.DataFrame, tolerance: float = 1e-4) -> None:
    assert one.schema == other.schema
    for name, dtype in one.schema.items():
        if dtype.is_float():
            scale = max(1.0, float(one[name].abs().max()))
            np.testing.assert_allclose(one[name], other[name], atol=tolerance * scale, err_msg=name)


def test_every_type_of_column_learns_together(everything):
    types = {name: column.type for name, column in everything.plan.columns.items()}
    assert sorted(types[n] for n in everything.plan.inputs) == sorted(
        ["number", "category", "date", "text", "image", "set", "vector"]
    )
    assert np.isfinite([x for record in everything.history for x in record.values()]).all()
    assert any("'kind' is missing in" in note for note in everything.notes)


def test_predictions_have_the_columns_names_and_types(everything, rows):
    out = everything.predict(rows)
    assert out.columns == [*NAMES, "labels_p_z"]
    assert out.height == rows.height
    assert out.schema["kind"] == pl.String
    assert out.schema["labels"] == pl.List(pl.String)
    assert all(out.schema[n].is_float() for n in out.columns if "_p_" in n or n in ("amount", "kind_confidence"))
    assert set(out["kind"]) <= {"no", "yes"}
    np.testing.assert_allclose(out["kind_p_no"] + out["kind_p_yes"], 1, atol=1e-5)
    best = np.maximum(out["kind_p_no"].to_numpy(), out["kind_p_yes"].to_numpy())
    np.testing.assert_allclose(out["kind_confidence"], best, atol=1e-6)
    assert not out["amount"].is_nan().any()
    assert sum(out.null_count().row(0)) == 0


def test_pandas_in_pandas_out(small):
    frame = table(20).to_pandas()
    out = small.predict(frame)
    assert isinstance(out, pd.DataFrame)
    assert_close(pl.from_pandas(out), small.predict(table(20)))


def test_neither_batch_size_nor_order_nor_neighbours_matter(everything, rows):
    whole = everything.predict(rows)
    assert_close(whole, everything.predict(rows, batch=1))
    assert_close(whole, everything.predict(rows, batch=7))
    order = np.random.default_rng(0).permutation(rows.height)
    assert_close(whole[order], everything.predict(rows[order]))
    assert_close(whole[3:4], everything.predict(rows[3:4]))
    assert everything.predict(rows).equals(whole)


def test_targets_and_other_columns_need_not_be_there(everything, rows):
    bare = rows.drop(TARGETS).with_columns(pl.lit(1).alias("another"))
    assert everything.predict(bare).equals(everything.predict(rows))
    with pytest.raises(DataError, match="column 'size' is not in the data"):
        everything.predict(rows.select(TARGETS))
    with pytest.raises(DataError, match="no rows"):
        everything.predict(rows[:0])


def test_inputs_that_are_not_there_are_missing_where_they_are_of_several_kinds(everything, rows, small):
    for name in everything.plan.inputs:
        with pytest.warns(RanvierWarning, match=f"{name}: no such column, taken as missing in all rows; known: "):
            absent = everything.predict(rows.drop(name))
        with pytest.warns(RanvierWarning, match=f"{name}: no value in any of 30 rows, taken as missing"):
            assert absent.equals(everything.predict(rows.with_columns(pl.lit(None).alias(name))))
    with pytest.warns(RanvierWarning, match="picture: no such column"):
        everything.embed(rows.drop("picture"))
    with pytest.warns(RanvierWarning, match="picture: no such column"):
        everything.evaluate(rows.drop("picture"), show=False)
    with pytest.raises(DataError, match="column 'a' is not in the data"):  # all its inputs stand in one table
        small.predict(table().drop("a"))
    how = {"inputs": ["a", "b", "c"], "size": "s", "epochs": 1, "threads": 1, "progress": False}
    with pytest.warns(RanvierWarning, match="c: no such column"):
        fit(table(), "y", without=0.2, **how).predict(table().drop("c"))
    with pytest.raises(PlanError, match="without"):
        fit(table(), "y", without=1.0, **how)


def test_missing_unseen_and_strange_values(everything, rows):
    nothing = rows.with_columns(pl.lit(None).alias(name) for name in everything.plan.inputs)
    with pytest.warns(RanvierWarning, match="size: no value in any of 30 rows"):
        assert everything.predict(nothing)["amount"].is_finite().all()
    assert everything.predict(nothing[:1])["amount"].is_finite().all()  # of a single row that is no news
    strange = rows.with_columns(
        size=pl.lit(1e30), colour=pl.lit("never seen"), when=pl.lit("soon"), said=pl.lit("\x00"), tags=pl.lit(["new"])
    )
    with pytest.warns(RanvierWarning, match="'never seen'"):
        out = everything.predict(strange)
    assert out["amount"].is_finite().all()
    assert out["kind_p_no"].is_finite().all()


def test_evaluate(everything, rows, capsys):
    figures = everything.evaluate(rows)
    assert "kind" in capsys.readouterr().out
    assert {"kind.accuracy", "kind.roc_auc", "amount.rmse", "amount.r2", "labels.f1_micro"} <= set(figures)
    everything.evaluate(rows, show=False)
    assert capsys.readouterr().out == ""
    out = everything.predict(rows)
    seen = rows["kind"].is_not_null()
    assert figures["kind.accuracy"] == pytest.approx((out["kind"] == rows["kind"]).filter(seen).mean())
    seen = rows["amount"].is_not_null()
    error = (out["amount"] - rows["amount"]).filter(seen)
    assert figures["amount.mae"] == pytest.approx(error.abs().mean(), rel=1e-4)
    with pytest.raises(DataError, match="column 'kind', which is needed to evaluate, is not in the data"):
        everything.evaluate(rows.drop("kind"))
    with pytest.warns(RanvierWarning, match="kind: .* not seen in training: 'perhaps'"):
        unseen = everything.evaluate(rows.with_columns(kind=pl.lit("perhaps")), show=False)
    assert unseen["kind.accuracy"] == 0


def test_one_target_has_figures_without_its_name(small):
    assert {"accuracy", "log_loss", "balanced_accuracy"} <= set(small.evaluate(table(), show=False))


def test_embed(everything, rows):
    vectors = everything.embed(rows)
    assert vectors.shape == (rows.height, everything.task.fuse.width)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, everything.embed(rows, batch=4), atol=1e-4)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet", "arrow"])
def test_predictions_to_a_file(everything, rows, tmp_path, suffix):
    path = everything.predict(rows, to=tmp_path / f"out.{suffix}")
    read = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet, "arrow": pl.read_ipc}
    again = pl.read_csv(path, separator="\t") if suffix == "tsv" else read[suffix](path)
    out = everything.predict(rows)
    assert again.columns == out.columns
    assert again["kind"].to_list() == out["kind"].to_list()
    np.testing.assert_allclose(again["amount"], out["amount"])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_predictions_to_a_file_that_cannot_be(small, tmp_path):
    with pytest.raises(DataError, match=r"unknown suffix '\.xls'"):
        small.predict(table(), to=tmp_path / "out.xls")
    with pytest.raises(DataError, match="no folder"):
        small.predict(table(), to=tmp_path / "no" / "out.csv")
    broken = tmp_path / "out.csv"
    with pytest.raises(DataError):
        small.predict(table().drop("a"), to=broken)
    assert not list(tmp_path.iterdir())  # nothing half written


def timeless(history):
    """As files have it: how long each took would make them others each time."""
    assert all("seconds" in record for record in history)
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def test_save_load_pickle_give_the_same_model(everything, rows, tmp_path):
    before = everything.predict(rows)
    path = everything.save(tmp_path / "m.rv")
    for model in (load(path), pickle.loads(pickle.dumps(everything))):
        assert model.predict(rows).equals(before)
        assert model.plan.to_toml() == everything.plan.to_toml()
        assert model.history == timeless(everything.history)
        assert model.notes == everything.notes
        assert model.report == everything.report
        assert repr(model) == repr(everything)
    assert [p.name for p in tmp_path.iterdir()] == ["m.rv"]


def test_frames_of_other_types_mean_the_same(small):
    frame = table(12)
    before = small.predict(frame)
    for other in (
        frame.with_columns(pl.col("c").cast(pl.Categorical)),
        frame.with_columns(pl.col("a", "b").cast(pl.Float32)),
        frame.to_dict(as_series=False),
        frame.to_dicts(),
        frame.select("c", "b", "a"),
    ):
        assert_close(before, small.predict(other))


def test_numbers_booleans_and_codes_come_back_as_they_were():
    frame = table(60).with_columns(yes=pl.col("a") > 0, code=(pl.col("a") > 0).cast(pl.Int64) + 3)
    out = fit(frame, ["yes", "code"], inputs=["a", "b"], epochs=1, progress=False).predict(frame)
    assert out.schema["yes"] == pl.Boolean
    assert out.schema["code"] == pl.Int64
    assert set(out["code"]) <= {3, 4}
    assert "code_p_3" in out.columns
    assert mixed(5).height == 5


# ---- rows judged a chunk at a time

STREAMED = {"inputs": ["a", "b", "c"], "roles": {"w": "weight"}, "epochs": 2, "threads": 1, "progress": False}


def many(rows: int = 90) -> pl.DataFrame:
    """Three targets with gaps, weights, and what training has not seen."""
    frame = table(rows)
    gap = pl.col("t") % 7 == 3
    return frame.with_columns(
        y=pl.when(gap).then(None).when(pl.col("t") == 50).then(pl.lit("?")).otherwise("y"),
        z=pl.when(pl.col("t") % 5 == 2).then(None).otherwise("z"),
        labels=pl.when(pl.col("t") == 60).then(["?"]).when(pl.col("a") > 0).then(["x", "w"]).otherwise(["w"]),
        w=pl.when(pl.col("t") < 9).then(0.0).otherwise("w"),  # the whole first chunk
    )


@pytest.mark.parametrize("more", [{}, {"folds": 2}])
def test_chunks_are_judged_as_all_rows_together(monkeypatch, more):
    rows, targets, how = many(), ["y", "z", "labels"], {**STREAMED, **more}
    known = rows.filter(~pl.col("t").is_in([50, 60]))
    model = fit(known, targets, **how)
    model.temperatures = {"y": 1.7}
    whole, sizes = model.judge(rows), handed_on(monkeypatch, 9)
    pieces = model.judge(rows)
    assert sizes == [9] * 10
    for name, target in whole.targets.items():
        piece = pieces.targets[name]
        assert piece.metrics == pytest.approx(target.metrics, rel=1e-5)
        assert (piece.rows, piece.missing, piece.unseen) == (target.rows, target.missing, target.unseen)
        np.testing.assert_allclose(piece.confusion, target.confusion, rtol=1e-6)
    assert whole.targets["y"].unseen == whole.targets["labels"].unseen == 1
    assert any("y: 1 value not seen in training: '?' (row 50)" in note for note in whole.notes)
    assert any(note.startswith("rows from 45, counted from there: y: 1 value") for note in pieces.notes)
    assert fit(known, targets, **how).report.metrics == pytest.approx(model.report.metrics, rel=1e-5)
    assert max(sizes) == 9


def handed_on(monkeypatch, size: int) -> list[int]:
    """Makes chunks of that size; a list that will hold how many rows are judged at a time."""
    sizes: list[int] = []
    add = Judge.add

    def counted(self, frame, answers, truths):
        sizes.append(max(frame.height, *(len(a) for named in answers.values() for a in named.values())))
        add(self, frame, answers, truths)

    monkeypatch.setattr(network, "CHUNK", size)
    monkeypatch.setattr(Judge, "add", counted)
    return sizes


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("more", [{}, {"folds": 2}])
def test_a_network_that_says_no_numbers_has_no_figures(bad, more):
    rows = many().with_columns(money=(3 * pl.col("a")).exp())  # its logarithm is learnt
    model = fit(rows, ["y", "z", "money", "labels"], **{**STREAMED, **more, "epochs": 1})
    assert model.columns["money"].log_unit > 0
    for head in model.networks[-1].task.heads:
        for parameter in head.parameters():
            parameter.data.fill_(bad)
    report = model.judge(rows)
    assert np.isnan([*report.metrics.values()]).all()
    assert all("predictions of" in target.notes["all"] for target in report.targets.values())
