"""Predictions from file to file, piece by piece: the same answers and notes as of the whole file in memory."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier.core.errors import DataError, RanvierWarning
from ranvier.data import pieces
from ranvier.model import network

c = pl.col


def rows(count: int = 60) -> pl.DataFrame:
    """Columns of which each is read in a way of its own, as they stand in a CSV."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, count)
    return pl.DataFrame(
        {
            "size": [f"{k * 2 + x:.3f}" for k, x in zip(y, random.normal(size=count), strict=True)],
            "price": [f"{k * 30 + n} kg" for k, n in zip(y, random.integers(10, 50, count), strict=True)],
            "on": np.where(random.random(count) < 0.2 + 0.6 * y, "true", "False"),
            "day": [str(date(2024, 1, 1) + timedelta(days=int(k * 100 + random.integers(60)))) for k in y],
            "zip": np.where(random.random(count) < 0.2 + 0.6 * y, "00501", "90210"),
            "id": [f"row {i}" for i in range(count)],
            "kind": np.where(y > 0, "no", "yes"),
            "amount": [f"{k * 10 + x:.2f}" for k, x in zip(y, random.normal(size=count), strict=True)],
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> rv.Model:
    path = tmp_path_factory.mktemp("data") / "train.csv"
    rows().write_csv(path)
    how: dict[str, Any] = {"roles": {"id": "ignore"}, "epochs": 2, "size": "s", "threads": 1, "progress": False}
    return rv.fit(path, ["kind", "amount"], split="random", types={"price": "number"}, **how)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "TEXT", 512)
    monkeypatch.setattr(pieces, "MOST", 11)
    monkeypatch.setattr(pieces, "LEAST", 1)
    monkeypatch.setattr(network, "CHUNK", 16)


def told(call: Any) -> tuple[Any, list[str]]:
    """What the call gives, and the lines of its one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = call()
    assert [w.category for w in caught] in ([], [RanvierWarning])
    return made, [line for w in caught for line in str(w.message).splitlines()]


def same(model: rv.Model, path: Path, **how: Any) -> list[str]:
    """Checks that from file to file the same is said as of a file in memory; gives what is told."""
    whole, notes = told(lambda: model.predict(path, **how))
    written, others = told(lambda: model.predict(path, to=path.with_name("answers.parquet"), **how))
    assert pl.read_parquet(written).equals(whole)
    assert others == notes
    return notes


NEW: dict[str, tuple[list[pl.Expr], list[str]]] = {
    "as in training": ([], []),
    "days in another format": ([c("day").str.to_date().dt.strftime("%d.%m.%Y")], ["times that are not written"]),
    "one day in another format": (
        [pl.when(c("id") == "row 50").then(pl.lit("31.12.2024")).otherwise("day").alias("day")],
        ["times that are not written"],
    ),
    "commas in numbers": ([c("price").str.replace(" kg", ",5 kg")], ["60 values with a comma"]),
    "one comma": (
        [pl.when(c("id") == "row 58").then(pl.lit("12,5")).otherwise("price").alias("price")],
        ["1 value with a comma"],
    ),
    "a late word among numbers": (
        [pl.when(c("id") == "row 55").then(pl.lit("unknown?")).otherwise("size").alias("size")],
        ["column 'size' comes as text: 1 of 60", "rows from 48, counted from there"],
    ),
    "markers": (
        [pl.when(c("id").str.ends_with("5")).then(pl.lit("NA")).otherwise("size").alias("size")],
        ["column 'size': 6 of 'NA' taken as missing"],
    ),
    "other words for true": (
        [pl.when(c("id") == "row 59").then(pl.lit("no")).otherwise(c("on").replace({"true": "Yes"})).alias("on")],
        ["column 'on': 'Yes' are taken as true, 'False', 'no' as false"],
    ),
    "nothing at all": ([pl.lit(None, pl.String).alias("size")], ["size: no value in any of 60 rows"]),
    "unseen": ([c("zip").replace({"00501": "00502"})], ["rows from 16, counted from there: zip"]),
}


@pytest.mark.parametrize("name", NEW)
def test_from_csv_to_file(model: rv.Model, tmp_path: Path, name: str):
    changed, wanted = NEW[name]
    rows().with_columns(changed).write_csv(tmp_path / "new.csv")
    notes = same(model, tmp_path / "new.csv")
    for part in wanted:
        assert any(part in note for note in notes), notes
    others = [note for note in notes if "have the unit 'kg'" not in note]
    assert bool(others) == bool(wanted)


def test_from_parquet_to_file(model: rv.Model, tmp_path: Path):
    typed = rows().with_columns(c("size", "amount").cast(pl.Float64), c("on") == "true", c("day").str.to_date())
    typed = typed.with_columns(pl.when(c("size") < 0).then(float("nan")).otherwise("size").alias("size"))
    typed.write_parquet(tmp_path / "new.parquet", row_group_size=20)
    notes = same(model, tmp_path / "new.parquet")
    assert any("NaN taken as missing" in note for note in notes)


def test_options_hold_piece_by_piece(model: rv.Model, tmp_path: Path):
    rows().write_csv(tmp_path / "new.csv")
    same(model, tmp_path / "new.csv", keep=["id", "zip"], uncertainty=True)
    same(model, tmp_path / "new.csv", keep="id", batch=7)


def test_errors_are_the_same_and_leave_no_file(model: rv.Model, tmp_path: Path):
    rows().drop("size").write_csv(tmp_path / "lacks.csv")
    (tmp_path / "odd.csv").write_text("size,price\n" + "1,2\n" * 20 + "3\n" * 9)
    for name in ("lacks.csv", "odd.csv"):
        with pytest.raises(DataError) as whole:
            model.predict(tmp_path / name)
        with pytest.raises(DataError) as pieced:
            model.predict(tmp_path / name, to=tmp_path / "answers.csv")
        assert str(pieced.value) == str(whole.value)
    rows().write_csv(tmp_path / "new.csv")
    with pytest.raises(DataError, match="keep: column 'if' is not in the data"):
        model.predict(tmp_path / "new.csv", keep="if", to=tmp_path / "answers.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lacks.csv", "new.csv", "odd.csv"]


def test_the_file_is_never_held(model: rv.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows().write_csv(tmp_path / "new.csv")
    monkeypatch.setattr("ranvier.model.reading.read", None)  # which gives all rows at once
    told(lambda: model.predict(tmp_path / "new.csv", to=tmp_path / "answers.csv"))
    assert pl.read_csv(tmp_path / "answers.csv").height == 60
