"""From data to draws: a mixture of two normals is recovered, pictures of what is given, codes and anomalies."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save

import ranvier as rv
from ranvier.core.errors import DataError, FileError, PlanError, RanvierWarning
from ranvier.model.codes import packed
from ranvier.model.file import USUAL, parse, to_bytes
from ranvier.model.model import load
from ranvier.model.network import BATCH
from ranvier.planning.settle import settle

SMALL = {"widths": [32, 32]}


def mixture(rows: int = 2_000) -> np.ndarray:
    """30 % around -2, 70 % around 1."""
    chance = np.random.default_rng(0)
    left = chance.random(rows) < 0.3
    return np.where(left, chance.normal(-2, 0.3, rows), chance.normal(1, 0.5, rows)).astype(np.float32)[:, None]


@pytest.mark.parametrize(
    ("head", "epochs", "rate"),
    [
        ({"name": "vae", "code": 2, "importance": 5}, 15, 5e-3),
        pytest.param({"name": "gan"}, 60, 2e-3, marks=pytest.mark.slow),
        ({"name": "diffusion"}, 15, 3e-3),
        ({"name": "diffusion", "objective": "flow"}, 15, 3e-3),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_mixture_is_recovered(head, epochs, rate):
    plan = rv.plan({"x": mixture()}, target="x", inputs=[], types={"x": "vector"}, epochs=epochs, rate=rate, threads=1)
    plan.targets["x"].head = SMALL | head
    model = rv.fit(plan, progress=False)
    drawn = np.array(model.sample(4_000, seed=1)["x"].to_list())[:, 0]
    left = drawn < -0.7
    assert left.mean() == pytest.approx(0.3, abs=0.08)
    assert drawn[left].mean() == pytest.approx(-2, abs=0.35)
    assert drawn[~left].mean() == pytest.approx(1, abs=0.25)


def pictures(rows: int = 120) -> dict[str, object]:
    """Grey above and black below, or the other way about, of any grey."""
    chance = np.random.default_rng(0)
    x = np.zeros((rows, 8, 8), np.uint8)
    grey = chance.integers(100, 256, rows)
    kind = np.arange(rows) % 2
    for row in range(rows):
        x[row, : 4 if kind[row] else 8, :] = grey[row]
        x[row, : 0 if kind[row] else 4, :] = 0
    return {"x": x, "kind": np.where(kind, "above", "below")}


def brightness(frame: pl.DataFrame, model) -> np.ndarray:
    """(N, 2) the mean grey of the upper and of the lower half."""
    pixels = model.columns["x"].encode(frame["x"]).data[..., 0].astype(float)
    return np.stack([pixels[:, :4].mean((1, 2)), pixels[:, 4:].mean((1, 2))], 1)


@pytest.fixture(scope="module")
def restored():
    plan = rv.plan({"x": pictures()["x"]}, target="x", inputs=["x"], epochs=40, threads=1)
    plan.inputs["x"].encoder.update(widths=[16, 16])
    plan.targets["x"].head.update(widths=[16, 16])
    plan.fuse.update(code=4)
    return rv.fit(plan, progress=False)


def test_the_plan_of_an_autoencoder():
    plan = rv.plan(pictures(), target="x", inputs=["x"])
    assert plan.fuse["name"] == "bottleneck"
    assert (plan.targets["x"].head["name"], plan.inputs["x"].encoder["pool"]) == ("image", "flatten")
    assert plan.inputs["x"].augment["name"] == "none"
    assert plan.warnings == []
    table = rv.plan(pl.DataFrame({"a": range(40), "b": ["u", "v"] * 20}), target=["a", "b"], inputs=["a", "b"])
    assert (table.fuse["name"], table.fuse["depth"]) == ("bottleneck", 2)


def test_what_was_noisy_is_given_back_clean():
    x = pictures(240)["x"]
    plan = rv.plan({"x": x}, target="x", inputs=["x"], epochs=30, threads=1)
    plan.inputs["x"].encoder.update(widths=[16, 16])
    plan.targets["x"].head.update(widths=[16, 16])
    plan.fuse.update(code=4)
    plan.inputs["x"].augment = {"name": "image", "noise": 0.3}
    model = rv.fit(plan, progress=False)
    assert (model.plan.inputs["x"].augment["shift"], model.plan.inputs["x"].augment["tta"]) == (0, False)
    noise = np.random.default_rng(1).normal(0, 0.3 * 255, x.shape)
    noisy = (x + noise).clip(0, 255).astype(np.uint8)
    back = model.columns["x"].encode(model.predict({"x": noisy})["x"]).data[..., 0].astype(float)
    assert np.square(back - x).mean() < 0.3 * np.square(noisy.astype(float) - x).mean()


def test_pictures_are_restored_from_few_numbers(restored):
    rows = {"x": pictures()["x"]}
    assert restored.evaluate(rows, show=False)["psnr"] > 15
    assert restored.embed(rows).shape == (120, 4)
    assert brightness(restored.predict(rows), restored)[1] == pytest.approx(
        brightness(pl.DataFrame(rows), restored)[1], abs=40
    )


def test_codes_are_walked(restored):
    x = pictures()["x"]
    way = brightness(restored.interpolate({"x": x[0]}, {"x": x[1]}, steps=5), restored)
    ends = brightness(restored.predict({"x": x[:2]}), restored)
    np.testing.assert_allclose(way[[0, -1]], ends, atol=1.5)
    walk = restored.traverse({"x": x[0]}, 2, values=(-1.0, 0.0, 1.0))
    assert walk.height == 3
    with pytest.raises(PlanError, match="number = 4: expected a whole number, 0 to 3"):
        restored.traverse({"x": x[0]}, 4)
    with pytest.raises(PlanError, match="2 or more"):
        restored.interpolate({"x": x[0]}, {"x": x[1]}, steps=1)
    with pytest.raises(DataError, match="a single row"):
        restored.traverse(pl.DataFrame({"x": x[:2]}), 0)


def test_rows_are_compressed_to_as_many_bytes_as_told(restored):
    rows = {"x": pictures()["x"]}
    kept = restored.compress(rows, bits=8)
    assert len(kept) - len(restored.compress({"x": rows["x"][:60]}, bits=8)) == 60 * 4
    back = brightness(restored.decompress(kept), restored)
    np.testing.assert_allclose(back, brightness(restored.predict(rows), restored), atol=6)
    told = restored.compression(rows, bits=(1, 8))
    assert told["bytes"].to_list() == [0.5, 4.0]
    assert told["psnr"][1] > told["psnr"][0]
    assert told["psnr"][1] == pytest.approx(restored.evaluate(rows, show=False)["psnr"], abs=0.5)
    with pytest.raises(DataError, match="no rows that a model has compressed"):
        restored.decompress(b"nonsense")
    with pytest.raises(DataError, match="compressed to 3 numbers, and this model's codes have 4"):
        restored.decompress(packed(np.zeros((5, 3), np.float32), 8, ""))
    with pytest.raises(PlanError, match="bits"):
        restored.compress(rows, bits=0)


def test_codes_are_those_of_one_model(restored, tmp_path):
    kept = restored.compress({"x": pictures()["x"]})
    again = load(restored.save(tmp_path / "m.rv"))
    assert again.decompress(kept).equals(restored.decompress(kept))
    with torch.no_grad():
        next(again.task.parameters()).add_(1e-3)
    with pytest.raises(DataError, match="another model has compressed these rows, of the fingerprint"):
        again.decompress(kept)


def test_on_the_way_what_is_given_changes_as_well():
    plan = rv.plan(pictures(), target="x", inputs=["kind"], epochs=8, rate=5e-3, threads=1)
    plan.targets["x"].head = {"name": "vae", "widths": [16, 16], "code": 2}
    model = rv.fit(plan, progress=False)
    x = pictures()["x"]
    one, other, mixed = ({"x": x[row], "kind": kind} for row, kind in ((0, "below"), (1, "above"), (1, "below")))

    def way(a, b, steps=5):
        return brightness(model.interpolate(a, b, steps=steps), model)

    walked = way(one, other)
    np.testing.assert_allclose(walked[0], way(one, one)[3], atol=0.5)
    np.testing.assert_allclose(walked[-1], way(other, other)[0], atol=0.5)
    assert np.abs(walked[-1] - way(one, mixed)[-1]).max() > 5  # the same picture, with what is given to the first
    np.testing.assert_array_equal(way(one, other, 700)[[0, -1]], walked[[0, -1]])  # several pieces
    assert model.traverse(one, 0).height == 9
    with pytest.raises(PlanError, match="more than their codes"):
        model.decompress(b"")


def test_what_is_found_in_rows_is_told_with_their_codes(restored):
    x = pictures()["x"]
    large = np.repeat(np.repeat(x, 2, 1), 2, 2)
    for call in (
        lambda: restored.interpolate({"x": large[0]}, {"x": x[1]}),
        lambda: restored.traverse({"x": large[0]}, 0),
        lambda: restored.compress({"x": large[:1]}),
        lambda: restored.compression({"x": large[:1]}, bits=(2, 4)),
    ):
        with pytest.warns(RanvierWarning, match="^x: 1 of 1 pictures resized to 8 x 8 pixels$") as told:
            call()
        assert len(told) == 1
        assert told[0].filename == __file__  # of the caller


def test_what_is_strange_is_found(restored):
    usual = pictures(400)["x"]
    strange = np.random.default_rng(1).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    found = restored.anomalies({"x": np.concatenate([usual[200:], strange])}, {"x": usual[:200]}, share=0.02)
    assert found["anomaly"][-50:].all()
    assert found["anomaly"][:200].mean() < 0.1
    assert found["p"].min() == pytest.approx(1 / 201)
    with pytest.raises(PlanError, match="200 clean rows tell of"):
        restored.anomalies({"x": strange}, {"x": usual[:200]}, share=0.001)


@pytest.mark.parametrize("head", ["image", "vae", "gan"])
def test_rows_held_out_stand_for_clean_ones(head, tmp_path):
    x = pictures(200)["x"]
    inputs = ["x"] if head == "image" else []
    plan = rv.plan({"x": x[:120]}, target="x", inputs=inputs, val={"x": x[120:160]}, epochs=3, threads=1)
    plan.targets["x"].head = {"name": head, "widths": [8, 8]}
    model = rv.fit(plan, progress=False)
    rows = {"x": np.concatenate([x[160:], np.random.default_rng(1).integers(0, 256, (10, 8, 8), dtype=np.uint8)])}
    found = load(model.save(tmp_path / "m.rv")).anomalies(rows, share=0.05)
    again = model.anomalies(rows, {"x": x[120:160]}, share=0.05)
    np.testing.assert_allclose(found["strangeness"], again["strangeness"], rtol=1e-5)
    np.testing.assert_allclose(found["p"], again["p"], atol=1 / 41)  # of two that are as strange one may come first
    assert found["p"].min() >= 1 / 41
    with pytest.raises(PlanError, match="40 clean rows tell of"):
        model.anomalies(rows)


def test_of_folds_the_first_network_has_its_own_clean_rows():
    frame = tied(60).select("x", "y")
    model = rv.fit(frame, target=["x", "y"], inputs=["x", "y"], folds=2, epochs=2, threads=1, progress=False)
    assert len(model.usual) == 30
    found = model.anomalies(frame, frame, share=0.5)["strangeness"].to_numpy()  # by the first network
    assert np.abs(model.usual[:, None] - found).min(1).max() < 1e-5


def test_a_model_that_keeps_no_clean_rows_asks_for_some(restored, tmp_path):
    rows = {"x": pictures(20)["x"]}
    with zipfile.ZipFile(restored.save(tmp_path / "m.rv")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert len(restored.usual) > 0
    about = json.loads(parts["model.json"])
    with zipfile.ZipFile(tmp_path / "old.rv", "w") as archive:
        for name, part in (parts | {"model.json": json.dumps(about | {"format": 3}).encode()}).items():
            if name != USUAL:
                archive.writestr(name, part)
    old = load(tmp_path / "old.rv")
    with pytest.raises(PlanError, match="an earlier version saved it; give some, as clean="):
        old.anomalies(rows)
    assert old.anomalies(rows, rows, share=0.5).equals(restored.anomalies(rows, rows, share=0.5))
    plan = rv.plan(tied(40).select("x", "y"), target="y", epochs=1, threads=1)
    assert not len(rv.fit(plan, progress=False).usual)


@pytest.mark.parametrize("kept", [[2.0, 1.0], [np.nan], [[1.0, 2.0]], np.float32([1.0])])
def test_files_with_another_strangeness_are_refused(restored, kept):
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(to_bytes(restored))) as archive, zipfile.ZipFile(content, "w") as other:
        for name in archive.namelist():
            part = save({"strangeness": np.array(kept)}) if name == USUAL else archive.read(name)
            other.writestr(name, part)
    with pytest.raises(FileError, match="ascending order"):
        parse(content.getvalue(), "the file")


@pytest.mark.parametrize(
    ("head", "options"),
    [
        pytest.param("vae", {}, id="vae"),
        pytest.param("gan", {}, id="gan"),
        pytest.param("diffusion", {}, id="diffusion"),
        pytest.param("diffusion", {"objective": "flow"}, id="flow", marks=pytest.mark.slow),
    ],
)
def test_pictures_of_what_is_given(head, options, tmp_path):
    plan = rv.plan(
        pictures(),
        target="x",
        inputs=["kind"],
        epochs=80 if options else {"vae": 40}.get(head, 60),
        rate=3e-3,
        threads=1,
    )
    assert plan.targets["x"].head["name"] == "diffusion"
    plan.targets["x"].head = {"name": head, "widths": [16, 16]} | options
    model = rv.fit(plan, progress=False)
    assert not any("collapse" in note for note in model.notes)
    if head == "gan":
        assert model.report.targets["x"].notes == {}
    drawn = model.sample(20, given={"kind": ["above", "below"]}, seed=3)
    assert drawn["kind"].to_list() == ["above"] * 20 + ["below"] * 20
    halves = brightness(drawn, model)
    assert (halves[:20, 0] > halves[:20, 1]).mean() > 0.9
    assert (halves[20:, 0] < halves[20:, 1]).mean() > 0.9
    again = load(model.save(tmp_path / "m.rv"))
    assert again.sample(20, given={"kind": ["above", "below"]}, seed=3).equals(drawn)
    assert not model.sample(20, given={"kind": ["above", "below"]}, seed=4).equals(drawn)


def test_what_cannot_be_drawn(restored):
    with pytest.raises(PlanError, match="head 'image' of 'x' draws nothing"):
        restored.sample(2)
    plan = rv.plan({"x": mixture(60)}, target="x", inputs=[], types={"x": "vector"}, epochs=1)
    plan.targets["x"].head = SMALL | {"name": "vae"}
    model = rv.fit(plan, progress=False)
    with pytest.raises(PlanError, match="n = 0"):
        model.sample(0)
    with pytest.raises(PlanError, match="without inputs"):
        model.sample(2, given={"kind": "above"})
    with pytest.raises(PlanError, match="seed"):
        model.sample(2, seed="x")
    assert model.sample(3).columns == ["x"]
    with pytest.raises(PlanError, match=r"only .* 'bottleneck' can compress, .* more than their codes: fit one whose"):
        model.compress({"x": mixture(5)})
    assert model.embed({"x": mixture(5)}).shape == (5, 32)


def tied(rows: int = 400) -> pl.DataFrame:
    """y follows from x and kind, and a column of texts that cannot be drawn."""
    chance = np.random.default_rng(0)
    kind = chance.random(rows) < 0.5
    x = chance.normal(size=rows)
    y = np.where(kind, x, -x) + 0.1 * chance.normal(size=rows)
    said = [f"this is what number {i * 7} said of it" for i in range(rows)]
    return pl.DataFrame(
        {"kind": np.where(kind, "same", "other"), "x": x, "y": y, "whole": (10 * x).astype(int), "said": said}
    )


def test_pictures_that_are_restored_are_not_moved():
    x = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    assert rv.plan({"a": x}, target="a", inputs=["a"]).inputs["a"].augment["name"] == "none"


def test_rows_of_a_table_are_drawn_together(tmp_path):
    frame = tied()
    plan = rv.plan(frame, target="*", epochs=120, threads=1)
    assert plan.data.together == ["kind", "x", "y", "whole"]
    assert plan.columns["said"].role == "ignore"
    plan.targets["row"].head.update(widths=[64, 64])
    model = rv.fit(plan, progress=False)
    drawn = model.sample(1_000, seed=1)
    assert drawn.schema == frame.drop("said").schema
    same = drawn.filter(pl.col("kind") == "same")
    assert 0.35 < same.height / drawn.height < 0.65
    assert same.select(pl.corr("x", "y")).item() > 0.85
    assert drawn.filter(pl.col("kind") == "other").select(pl.corr("x", "y")).item() < -0.85
    assert (drawn["whole"] - 10 * drawn["x"]).abs().mean() < 3
    nearest = ((drawn["x"].to_numpy()[:, None] - frame["x"].to_numpy()) ** 2).min(1)
    assert (nearest == 0).mean() < 0.02  # no copies
    again = load(model.save(tmp_path / "rows.rv"))
    assert again.sample(1_000, seed=1).equals(drawn)
    shuffled = frame.with_columns(pl.col("y").shuffle(seed=1))
    found, usual = (again.anomalies(rows, frame)["strangeness"] for rows in (shuffled, frame))
    assert found.mean() > 1.5 * usual.mean()
    assert "denoising_error" in again.evaluate(frame, show=False)
    with pytest.raises(PlanError, match="nothing to embed with"):
        again.embed(frame)


def test_rows_are_drawn_for_what_is_given():
    frame = tied()
    plan = rv.plan(frame, target="*", inputs=["kind"], roles={"whole": "ignore"}, epochs=100, threads=1)
    assert (plan.data.together, list(plan.inputs)) == (["x", "y"], ["kind"])
    plan.targets["row"].head.update(widths=[64, 64])
    model = rv.fit(plan, progress=False)
    drawn = model.sample(300, given={"kind": ["same", "other"]}, seed=1)
    signs = [drawn.filter(pl.col("kind") == kind).select(pl.corr("x", "y")).item() for kind in ("same", "other")]
    assert signs[0] > 0.8
    assert signs[1] < -0.8
    assert model.predict(frame.head(5)).equals(model.predict(frame.head(5)))


def test_what_is_missing_is_neither_strange_nor_usual(restored):
    x = pictures(60)["x"]
    rows = pl.DataFrame(
        {"x": [None, *(picture.tolist() for picture in x[1:])]}, schema={"x": pl.Array(pl.Int64, (8, 8))}
    )
    with pytest.warns(RanvierWarning, match="1 of 60 rows lacks a value"):
        found = restored.anomalies(rows, {"x": x}, share=0.05)
    assert found["p"].null_count() == found["anomaly"].null_count() == 1
    assert found["strangeness"][0] is None
    with pytest.raises(PlanError, match="share = 2"):
        restored.anomalies({"x": x}, {"x": x}, share=2)


def test_a_head_that_draws_has_a_code_of_its_own():
    plan = rv.plan({"x": pictures()["x"]}, target="x", inputs=["x"], epochs=1)
    plan.targets["x"].head = "vae"
    drawing = settle(plan)
    assert drawing.fuse["name"] != "bottleneck"
    drawing.fuse = "bottleneck"
    with pytest.raises(PlanError, match="a code of its own"):
        settle(drawing)


def test_several_targets_without_inputs_are_a_row():
    assert rv.plan(tied(), target=["x", "kind"], inputs=[]).data.together == ["x", "kind"]
    with pytest.raises(PlanError, match=r"'said' is a text .*: leave it out, name inputs"):
        rv.plan(tied(), target=["x", "said"], inputs=[])
    with pytest.raises(DataError, match="rename it"):
        rv.plan(tied().rename({"x": "row"}), target="*")
    with pytest.raises(DataError, match="rename it"):
        rv.plan(tied().rename({"said": "row"}), target=["x", "y"], inputs=[])
    with pytest.raises(PlanError, match="did you mean 'kind'"):
        rv.plan(tied(), target=["x", "kin"], inputs=[])
    with pytest.raises(PlanError, match="no column 'nope'; known: kind, said, whole, x, y"):
        rv.plan(tied(), target="*", inputs=["nope"])
    plan = rv.plan(tied(), target="*")
    again = type(plan).from_toml(str(plan))
    assert again.data.together == plan.data.together


@pytest.fixture(scope="module")
def given():
    """A model of numbers for a category, a number called `row`, and a vector."""
    frame = tied()
    vectors = np.random.default_rng(0).normal(size=(frame.height, 2))
    table = {"kind": frame["kind"].to_list(), "row": frame["whole"].to_list(), "v": vectors, "w": vectors}
    plan = rv.plan(table, target="w", inputs=["kind", "row", "v"], epochs=1, threads=1, types={"w": "vector"})
    plan.targets["w"].head = {"name": "diffusion", "widths": [8, 8]}
    return rv.fit(plan, progress=False)


def test_arrays_and_tuples_are_given_as_lists_are(given):
    rows = {"kind": ["same", "other"], "row": [1, 2], "v": [[0.5, 1.0], [0.0, 2.0]]}
    drawn = given.sample(3, given=rows, seed=1)
    assert drawn.columns == ["kind", "row", "v", "w"]  # what is called as rows of nothing are is there as well
    assert drawn["row"].to_list() == [1, 1, 1, 2, 2, 2]
    others = (
        {"kind": ("same", "other"), "row": (1, 2), "v": tuple(rows["v"])},
        {"kind": np.array(rows["kind"]), "row": np.array([1, 2]), "v": np.array(rows["v"])},
        {"kind": pl.Series(rows["kind"]), "row": torch.tensor([1, 2]), "v": torch.tensor(rows["v"])},
    )
    for other in others:
        again = given.sample(3, given=other, seed=1)
        assert again.select("kind", "row").equals(drawn.select("kind", "row"))
        np.testing.assert_allclose(np.stack(again["w"].to_list()), np.stack(drawn["w"].to_list()), rtol=1e-6)
    one = given.sample(2, given={"kind": "same", "row": np.int64(1), "v": np.array([0.5, 1.0])}, seed=1)
    assert one["row"].to_list() == [1, 1]


def test_a_category_that_was_not_seen_is_refused(given):
    rows = {"kind": ["same", "samme"], "row": [1, 2], "v": [[0.5, 1.0], [0.0, 2.0]]}
    for told in (rows, pl.DataFrame(rows)):
        with pytest.raises(
            DataError, match=r"given kind = 'samme' \(row 1\) was not seen in training; did you mean 'same'"
        ):
            given.sample(2, given=told)
    assert given.sample(2, given=rows | {"kind": ["same", None]})["kind"].to_list() == ["same", "same", None, None]


def test_an_array_may_be_a_single_picture():
    table = pictures(60) | {"v": mixture(60)}
    plan = rv.plan(table, target="v", inputs=["x"], types={"v": "vector"}, epochs=1, threads=1)
    plan.targets["v"].head = {"name": "diffusion", "widths": [8, 8]}
    plan.inputs["x"].encoder["widths"] = [8, 8]
    model = rv.fit(plan, progress=False)
    assert [model.sample(given={"x": table["x"][rows]}).height for rows in (0, slice(3))] == [1, 3]


def test_rows_are_decoded_batch_by_batch(given, monkeypatch):
    sizes, decode = [], type(given.columns["w"]).decode
    monkeypatch.setattr(
        type(given.columns["w"]), "decode", lambda self, said: sizes.append(len(said["value"])) or decode(self, said)
    )
    drawn = given.sample(700, given={"kind": ["same", "other"], "row": [1, 2], "v": [[0.5, 1.0], [0.0, 2.0]]})
    assert (sum(sizes), drawn.height) == (1_400, 1_400)
    assert max(sizes) <= BATCH
