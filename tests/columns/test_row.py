"""Fields of a row as one vector, and back."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
import torch

from ranvier.columns.row import MOST, Row
from ranvier.core.errors import DataError
from ranvier.core.spec import STEP
from ranvier.heads.cells import Cells


def table(rows: int = 400) -> pl.DataFrame:
    chance = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "amount": np.where(chance.random(rows) < 0.4, 0.0, chance.lognormal(3, 1, rows)),
            "count": chance.poisson(20, rows),
            "kind": chance.choice(["u", "v", "漢"], rows, p=[0.7, 0.2, 0.1]),
            "yes": chance.random(rows) < 0.3,
            "gap": [None if i % 5 == 0 else float(i % 97) + 0.5 for i in range(rows)],
            "some": [None if i % 4 == 0 else "ab"[i % 2] for i in range(rows)],
        }
    )


def learnt(frame: pl.DataFrame, **how) -> tuple[Row, pl.Series]:
    column, rows = Row("row", **how), frame.to_struct("row")
    column.learn([rows])
    return column, rows


def test_what_was_encoded_comes_back():
    frame = table()
    column, rows = learnt(frame)
    encoded = column.encode(rows)
    assert encoded.data.shape == (400, column.spec.shape[0])
    back = column.decode({"value": encoded.data})
    assert back.schema == frame.schema
    assert back.select("count", "kind", "yes", "some").equals(frame.select("count", "kind", "yes", "some"))
    assert back["gap"].is_null().equals(frame["gap"].is_null())
    for name in ("amount", "gap"):
        there = frame[name].is_not_null()
        one, other = (f[name].filter(there).to_numpy() for f in (back, frame))
        assert np.abs(np.argsort(np.argsort(one)) - np.argsort(np.argsort(other))).max() < 400
        np.testing.assert_allclose(np.quantile(one, [0.1, 0.5, 0.9]), np.quantile(other, [0.1, 0.5, 0.9]), rtol=0.05)
    assert (back["amount"] == 0).mean() == pytest.approx((frame["amount"] == 0).mean(), abs=0.01)


def test_numbers_are_normal_scores():
    values = pl.DataFrame({"x": np.random.default_rng(1).permutation(np.arange(500) ** 3 + 0.5)})
    column, rows = learnt(values)
    scores = column.encode(rows).data[:, 0]
    assert scores.mean() == pytest.approx(0, abs=0.01)
    assert scores.std() == pytest.approx(1, abs=0.02)
    rank = values["x"].rank().to_numpy()
    inner = (rank > 5) & (rank < 495)
    known = np.array([NormalDist().inv_cdf((r - 0.5) / 500) for r in rank[inner]])
    np.testing.assert_allclose(scores[inner], known, atol=0.15)


def test_noise_gives_the_distribution_that_was_learnt():
    """Normal numbers, drawn for each element, come out as the fields were: peaks, shares, gaps."""
    frame = table(2_000)
    column, _ = learnt(frame)
    drawn = column.decode({"value": np.random.default_rng(2).normal(size=(4_000, column.spec.shape[0]))})
    assert (drawn["amount"] == 0).mean() == pytest.approx(0.4, abs=0.04)
    assert drawn["count"].mean() == pytest.approx(20, abs=0.5)
    assert set(drawn["count"]) <= set(frame["count"])
    assert drawn["kind"].dtype == pl.String
    assert 0.05 < drawn["gap"].is_null().mean() < 0.5


def test_its_state_goes_round():
    frame = table()
    column, rows = learnt(frame)
    again = Row("row")
    again.load_state(column.state())
    assert again.spec == column.spec
    np.testing.assert_array_equal(again.encode(rows).data, column.encode(rows).data)
    value = {"value": column.encode(rows).data}
    assert again.decode(value).equals(column.decode(value))


def test_numbers_never_seen_lie_between_and_at_the_ends():
    column, _ = learnt(pl.DataFrame({"x": np.arange(100) + 0.25}))
    rows = pl.DataFrame({"x": [-1e9, 49.75, 1e9]}).to_struct("row")
    scores = column.encode(rows).data[:, 0]
    assert scores[0] < -2 < 2 < scores[2]
    assert scores[1] == pytest.approx(0, abs=0.05)
    assert math.isfinite(column.decode({"value": np.array([[99.0]])})["x"][0])


def test_what_training_never_had_is_apart_and_told():
    column, _ = learnt(pl.DataFrame({"x": np.arange(100) + 0.25, "kind": ["a", "b"] * 50}))
    rows = pl.DataFrame({"x": [99.5, 150.0, -1e9, None], "kind": ["a", "c", None, "b"]})
    encoded = column.encode(rows.to_struct("row"))
    first, last = column.spec.fields[0].within
    known = column.encode(pl.DataFrame({"x": np.arange(100) + 0.25, "kind": ["a"] * 100}).to_struct("row")).data[:, 0]
    assert (known.min(), known.max()) == pytest.approx((first, last))
    far = [math.log(1 + 0.25 / 99), math.log(1 + 50.75 / 99), -2 - math.log(1 + 1e9 / 99), 0.0]
    outside = encoded.data[:, 0] - [last, last, first, last]
    assert outside / STEP - 1 == pytest.approx(far, abs=1e-3)
    assert (encoded.data[:, 1:].max(1) > 0).tolist() == [True, False, False, True]
    assert encoded.notes == [
        "row: kind: 1 value not seen in training: 'c' (row 1)",
        "row: x: 1 value is missing, as none was in training; something new stands for them",
        "row: x: 1 value lies far outside those of training, 0.25 to 99.25",
        "row: kind: 1 value is missing, as none was in training; something new stands for them",
    ]


@pytest.mark.parametrize("largest", [2**63 - 1, 2**15 - 1, -(2**63)])
def test_the_largest_numbers_of_a_type_fit_it(largest):
    kind = pl.Int16 if largest < 2**16 and largest > 0 else pl.Int64
    column, rows = learnt(
        pl.DataFrame({"x": pl.Series([largest if i % 50 == 0 else i for i in range(400)], dtype=kind)})
    )
    drawn = column.decode({"value": column.encode(rows).data})["x"]
    assert drawn.dtype == kind
    assert drawn.null_count() == 0
    assert drawn.cast(pl.Float64).sort()[-1 if largest > 0 else 0] == pytest.approx(largest)


@pytest.mark.parametrize("grid", [0.1, 1.0, 0.0])
def test_numbers_come_back_from_cells_where_they_were(grid):
    """On a grid they come back as they were; between its points as far above as below."""
    chance = np.random.default_rng(4)
    x = chance.normal(50, 20, 6_000)
    x = np.round(x / grid) * grid if grid else x
    column, rows = learnt(pl.DataFrame({"x": np.round(x, 6)}))
    cells, _ = (found := Cells(column.spec.fields, 10_000)).of(torch.from_numpy(column.encode(rows).data))
    share = torch.from_numpy(chance.random(cells.shape))
    back = column.decode({"value": found.back(cells, share).numpy()})["x"].to_numpy()
    inner = np.abs(x - 50) < 40
    assert abs(np.mean((back - x)[inner])) < 0.001
    assert not grid or (np.abs(back - x) < 1e-9)[inner].mean() > 0.97


def test_what_a_number_is_stored_as_changes_nothing():
    frame = table()
    column, rows = learnt(frame)
    other = frame.with_columns(pl.col("count").cast(pl.Float64), pl.col("yes").cast(pl.Int8))
    np.testing.assert_array_equal(column.encode(other.to_struct("row")).data, column.encode(rows).data)


def test_equal_values_are_spread_evenly():
    both = pl.DataFrame({"x": [0.0] * 500 + [1.0] * 500, "y": np.arange(1000) + 0.5})
    column, rows = learnt(both, types=["x=number"])
    scores = np.sort(column.encode(rows).data[:500, 0])
    known = [NormalDist().inv_cdf((i + 0.5) / 1000) for i in range(500)]
    np.testing.assert_allclose(scores[25:-5], known[25:-5], atol=0.3)  # a hash is as even as chance is


def test_asked_for_and_refused():
    column, _ = learnt(pl.DataFrame({"code": [1, 2, 3, 4] * 10}), types=["code=number"])
    assert column.spec.shape == (1,)
    column, _ = learnt(pl.DataFrame({"code": [1, 2, 3, 4] * 10}), types=["code=category"])
    assert column.spec.shape == (4,)
    with pytest.raises(DataError, match=f"at most {MOST} of a column"):
        learnt(pl.DataFrame({"x": [f"name {i % 100}" for i in range(400)]}), types=["x=category"])
    with pytest.raises(DataError, match=r"'said' is a text .*; leave it out"):
        learnt(pl.DataFrame({"said": [f"this is what number {i * 7} said of it" for i in range(40)]}))


def test_numbers_that_were_never_missing_are_told():
    column, _ = learnt(pl.DataFrame({"x": np.arange(40) + 0.5}))
    encoded = column.encode(pl.DataFrame({"x": [None, 3.0]}).to_struct("row"))
    assert encoded.notes == ["row: x: 1 value is missing, as none was in training; something new stands for them"]
    with pytest.raises(DataError, match="no training row holds a number"):
        learnt(pl.DataFrame({"x": [None, None]}, schema={"x": pl.Float64}), types=["x=number"])


def test_categories_never_seen_are_told():
    column, _ = learnt(pl.DataFrame({"k": ["a", "b"] * 20}))
    encoded = column.encode(pl.DataFrame({"k": ["a", "z"]}).to_struct("row"))
    assert any("not seen in training" in note for note in encoded.notes)


def test_numbers_that_were_texts_come_back_as_texts():
    chance = np.random.default_rng(3)
    raw = pl.DataFrame(
        {
            "whole": [None if i % 7 == 0 else f"{n:,}" for i, n in enumerate(chance.integers(-9_000, 90_000, 3_000))],
            "price": [f"${x:.2f}" for x in chance.lognormal(4, 2, 3_000)],
        }
    )
    column, _ = learnt(raw, types=["whole=number", "price=number"])
    again = Row("row")
    again.load_state(column.state())
    drawn = again.decode({"value": chance.normal(size=(2_000, column.spec.shape[0]))})
    assert drawn.schema == raw.schema
    assert drawn["whole"].drop_nulls().str.contains(r"^-?\d+$").all()
    assert drawn["whole"].null_count() > 0
    assert not (drawn["whole"] == "-0").any()
    assert drawn["price"].str.contains(r"^\d+\.\d\d$").all()
    back = again.encode(drawn.to_struct("row"))
    assert np.isfinite(back.data).all()
    assert not [note for note in back.notes if "no numbers" in note]


def test_small_numbers_that_were_texts_keep_their_digits():
    raw = pl.DataFrame({"x": [f"{1 + i % 70}.{i % 10}e-08" for i in range(200)], "y": ["-1.5", "12.1234567"] * 100})
    column, rows = learnt(raw, types=["x=number", "y=number"])
    back = column.decode({"value": column.encode(rows).data})
    np.testing.assert_allclose(back["x"].cast(float), raw["x"].cast(float), rtol=0.2)
    assert set(back["y"]) == {"-1.5", "12.1234567"}
    drawn = column.decode({"value": np.random.default_rng(0).normal(size=(400, 2))})
    assert drawn["x"].str.contains(r"^0\.000000\d*[1-9]$").all()
    tiny = pl.DataFrame({"x": [f"{i}e-30" for i in range(3, 90)]})
    column, rows = learnt(tiny, types=["x=number"])
    assert (column.decode({"value": column.encode(rows).data})["x"].cast(float) > 0).all()


def test_states_of_before_numbers_were_written_are_read():
    raw = pl.DataFrame({"x": [f"{i}.25" for i in range(60)], "y": [f"{i}e-9" for i in range(60)]})
    column, rows = learnt(raw, types=["x=number", "y=number"])
    value = {"value": column.encode(rows).data}
    for gone in (["figures"], ["digits", "figures"]):
        state = column.state()
        for own in state["fields"].values():
            for name in gone:
                del own[name]
        again = Row("row")
        again.load_state(state)
        assert again.decode(value).equals(column.decode(value))


@pytest.mark.parametrize("digits", [0, 2])
def test_numbers_come_back_as_fine_as_they_were(digits):
    values = np.random.default_rng(0).lognormal(9, 1, 3_000).round(digits)
    column = Row("row", types=["x=number"])
    column.learn([pl.DataFrame({"x": values}).to_struct("row")])
    drawn = column.decode({"value": np.random.default_rng(1).normal(size=(500, 1))})["x"].to_numpy()
    assert (drawn == drawn.round(digits)).all()
    assert len(set(drawn) - set(values)) > 50  # values between those of training
