"""Tables whose rows are drawn field by field: what belongs together comes together, missing values too."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier import load
from ranvier.cli.main import USER_ERROR, main
from ranvier.core.errors import DataError, PlanError


def tied(rows: int = 3_000) -> pl.DataFrame:
    """y follows from x and kind, on one of two lines; whole is missing where kind is "other" and x large."""
    chance = np.random.default_rng(0)
    kind, x = chance.random(rows) < 0.5, chance.normal(size=rows)
    y = np.where(kind, x, -x) + 0.1 * chance.normal(size=rows)
    frame = pl.DataFrame({"kind": np.where(kind, "same", "other"), "x": x, "y": y, "whole": (10 * x).astype(int)})
    return frame.with_columns(pl.when((pl.col("kind") == "same") | (pl.col("x") < 0.5)).then("whole").alias("whole"))


def planned(frame: pl.DataFrame, **asked) -> rv.Plan:
    plan = rv.plan(frame, target="*", epochs=40, threads=1, **asked)
    plan.targets["row"].head.update(layer_width=64, embedding=16, depth=2, cells=32)
    plan.train.batch = 64
    return plan


@pytest.fixture(scope="module")
def drawer() -> rv.Model:
    plan = planned(tied())
    assert plan.targets["row"].head["name"] == "autoregressive"
    return rv.fit(plan, progress=False)


def test_what_belongs_together_comes_together(drawer):
    frame, drawn = tied(), drawer.sample(2_000, seed=1)
    assert drawn.schema == frame.schema
    same, other = drawn.filter(kind="same"), drawn.filter(kind="other")
    assert 0.4 < same.height / drawn.height < 0.6
    assert same.select(pl.corr("x", "y")).item() > 0.9
    assert other.select(pl.corr("x", "y")).item() < -0.9
    assert (drawn["whole"] - 10 * drawn["x"]).abs().mean() < 3
    gaps = other.filter(pl.col("x") > 0.8)["whole"].is_null().mean()
    assert gaps > 0.8
    assert same["whole"].is_null().mean() < 0.05
    nearest = ((drawn["x"].to_numpy()[:, None] - frame["x"].to_numpy()) ** 2).min(1)
    assert (nearest == 0).mean() < 0.02  # no copies


def test_the_model_file_draws_the_same_and_knows_what_is_strange(drawer, tmp_path):
    frame = tied()
    again = load(drawer.save(tmp_path / "rows.rv"))
    assert again.sample(100, seed=1).equals(drawer.sample(100, seed=1))
    assert again.sample(10, seed=1).equals(again.sample(100, seed=1).head(10))
    assert not again.sample(100, seed=2).equals(again.sample(100, seed=1))
    one = frame.filter(kind="same").head(1).select("kind", "x", "y", "whole")
    odd = [
        one,
        one.with_columns(kind=pl.lit("new")),
        one.with_columns(y=9.0),
        one.with_columns(y=9e9),
        one.with_columns(y=None),
    ]
    with pytest.warns(UserWarning, match="y: 1 value is missing, as none was in training"):
        strange = again.anomalies(pl.concat(odd, how="vertical_relaxed"), frame)["strangeness"].to_list()
    assert min(strange[1:]) > strange[0] + 3
    assert strange[3] > strange[2] + 10
    shuffled = frame.with_columns(pl.col("y").shuffle(seed=1))
    found, usual = (again.anomalies(rows, frame)["strangeness"].mean() for rows in (shuffled, frame))
    assert found > usual + 1
    assert again.evaluate(frame, show=False)["surprise"] == pytest.approx(usual, rel=0.1)
    with pytest.raises(PlanError, match="known: temperature"):
        again.sample(5, steps=4)


def test_rows_are_drawn_for_what_is_given():
    model = rv.fit(planned(tied(), inputs=["kind"], roles={"whole": "ignore"}), progress=False)
    drawn = model.sample(400, given={"kind": ["same", "other"]}, seed=1)
    signs = [drawn.filter(kind=kind).select(pl.corr("x", "y")).item() for kind in ("same", "other")]
    assert signs[0] > 0.9
    assert signs[1] < -0.9
    known = model.sample(100, given={"kind": "other", "x": 1.2}, seed=1)
    assert known.columns == ["kind", "x", "y"]
    assert known["x"].unique().to_list() == [1.2]
    assert known["y"].mean() == pytest.approx(-1.2, abs=0.3)


def test_any_columns_may_be_given_and_the_others_are_drawn_for_them(drawer):
    drawn = drawer.sample(300, given={"kind": ["same", "other"], "x": 1.2}, seed=1)
    assert drawn.columns == tied().columns
    assert drawn["kind"].to_list() == ["same"] * 300 + ["other"] * 300
    assert drawn["x"].unique().to_list() == [1.2]  # as it was given, not as its cell
    means = drawn.group_by("kind", maintain_order=True).agg("y")["y"].list.mean().to_list()
    assert means == pytest.approx([1.2, -1.2], abs=0.3)
    assert drawn.filter(kind="other")["whole"].is_null().mean() > 0.7
    again = drawer.sample(2, given={"y": -0.9}, seed=1)
    assert again.equals(drawer.sample(40, given={"y": -0.9}, seed=1).head(2))
    assert again["y"].to_list() == [-0.9, -0.9]


def test_what_is_missing_of_rows_is_drawn(drawer):
    gaps = tied(600).with_columns(pl.when(pl.int_range(600) % 2 == 0).then("y").alias("y"))
    full = drawer.sample(given=gaps, seed=3)
    there = gaps["y"].is_not_null()
    assert full["y"].filter(there).equals(gaps["y"].filter(there))
    assert full.drop("y", "whole").equals(gaps.drop("y", "whole"))
    assert full["y"].null_count() == 0
    assert pl.DataFrame({"a": full["y"], "b": tied(600)["y"]}).filter(~there).select(pl.corr("a", "b")).item() > 0.8
    assert drawer.sample(given=gaps.drop("y", "kind"), seed=3).columns == gaps.columns


def test_what_cannot_be_given_is_told(drawer):
    with pytest.raises(PlanError, match="given 'kid' is no column; did you mean 'kind'"):
        drawer.sample(given={"kid": "same"})
    with pytest.raises(DataError, match="given kind = 'sane' was not seen in training; did you mean 'same'"):
        drawer.sample(given={"kind": "sane"})
    rows = pl.DataFrame({"kind": ["same", "sane"], "x": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"given kind = 'sane' \(row 1\) was not .*; where it is missing it is drawn"):
        drawer.sample(given=rows)
    for wild in ("much", float("inf")):
        with pytest.raises(DataError, match=f"given x = {wild!r}: no number can be read from it"):
            drawer.sample(given={"x": wild})
    with pytest.raises(DataError, match=r"given whole = 1e\+30 does not fit the column, which is Int64"):
        drawer.sample(given={"whole": 1e30})
    with pytest.warns(UserWarning, match=r"whole: 1 value not as fine as given, .* Int64 \(such as 1.5, now 2\)"):
        assert drawer.sample(given={"whole": 1.5})["whole"].to_list() == [2]
    with pytest.warns(UserWarning, match="x: 1 value lies far outside those of training, -"):
        drawer.sample(given={"x": 1e9})
    with pytest.raises(DataError, match="none of the given columns is known; known: kind, x, y, whole"):
        drawer.sample(given=pl.DataFrame({"a": [1]}))
    plan = rv.plan(tied(300), target="*", epochs=1, threads=1)
    plan.targets["row"].head.update(name="vae", widths=[8])
    with pytest.raises(
        PlanError, match="nothing can be given; columns of rows may be given where head 'autoregressive'"
    ):
        rv.fit(plan, progress=False).sample(given={"kind": "same"})


def test_what_is_not_drawn_is_told():
    said = tied(300).with_columns(said=pl.format("what number {} says of it", pl.int_range(300) * 7))
    plan = rv.plan(said, target="*")
    assert plan.columns["said"].role == "ignore"
    assert plan.warnings == ["'said' is left out: rows are drawn of numbers and categories"]
    assert plan.data.together == ["kind", "x", "y", "whole"]
    assert not rv.plan(said, target="*", roles={"said": "ignore"}).warnings  # as was asked


def test_predicting_says_that_it_does_not_look_at_the_rows(drawer):
    with pytest.warns(UserWarning, match=r"draws of nothing, .*; sample\(given=rows\) draws what these lack"):
        assert drawer.predict(tied(50)).height == 50


def test_columns_are_given_on_the_command_line(drawer, tmp_path, capsys):
    path = drawer.save(tmp_path / "rows.rv")
    assert main(["sample", str(path), "-n", "3", "--given", "kind=other", "--given", "x=-1.5", "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)["drawn"]
    assert [(row["kind"], row["x"]) for row in drawn] == [("other", -1.5)] * 3
    assert main(["sample", str(path), "--given", "x=wide"]) == USER_ERROR
    assert "--given x=wide: no number can be read" in capsys.readouterr().err
    assert main(["sample", str(path), "--given", "z=1"]) == USER_ERROR
    assert "--given z: there is no such column" in capsys.readouterr().err
