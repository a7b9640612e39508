"""Pretraining on pictures without labels, and what fits take over from it, tuned or frozen."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from model.test_fit import At, Boom, boom, same

import ranvier as rv
from ranvier.core.errors import DataError, PlanError
from ranvier.model import training
from ranvier.planning.reasons import GIVEN
from ranvier.planning.settle import settle

HOW = {"threads": 1, "progress": False}
TINY = {
    "cnn": {"name": "cnn", "widths": [8, 12], "patch": 1},
    "convnext": {"name": "convnext", "widths": [8, 12], "patch": 1, "depth": 1, "kernel": 3},
    "vit": {"name": "vit", "width": 16, "depth": 1, "heads": 2, "patch": 4},
}


def table(rows: int, seed: int = 0) -> pl.DataFrame:
    """Stripes that lie or stand, of any width, shade and place."""
    random = np.random.default_rng(seed)
    stands = random.random(rows) < 0.5
    place = np.arange(8) / random.uniform(0.4, 1.2, (rows, 1)) + random.uniform(0, 6, (rows, 1))
    lines = (np.sin(place)[:, None, :] * random.uniform(60, 120, (rows, 1, 1)) + 128).repeat(8, 1)
    x = np.where(stands[:, None, None], lines, lines.transpose(0, 2, 1)).astype(np.uint8)
    return pl.DataFrame({"picture": x, "way": np.where(stands, "stands", "lies")})


def tiny(kind: str = "auto", encoder: str = "cnn", rows: int = 64, **how) -> rv.Model:
    settings = {"epochs": 1, "batch": 16, **HOW} | how
    return rv.pretrain(table(rows).select("picture"), kind=kind, encoder=TINY[encoder], **settings)


@pytest.fixture(scope="module")
def base():
    return tiny(rows=240, epochs=12, batch=32)


def labelled(rows: int = 24, seed: int = 1) -> dict:
    return {"data": table(rows, seed), "target": "way", "inputs": ["picture"], "epochs": 1, **HOW}


def test_views_of_a_picture_are_found_among_others(base):
    figures = base.evaluate(table(60, 7), show=False)
    assert set(figures) == {"found", "cosine", "spread"}
    assert figures["found"] > 0.1  # by chance a sixtieth
    assert figures["spread"] > 0.2
    assert figures == base.evaluate(table(60, 7), show=False)
    assert base.report.targets["picture"].kind == "views"
    assert "collapse" in base.report.explain()
    plan = base.plan
    assert plan.targets["picture"].head["name"] == "contrastive"
    assert (plan.inputs["picture"].augment["crop"], plan.inputs["picture"].augment["flip"]) == (0.3, True)
    assert not any("input and target at once" in note for note in base.notes)


def test_its_vectors_are_the_encoders_and_it_predicts_nothing(base):
    rows = table(5, 3)
    vectors = base.embed(rows)
    assert vectors.shape == (5, 12)  # not those of the projection
    assert np.array_equal(vectors, base.embed(rows.select("picture")))
    with pytest.raises(PlanError, match=r"rv.fit\(rows, target=..., init=model\)"):
        base.predict(rows)


@pytest.mark.parametrize("kind", ["contrastive", "masked"])
@pytest.mark.parametrize("encoder", TINY)
def test_any_encoder_learns_and_is_saved(kind, encoder, tmp_path):
    model = tiny(kind, encoder)
    again = rv.load(model.save(tmp_path / "base.rv"))
    rows = table(20, 5)
    assert np.array_equal(model.embed(rows), again.embed(rows))
    figures = again.evaluate(rows, show=False)
    assert set(figures) == ({"rmse"} if kind == "masked" else {"found", "cosine", "spread"})
    assert figures == model.evaluate(rows, show=False)
    few = rv.fit(init=again, **labelled())
    assert few.plan.inputs["picture"].encoder["name"] == encoder
    (note,) = (note for note in few.notes if note.startswith("init: "))
    assert "new, in whole or in part: head of 'way'" in note


def test_hidden_squares_are_restored():
    model = tiny("masked", rows=200, epochs=12)
    assert model.evaluate(table(60, 7), show=False)["rmse"] < 0.23  # the mean of all alone: 0.25
    assert model.evaluate(table(60, 7), batch=7, show=False) == pytest.approx(model.evaluate(table(60, 7), show=False))
    assert model.plan.targets["picture"].head == {"name": "squares", "share": 0.6, "side": 2}
    with pytest.raises(PlanError, match="gives maps"):
        rv.pretrain(table(20).select("picture"), kind="masked", encoder="transformer", **HOW)


def test_a_fit_sees_as_the_model_that_it_starts_from(base):
    model = rv.fit(init=base, **labelled())
    encoder, reasons = model.plan.inputs["picture"].encoder, model.plan.why
    assert {**encoder, **TINY["cnn"]} == encoder
    assert reasons["inputs.picture.encoder.widths"].why == GIVEN
    assert model.columns["picture"].state() == base.columns["picture"].state()
    assert settle(model.plan).leaves() == model.plan.leaves()
    assert model.plan.inputs["picture"].augment["name"] == "image"


def test_a_frozen_encoder_stays_as_it_is(base):
    model = rv.fit(init=base, frozen=True, **labelled(40))
    mine, theirs = (m.task.encoders[0].state_dict() for m in (model, base))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)  # running statistics too
    assert model.plan.inputs["picture"].augment["name"] == "none"
    assert model.plan.train.optimizer["name"] == "adamw"
    assert not any(p.requires_grad for p in model.task.encoders[0].parameters())
    rows = table(9, 5)
    np.testing.assert_allclose(model.embed(rows), base.embed(rows), rtol=0.02, atol=0.02)  # one in bf16
    varied = rv.plan(table(24, 1), "way", inputs=["picture"], init=base, frozen=True, epochs=1, threads=1)
    varied.inputs["picture"].augment = {"name": "image", "shift": 1}  # then each pass reads other pictures
    varied = rv.fit(varied, init=base, progress=False)
    mine = varied.task.encoders[0].state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert varied.task.train().encoders[0].training is False


def test_a_frozen_encoder_is_not_needed_to_load_nor_forgotten_by_folds(base, tmp_path):
    model = rv.fit(init=base, frozen=True, folds=2, **labelled(40))
    theirs = base.task.encoders[0].state_dict()
    for network in model.networks:
        assert all(torch.equal(network.task.encoders[0].state_dict()[name], theirs[name]) for name in theirs)
    rows = table(9, 5)
    assert rv.load(model.save(tmp_path / "few.rv")).predict(rows).equals(model.predict(rows))


def test_frozen_without_what_is_frozen_is_refused(base):
    with pytest.raises(PlanError, match="frozen = True: encoders stay as they are in a model to start from"):
        rv.fit(frozen=True, **labelled())
    plan = rv.plan(table(24, 1), "way", inputs=["picture"], init=base, frozen=True, threads=1)
    with pytest.raises(PlanError, match="give one as init="):
        rv.fit(plan, progress=False)
    other = labelled() | {"data": table(24, 1).rename({"picture": "photo"}), "inputs": ["photo"]}
    with pytest.raises(PlanError, match="reads 'picture' by 'cnn'"):
        rv.fit(init=base, frozen=True, **other)


def test_missing_pictures_teach_nothing():
    data = table(40).with_row_index().select(pl.when(pl.col("index") % 4 > 0).then("picture").alias("picture"))
    for kind in ("contrastive", "masked"):
        model = rv.pretrain(data, kind=kind, encoder=TINY["cnn"], epochs=1, batch=8, **HOW)
        report = model.evaluate(data, show=False)
        assert all(np.isfinite(value) for value in report.values())
        assert np.isfinite(model.embed(data)).all()


@pytest.mark.parametrize("kind", ["contrastive", "masked"])
def test_one_picture_is_refused(kind):
    one = table(1)
    for rows in (1, 12):
        data = pl.concat([one] * rows).select("picture")
        with pytest.raises(DataError, match="all of these are the same"):
            rv.pretrain(data, kind=kind, encoder=TINY["cnn"], types={"picture": "image"}, split="none", **HOW)


def test_which_column_and_kind():
    rows = table(20)
    both = rows.with_columns(other=pl.col("picture"))
    with pytest.raises(PlanError, match="texts, words or pictures: name one of 'picture', 'other'"):
        rv.pretrain(both, **HOW)
    model = rv.pretrain(both, column="other", encoder=TINY["cnn"], epochs=1, **HOW)
    assert list(model.plan.inputs) == list(model.plan.targets) == ["other"]
    with pytest.raises(PlanError, match="use kind = 'contrastive' or kind = 'masked'"):
        rv.pretrain(rows, column="picture", kind="next", **HOW)
    with pytest.raises(PlanError, match="use kind = 'masked' or kind = 'next'"):
        rv.pretrain(pl.DataFrame({"said": ["one text", "another"]}), kind="contrastive", **HOW)
    with pytest.raises(PlanError, match="known: contrastive, masked, next"):
        rv.pretrain(rows, kind="moco", **HOW)


def test_what_stands_in_the_way_of_views_is_refused():
    plan = rv.plan(table(20), "picture", inputs=["picture"], threads=1)
    plan.targets["picture"].head = "contrastive"
    plan.inputs["picture"].augment = "none"
    with pytest.raises(PlanError, match="compares views"):
        rv.fit(plan, progress=False)
    plan.inputs["picture"].augment = "image"
    plan.fuse = "mlp"
    with pytest.raises(PlanError, match="teaches the encoder alone"):
        rv.fit(plan, progress=False)
    plan = rv.plan(table(20), ["picture", "way"], inputs=["picture"], threads=1)
    plan.targets["picture"].head = "squares"
    with pytest.raises(PlanError, match="single column"):
        rv.fit(plan, progress=False)


@pytest.mark.parametrize("kind", ["contrastive", "masked"])
def test_a_killed_run_ends_with_the_same_weights(kind, tmp_path, monkeypatch):
    whole = tiny(kind, rows=48, epochs=2)
    monkeypatch.setattr(training, "OFTEN", 1e-9)
    with pytest.raises(Boom):
        tiny(kind, rows=48, epochs=2, folder=tmp_path / "run", callbacks=[At(3, boom)])
    again = rv.pretrain(
        table(48).select("picture"),
        kind=kind,
        encoder=TINY["cnn"],
        epochs=2,
        batch=16,
        folder=tmp_path / "run",
        resume=True,
        **HOW,
    )
    assert same(whole, again)
