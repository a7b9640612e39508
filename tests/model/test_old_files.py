"""Model files written by earlier versions still load and say the same.

model-1.rv is of a table with every plain type; model-2.rv and later of a number, a category, a text and a picture, to a
category and a number, each written by the last version of its format. `python tests/model/test_old_files.py` writes
that of this version's format, where there is none yet; files that are there stay as they are.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from model.made import mixed
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ranvier.core.errors import RanvierWarning
from ranvier.model.file import FORMAT, READ, USUAL
from ranvier.model.fit import fit
from ranvier.model.model import load
from ranvier.planning.make import make_plan

FIXTURES = Path(__file__).parents[1] / "fixtures"
FILE = FIXTURES / "model-1.rv"


def rows(size: int = 60) -> pl.DataFrame:
    """A number, a category, a date, a set and a vector; to a class, a number and a set."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, size)
    return pl.DataFrame(
        {
            "amount": y + 0.5 * random.normal(size=size),
            "colour": [["red", "blue", None][(k + i // 7) % 3] for i, k in enumerate(y)],
            "day": [f"2024-0{1 + 3 * k}-{1 + i % 28:02}" for i, k in enumerate(y)],
            "tags": [["a", "b"][: 1 + k] for k in y],
            "place": (random.normal(size=(size, 3)) + y[:, None]).tolist(),
            "kind": [["no", "yes"][k] for k in y],
            "price": 10.0 * y + random.normal(size=size),
            "marks": [["x"] * int(k) + ["z"] for k in y],
        }
    )


FEW = pl.DataFrame(
    {
        "amount": [1.2, 0.6, -0.3, None],
        "colour": ["red", "blue", None, "green"],
        "day": ["2024-04-02", "2024-04-11", "2024-01-09", None],
        "tags": [["a", "b"], ["a"], ["a"], ["c"]],
        "place": [[1.0, 1.5, 0.8], [0.5, 0.4, 0.6], [0.1, -0.6, -0.2], None],
    }
)


def write() -> None:
    """Writes the file of this format, if it is a new one. What it says is to be what those before it said."""
    file = FIXTURES / f"model-{FORMAT}.rv"
    if file.exists():
        raise SystemExit(f"{file} is there, and stays as it is")
    frame = mixed(60).select("size", "colour", "said", "picture", "kind", "amount")
    plan = make_plan(frame, ["kind", "amount"], epochs=8, rate=0.02, size="s", threads=1, seed=1)
    plan.fuse = {"name": "mlp", "depth": 1, "layer_width": 8}
    plan.inputs["said"].encoder = {"name": "bag", "width": 8, "buckets": 256}
    plan.inputs["picture"].encoder = {"name": "cnn", "widths": [4, 8]}
    plan.columns["said"].options = {"vocabulary": 64}
    fit(plan, progress=False).save(file)


@pytest.mark.parametrize("version", READ[1:])
def test_files_of_every_format_since_say_what_they_said(version, tmp_path):
    file = FIXTURES / f"model-{version}.rv"
    assert file.stat().st_size <= 60_000
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("model.json"))["format"] == version
    model = load(file)
    rows = pl.read_parquet(FIXTURES / "model-rows.parquet")
    wanted = json.loads((FIXTURES / "model-said.json").read_text())
    again = load(model.save(tmp_path / "again.rv"))
    for one in (model, again):
        said = one.predict(rows).to_dict(as_series=False)
        assert list(said) == list(wanted)
        for name, values in wanted.items():
            assert said[name] == (values if name == "kind" else pytest.approx(values, rel=1e-4, abs=1e-5)), name


def test_a_file_of_format_1_says_what_it_said():
    assert FILE.stat().st_size <= 60_000
    model = load(FILE)
    with pytest.warns(RanvierWarning, match="'green'"):
        out = model.predict(FEW)
    assert out["kind"].to_list() == ["yes", "yes", "no", "no"]
    assert out["marks"].to_list() == [["x", "z"], ["x", "z"], ["z"], ["z"]]
    close = {"rel": 1e-4, "abs": 1e-5}
    assert out["kind_p_yes"].to_list() == pytest.approx([0.996429, 0.969641, 0.008949, 0.276804], **close)
    assert out["price"].to_list() == pytest.approx([12.15055, 9.52763, -2.08540, 5.26657], **close)
    assert out["marks_p_x"].to_list() == pytest.approx([0.958108, 0.877641, 0.081285, 0.388020], **close)
    assert len(model.history) == 20
    assert model.report.on == "validation"
    assert model.test_report.metrics["price.mae"] == pytest.approx(1.66426, **close)
    raw = {name: column.raw for name, column in model.columns.items()}
    assert (raw["amount"], raw["colour"], raw["tags"]) == ("Float64", "String", "List(String)")


@pytest.mark.parametrize("what", ["kind", "coarse"])
def test_diffusion_of_format_3_draws_what_it_drew(what, tmp_path):
    """Before what is seen of inputs was a part of the head, and pictures were seen beside the noisy one."""
    chance = np.random.default_rng(0)
    x = chance.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    table = {"coarse": x[:, ::2, ::2].copy(), "kind": ["a", "b"] * 20, "x": x}
    plan = make_plan({what: table[what], "x": x}, "x", inputs=[what], epochs=1, threads=1)
    plan.targets["x"].head = {"name": "diffusion", "widths": [8, 8], "beside": False}
    model = fit(plan, progress=False)
    with zipfile.ZipFile(model.save(tmp_path / "m.rv")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name != USUAL}
    about, plan_values = json.loads(parts["model.json"]), json.loads(parts["plan.json"])
    del plan_values["targets"]["x"]["head"]["beside"]
    weights = {
        name.replace("conditions.vector.", "given.").replace("conditions.nothing", "nothing"): tensor
        for name, tensor in load_tensors(parts["weights.safetensors"]).items()
    }
    assert {"heads.0.given.weight", "heads.0.given.bias", "heads.0.nothing"} <= weights.keys()
    parts |= {
        "model.json": json.dumps(about | {"format": 3}).encode(),
        "plan.json": json.dumps(plan_values).encode(),
        "weights.safetensors": save_tensors(weights),
    }
    with zipfile.ZipFile(tmp_path / "old.rv", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    given = {what: list(table[what][:3])}
    old = load(tmp_path / "old.rv")
    assert old.sample(given=given, seed=1).equals(model.sample(given=given, seed=1))
    assert load(old.save(tmp_path / "new.rv")).plan == old.plan


@pytest.mark.parametrize("step", [1, 2])
def test_pictures_of_format_4_are_what_they_were(step, tmp_path):
    """Before what the image head says was added to the picture that it is made from, and said at a larger size."""
    chance = np.random.default_rng(0)
    x = chance.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    given = x[:, ::step, ::step] // 2
    plan = make_plan({"noisy": given, "x": x}, "x", inputs=["noisy"], epochs=1, threads=1, size="s")
    plan.targets["x"].head = {"name": "image", "residual": False, "zoom": 1}
    model = fit(plan, progress=False)
    with zipfile.ZipFile(model.save(tmp_path / "m.rv")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    about, plan_values = json.loads(parts["model.json"]), json.loads(parts["plan.json"])
    for option in ("residual", "zoom"):
        del plan_values["targets"]["x"]["head"][option]
    parts["model.json"] = json.dumps(about | {"format": 4}).encode()
    parts["plan.json"] = json.dumps(plan_values).encode()
    with zipfile.ZipFile(tmp_path / "old.rv", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    few = {"noisy": given[:2]}
    assert load(tmp_path / "old.rv").predict(few).equals(model.predict(few))


@pytest.mark.parametrize("inputs", [[], ["source"]])
def test_texts_written_before_there_were_n_grams_are_what_they_were(inputs, tmp_path):
    """Their plan does not name the option, and their weights hold no table."""
    table = {"source": ["one two", "two", "three one"] * 9, "text": ["a b", "b", "c a"] * 9}
    types = dict.fromkeys([*inputs, "text"], "text")
    plan = make_plan(table, "text", inputs=inputs, types=types, epochs=1, threads=1, size="s")
    plan.targets["text"].head.update(layer_width=16, depth=1, grams=0)
    model = fit(plan, progress=False)
    with zipfile.ZipFile(model.save(tmp_path / "m.rv")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    plan_values = json.loads(parts["plan.json"])
    del plan_values["targets"]["text"]["head"]["grams"]
    parts["plan.json"] = json.dumps(plan_values).encode()
    with zipfile.ZipFile(tmp_path / "old.rv", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    old, how = load(tmp_path / "old.rv"), {"longest": 5, "temperature": 0.0}
    prompt = "one" if inputs else "a"
    assert old.plan.targets["text"].head["grams"] == 0
    assert old.generate(prompt, beam=1, **how) == model.generate(prompt, beam=1, **how)
    assert old.evaluate(table, show=False) == model.evaluate(table, show=False)


if __name__ == "__main__":
    write()
