"""Identities from rows to a file: who is held out, the gallery, verify, identify, learn, and hostile input."""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np
import polars as pl
import pytest
from PIL import Image

import ranvier as rv
from ranvier.core.errors import DataError, FileError, PlanError, RanvierWarning
from ranvier.evaluate.figures import HEADLINES

HOW = {"types": {"who": "identity"}, "threads": 1, "size": "s"}
WIDTH = 5


def people(identities: int, rows: int = 6, seed: int = 0, first: int = 0) -> pl.DataFrame:
    """Numbers that lie around a place of each identity's own, which hangs on its number alone."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(first, first + identities), rows)
    places = np.stack([np.random.default_rng(1000 + code).normal(size=WIDTH) * 2 for code in codes])
    values = places + 0.3 * random.normal(size=places.shape)
    columns = {f"f{k}": values[:, k] for k in range(WIDTH)}
    return pl.DataFrame({**columns, "who": [f"p{code}" for code in codes]})


@pytest.fixture(scope="module")
def model():
    return rv.fit(people(24), "who", **HOW, epochs=10, progress=False)


def test_identities_that_validate_are_not_trained_on(model):
    plan = model.plan
    assert (plan.data.split, plan.targets["who"].head["name"]) == ("group", "identity")
    assert "not trained on" in plan.why["data.split"].why
    assert plan.train.refit  # of so few none can be spared
    report = model.report.targets["who"]
    assert list(report.metrics) == list(HEADLINES["identity"])
    assert report.metrics["auc"] > 0.95
    assert report.metrics["eer"] < 0.1
    assert report.notes["identities"].endswith("of which training saw none")
    assert report.unseen == report.rows
    assert len(model.gallery.names) == 24
    assert model.gallery.counts.tolist() == [6] * 24


def test_evaluating_tells_how_many_were_seen(model):
    told = model.judge(pl.concat([people(4, seed=1), people(6, seed=1, first=100)])).targets["who"]
    assert told.notes["identities"] == "10, of which training saw 4"
    assert model.evaluate(people(10, seed=2, first=100), show=False)["auc"] > 0.95


def test_predict_answers_the_nearest_that_is_known(model):
    rows = people(24, 2, seed=3)
    said = model.predict(rows.drop("who"))
    assert said.columns == ["who", "who_similarity"]
    assert (said["who"] == rows["who"]).mean() > 0.9
    assert said["who_similarity"].is_between(-1.001, 1.001).all()


def test_pairs_of_identities_never_trained_on_are_told(model):
    a, b = people(8, 2, seed=4, first=200), people(8, 2, seed=5, first=200)
    same = model.verify(a, b)
    assert same.columns == ["similarity", "same"]
    assert same["same"].mean() > 0.8
    apart = model.verify(a, pl.concat([b[8:], b[:8]]))
    assert apart["same"].mean() < 0.2
    single = model.verify(a[0].to_dicts()[0], b)  # a dict of one row
    assert single.height == 16
    assert single["same"][0]
    assert model.verify(a, b, threshold=-1.0)["same"].all()


def test_who_is_near_nobody_is_left_unnamed(model):
    strangers, known = people(10, 2, seed=6, first=300), people(24, 1, seed=6)
    of_strangers, of_known = model.identify(strangers), model.identify(known)
    assert of_known.columns == ["who", "who_nearest", "who_similarity"]
    assert (of_known["who"] == known["who"]).mean() > 0.8
    assert of_strangers["who"].null_count() > of_known["who"].null_count()
    assert of_strangers["who_nearest"].null_count() == 0
    assert model.identify(strangers, threshold=-1.0)["who"].null_count() == 0


def test_who_is_known_by_several_rows_has_to_be_nearer(tmp_path):
    def spread(identities, rows, seed, first=0):
        return people(identities, rows, seed, first).with_columns(
            pl.col(f"f{k}") + pl.Series(1.2 * np.random.default_rng(seed + k).normal(size=identities * rows))
            for k in range(WIDTH)
        )

    made = rv.fit(spread(40, 20, 0), "who", **HOW, epochs=8, progress=False)
    gallery = made.gallery
    assert list(gallery.of_means) == [2, 4, 8, 16]  # of 20 rows each
    assert gallery.threshold < gallery.of_means[2] < gallery.of_means[4] < gallery.of_means[16]
    assert (gallery.least(1), gallery.least(5), gallery.least(99)) == (
        gallery.threshold,
        gallery.of_means[4],
        gallery.of_means[16],
    )
    known, asked = spread(3, 5, 1, first=100), spread(24, 8, 2, first=100)
    mine = pl.Series(np.arange(asked.height) < 3 * 8)
    told, before = made.identify(asked, known), made.identify(asked, known, threshold=gallery.threshold)
    taken = told["who"].filter(~mine).is_not_null().mean()
    assert taken < 0.9 * before["who"].filter(~mine).is_not_null().mean()  # of strangers
    assert told["who"].filter(mine).is_null().mean() < 0.2
    again = rv.load(made.save(tmp_path / "m.rv"))
    assert again.gallery.of_means == gallery.of_means
    again.learn("new", known[:5])
    assert again.gallery.of_means == gallery.of_means


def test_rows_without_any_input_make_no_gallery():
    lacking = pl.arange(pl.len()) % 6 == 0
    rows = people(12).with_columns(pl.when(lacking).then(None).otherwise(f"f{k}").alias(f"f{k}") for k in range(WIDTH))
    made = rv.fit(rows, "who", **HOW, epochs=2, progress=False)
    assert made.gallery.counts.tolist() == [5] * 12
    assert "12 of 72 rows that the gallery is made of have no input that can be read, and are left out" in made.notes
    assert any("rows that vectors are whitened by have no input" in note for note in made.notes)


@pytest.mark.parametrize("form", ["frame", "file", "examples"])
def test_galleries_come_in_every_form(model, form, tmp_path):
    known, new = people(5, 5, seed=7, first=400), people(5, 3, seed=8, first=400)
    gallery = known
    if form == "file":
        gallery = tmp_path / "known.csv"
        known.write_csv(gallery)
    elif form == "examples":
        gallery = {name: rows.drop("who") for (name,), rows in known.group_by("who", maintain_order=True)}
    found = model.identify(new, gallery, threshold=-1)
    assert (found["who"] == new["who"]).mean() > 0.9
    assert len(model.gallery.names) == 24  # not the model's own


def test_a_new_class_is_learnt_without_training(model, tmp_path):
    weights = {name: tensor.clone() for name, tensor in model.task.state_dict().items()}
    rows = people(1, 5, seed=9, first=500)
    grown = rv.load(model.save(tmp_path / "model.rv"))
    assert grown.learn("the new one", rows) is grown
    more = people(1, 4, seed=10, first=500)
    assert set(grown.predict(more)["who"]) == {"the new one"}
    assert all((tensor == weights[name]).all() for name, tensor in grown.task.state_dict().items())
    with pytest.raises(DataError, match="has 'the new one' already, of 5 rows"):
        grown.learn("the new one", rows)
    grown.learn("the new one", rows[:1], replace=True)
    assert grown.gallery.counts[-1] == 1
    again = rv.load(grown.save(tmp_path / "grown.rv"))
    assert again.gallery.names == grown.gallery.names
    assert again.gallery.threshold == grown.gallery.threshold
    assert again.predict(more).equals(grown.predict(more))


def test_contrast_learns_too():
    plan = rv.plan(people(24), "who", **HOW, epochs=10)
    plan.targets["who"].head["loss"] = "contrastive"
    model = rv.fit(plan, progress=False)
    assert model.report.metrics["auc"] > 0.95


def writings(writers: int, texts: int, first: int = 0) -> pl.DataFrame:
    """Texts of words that each writer favours, of uneven lengths."""
    random, rows = np.random.default_rng(first), []
    for writer in range(first, first + writers):
        favoured = np.random.default_rng(writer).dirichlet(np.full(150, 0.05))
        words = (random.choice(150, random.integers(5, 40), p=favoured) for _ in range(texts))
        rows += [{"text": " ".join(f"w{k}" for k in some), "who": f"a{writer}"} for some in words]
    return pl.DataFrame(rows)


def test_writers_are_told_by_contrast_though_their_texts_start_at_zero():
    plan = rv.plan(writings(30, 6), "who", types={"who": "identity", "text": "text"}, epochs=4, threads=1)
    plan.targets["who"].head["loss"] = "contrastive"
    model = rv.fit(plan, progress=False)
    assert model.evaluate(writings(15, 6, first=100), show=False)["auc"] > 0.85


def test_names_that_are_numbers_stay_numbers():
    rows = people(8).with_columns(pl.col("who").str.slice(1).cast(pl.Int64))
    model = rv.fit(rows, "who", **HOW, epochs=2, progress=False)
    model.learn(77, rows[:2].drop("who"))
    assert model.predict(rows)["who"].dtype == pl.Int64
    with pytest.raises(DataError, match="'Ada' is none"):
        model.learn("Ada", rows[:2])


def test_names_that_become_texts_are_told(model, tmp_path):
    own, rows = rv.load(model.save(tmp_path / "own.rv")), people(1)
    with pytest.warns(RanvierWarning, match="the name 7 is taken for the text '7', for those of training are texts"):
        assert own.learn(7, rows).gallery.names[-1] == "7"
    with pytest.warns(RanvierWarning, match="the name 8 is taken for the text '8'"):
        found = model.identify(rows, {8: rows})
    assert set(found["who_nearest"]) == {"8"}
    with pytest.warns(RanvierWarning, match="names of the gallery, Int64 values, are taken for texts"):
        found = model.identify(rows, rows.with_columns(who=pl.lit(9, pl.Int64)))
    assert set(found["who_nearest"]) == {"9"}
    assert model.identify(rows, {"8": rows})["who_nearest"][0] == "8"  # and of texts nothing


def shades(identities: int, rows: int = 4) -> dict[str, np.ndarray]:
    greys = np.repeat(np.linspace(0, 255, identities), rows).astype(np.uint8)
    return {"image": np.broadcast_to(greys[:, None, None], (len(greys), 8, 8)).copy(), "who": greys.astype(int)}


def test_single_pictures_are_rows(tmp_path):
    plan = rv.plan(shades(8), "who", types={"who": "identity"}, epochs=2, threads=1)
    plan.inputs["image"].encoder.update(widths=[8, 8])
    model = rv.fit(plan, progress=False)
    dark, light = (np.full((8, 8), shade, np.uint8) for shade in (0, 255))
    Image.fromarray(dark).save(tmp_path / "dark.png")
    file = io.BytesIO()
    Image.fromarray(light).save(file, "PNG")
    by_path = model.verify(tmp_path / "dark.png", str(tmp_path / "dark.png"))
    assert by_path["similarity"][0] == pytest.approx(1, abs=1e-3)
    assert model.verify(dark, light).height == model.verify(dark, file.getvalue()).height == 1
    assert model.verify(np.stack([dark, light]), [tmp_path / "dark.png"]).height == 2
    model.learn(1000, [tmp_path / "dark.png"])
    assert model.identify(dark, {1: dark, 2: light})["who_nearest"].to_list() == [1]


# ---- hostile input


def test_what_is_no_gallery(model):
    rows = people(2)
    with pytest.raises(DataError, match="gallery is empty"):
        model.identify(rows, {})
    with pytest.raises(DataError, match="needs the column 'who'"):
        model.identify(rows, rows.drop("who"))
    with pytest.raises(DataError, match="no name of an identity"):
        model.identify(rows, {"": rows})
    with pytest.warns(RanvierWarning, match="2 rows of the gallery have no name"):
        found = model.identify(rows, rows.with_columns(who=pl.Series([None, " ", *["a"] * 10])))
    assert set(found["who_nearest"]) == {"a"}


def test_a_file_that_lost_its_gallery_is_damaged(model, tmp_path):
    with (
        zipfile.ZipFile(model.save(tmp_path / "whole.rv")) as whole,
        zipfile.ZipFile(tmp_path / "less.rv", "w") as less,
    ):
        for name in whole.namelist():
            if name != "gallery.safetensors":
                less.writestr(name, whole.read(name))
    with pytest.raises(FileError, match="damaged"):
        rv.load(tmp_path / "less.rv")


def test_what_cannot_be_compared(model):
    rows = people(2)
    with pytest.raises(DataError, match="12 rows are to be compared with 3"):
        model.verify(rows, rows[:3])
    with pytest.raises(DataError, match="'f0' is not in the data"):
        model.verify(rows.drop("f0"), rows)
    with pytest.raises(DataError):
        model.learn("nobody", rows[:0])
    for threshold in (2, math.nan, "high"):
        with pytest.raises(PlanError, match="threshold"):
            model.verify(rows, rows, threshold)


def test_rows_without_any_input_are_nobody(model):
    rows, nothing = people(2), {f"f{k}": None for k in range(WIDTH)}
    lacking = rows.with_columns(pl.when(pl.arange(pl.len()) < 3).then(None).otherwise(f).alias(f) for f in nothing)
    with pytest.warns(RanvierWarning, match="nothing is said of 3 of 12 rows"):
        told = model.verify(lacking, lacking)  # two without any would be quite alike
    assert told["same"].null_count() == told["similarity"].null_count() == 3
    with pytest.warns(RanvierWarning, match="nothing is said"):
        found = model.identify(lacking)
    assert [found[name].null_count() for name in found.columns[1:]] == [3, 3]
    with pytest.warns(RanvierWarning, match="nothing is said"):
        found = model.identify(rows, lacking.with_columns(who=pl.Series(["ghost"] * 3 + ["a"] * 9)))
    assert set(found["who_nearest"]) == {"a"}
    for call in (
        lambda: model.learn("ghost", [nothing]),
        lambda: model.verify([nothing], rows),
        lambda: model.identify(rows, {"ghost": [nothing]}),
    ):
        with pytest.raises(DataError, match="nothing can be said of 1 row: none"):
            call()
    assert "ghost" not in model.gallery.names


def test_what_is_wrong_with_validation_rows_is_said_of_them():
    with pytest.raises(DataError, match="'who' of the validation rows: 1 identity in 6 rows"):
        rv.fit(people(6), "who", **HOW, val=people(1), epochs=1, progress=False)


def test_a_model_without_identities(small):
    for call in (lambda: small.verify([], []), lambda: small.identify([]), lambda: small.learn("x", [])):
        with pytest.raises(PlanError, match="tells no identities apart, it predicts y"):
            call()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (people(1, 30), "'who': 1 identity in 30 rows; two"),  # as given, not as divided
        (people(2, 15).with_columns(who=pl.lit(None, pl.String)), "'who'"),
        (people(30, 1), "'who': all 30 identities have a single row each"),
        (people(2, 1), "'who': all 2 identities have a single row each"),
        (people(2, 2), "of the validation rows: 1 identity in 1 rows; .*; give more rows, others as val=, or split='n"),
    ],
)
def test_rows_of_which_nothing_can_be_learnt(rows, told):
    with pytest.raises(DataError, match=told):
        rv.fit(rows, "who", **HOW, epochs=1, progress=False)


def test_few_identities_are_not_held_out_and_folds_are_refused():
    model = rv.fit(people(3, 10), "who", **HOW, epochs=1, progress=False)
    assert model.plan.data.split == "random"
    assert "too few" in model.plan.why["data.split"].why
    with pytest.raises(PlanError, match="makes no folds"):
        rv.plan(people(12), "who", **HOW, folds=3)
    two = people(12).with_columns(other=pl.col("who"))
    with pytest.raises(PlanError, match="both of the type identity"):
        rv.plan(two, ["who", "other"], types={"who": "identity", "other": "identity"})


def test_without_rows_held_out_a_threshold_has_to_be_given():
    model = rv.fit(people(6), "who", **HOW, split="none", epochs=1, progress=False)
    with pytest.raises(PlanError, match="no rows were held out"):
        model.verify(people(1), people(1))
    assert model.verify(people(1), people(1), threshold=0.5).height == 6
    with pytest.warns(RanvierWarning, match="nobody is taken for unknown"):
        assert model.identify(people(2))["who"].null_count() == 0


def test_missing_identities_and_some_of_a_single_row_do_not_matter():
    rows = pl.concat([people(10), people(6, 1, first=50)])
    rows = rows.with_columns(who=pl.when(pl.arange(pl.len()) % 11 == 5).then(None).otherwise("who"))
    model = rv.fit(rows, "who", **HOW, epochs=2, progress=False)
    assert None not in model.gallery.names
    assert model.report.metrics["auc"] > 0.5
