"""`rv.embeddings`, and models that start from them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier.columns.words import UNKNOWN
from ranvier.core import registry
from ranvier.core.errors import DataError, FileError, PlanError
from ranvier.model.fit import fit
from ranvier.model.model import load
from ranvier.planning.reasons import GIVEN
from ranvier.planning.settle import NO_START

TOPICS = {
    "sea": ["wave", "ship", "sailor", "harbour", "anchor", "tide"],
    "farm": ["wheat", "plough", "barn", "cattle", "meadow", "harvest"],
    "song": ["melody", "violin", "chorus", "rhythm", "singer", "piano"],
}


def texts(rows: int = 400, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(TOPICS[t], 8)) for t in random.choice(list(TOPICS), rows)]


@pytest.fixture(scope="module")
def words() -> rv.Embeddings:
    return rv.embeddings(texts(), width=16, epochs=20, progress=False)


def test_words_of_a_topic_are_nearest(words):
    for topic in TOPICS.values():
        for word in topic:
            assert {near for near, _ in words.nearest(word, 5)} == set(topic) - {word}


def test_unknown_words_lie_by_their_parts(words):
    for known, unknown in (("sailor", "sailors"), ("harvest", "harvested"), ("melody", "melodic")):
        assert words.nearest(unknown, 1)[0][0] == known
    alone = rv.embeddings(texts(20), ngrams=(0, 0), epochs=1, progress=False)
    with pytest.raises(DataError, match="'sailors' has no vector"):
        alone.vector("sailors")


def test_chinese_without_spaces():
    random = np.random.default_rng(0)
    lines = ["".join(random.choice(list(t), 8)) for t in random.choice(["江河湖海洋", "金银铜铁锡"], 300)]
    found = rv.embeddings(lines, width=8, epochs=20, progress=False)
    assert {near for near, _ in found.nearest("河", 4)} == set("江湖海洋")


def test_same_seed_same_vectors():
    one, again, other = (rv.embeddings(texts(40), width=8, epochs=2, seed=seed, progress=False) for seed in (0, 0, 1))
    assert np.array_equal(one.vectors, again.vectors)
    assert not np.array_equal(one.vectors, other.vectors)


def test_time_is_kept(capsys):
    found = rv.embeddings(texts(), width=8, epochs=1e9, time="1s")
    assert len(found) == 18
    assert "loss" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"width": 0}, "width = 0: expected a whole number"),
        ({"window": 1.5}, "window = 1.5"),
        ({"negatives": True}, "negatives = True"),
        ({"least": 0}, "least = 0"),
        ({"epochs": 0}, "epochs = 0"),
        ({"rate": -1.0}, "rate = -1.0"),
        ({"ngrams": (6, 3)}, r"ngrams = \(6, 3\): expected two lengths"),
        ({"ngrams": 3}, "ngrams = 3"),
        ({"time": "soon"}, "time = 'soon'"),
    ],
)
def test_refused(how, match):
    with pytest.raises(PlanError, match=match):
        rv.embeddings(["a b"], **how)


# ---- to start from


def rows(lists: bool = False) -> pl.DataFrame:
    said = texts(120, seed=1)
    y = [next(name for name, topic in TOPICS.items() if text.split()[0] in topic) for text in said]
    return pl.DataFrame({"said": [text.split() for text in said] if lists else said, "y": y})


def plan(frame: pl.DataFrame, encoder: dict | str, **types: str):
    made = rv.plan(frame, target="y", inputs=["said"], epochs=1, threads=1, types=types or None)
    made.inputs["said"].encoder = encoder
    return made


def test_a_transformer_is_made_as_wide_as_they_are(words):
    wide = rv.Embeddings(words.words, np.tile(words.vectors, (1, 3))[:, :36])
    model = fit(plan(rows(lists=True), {"name": "transformer"}, said="words"), init=wide, progress=False)
    encoder = model.plan.inputs["said"].encoder
    assert (encoder["width"], encoder["heads"]) == (36, 1)
    assert any("start from the given vectors of words" in note for note in model.notes)


def test_text_starts_from_them(words):
    model = fit(plan(rows(), {"name": "lstm", "embedding": 16, "width": 8}), init=words, progress=False)
    (note,) = (note for note in model.notes if note.startswith("init: "))
    assert "tokens of 'said' start from the given vectors of words; with types={'said': 'words'} words are" in note
    assert int(note.split()[1].replace(",", "")) >= 18


def test_words_start_from_them(words):
    made = plan(rows(lists=True), {"name": "gru", "embedding": 16, "width": 8}, said="words")
    made.train.rate = 1e-9
    made.train.decay = 0.0
    model = fit(made, init=words, progress=False)
    assert f"init: 18 of {18 + UNKNOWN + 1} tokens of 'said' start from the given vectors of words" in model.notes
    table = model.task.encoders[0].read.embedding.weight.detach().numpy()
    place = UNKNOWN + 1 + model.columns["said"].words.index("wave")
    one, other = table[place], words.vector("wave") - words.vectors.mean(0)
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) == pytest.approx(1, abs=1e-4)


def test_words_that_training_rows_lack_are_known_by_their_vectors(words):
    few = rows(lists=True).head(3)
    made = plan(pl.concat([few] * 8), {"name": "gru", "embedding": 16, "width": 8}, said="words")
    model = fit(made, init=words, progress=False)
    lacking = 18 - few["said"].explode().n_unique()
    assert lacking > 0
    assert f"init: {lacking} words that the training rows of 'said' lack are known by their vectors" in model.notes
    assert sorted(model.columns["said"].words) == sorted(words.words)
    made = plan(rows(lists=True), {"name": "gru", "embedding": 16, "width": 8}, said="words")
    made.columns["said"].options = {"vocabulary": 12}
    assert len(fit(made, init=words, progress=False).columns["said"].words) < 12


def test_subwords_start_from_them(words):
    made = plan(rows(lists=True), {"name": "transformer", "width": 16, "depth": 1, "heads": 2}, said="words")
    made.columns["said"].options = {"units": "subwords"}
    model = fit(made, init=words, progress=False)
    assert any(note.startswith("init: ") and "'said'" in note for note in model.notes)


def test_they_are_read_from_a_path(words, tmp_path):
    made = rv.plan(rows(), target="y", inputs=["said"], epochs=1, threads=1, init=words)
    path = words.save(tmp_path / "words.safetensors")
    for one in (path, str(path)):
        model = fit(made, init=one, progress=False)
        assert any("start from the given vectors of words" in note for note in model.notes)
    with pytest.raises(FileError, match=r"there is no file .*none\.txt"):
        fit(made, init=tmp_path / "none.txt", progress=False)
    with pytest.raises(FileError, match=r"none\.rv"):
        fit(made, init="none.rv", progress=False)
    with pytest.raises(PlanError, match=r"init = 'words\.txt': expected a model, .*embeddings_from\('words.txt'\)"):
        rv.plan(rows(), target="y", init="words.txt")


def test_by_default_the_encoder_is_made_for_them(words):
    made = rv.plan(rows(), target="y", inputs=["said"], epochs=1, threads=1, init=words)
    encoder = made.inputs["said"].encoder
    assert (encoder["name"], encoder["width"]) == ("bag", 16)
    assert made.why["inputs.said.encoder.width"].why == GIVEN
    model = fit(made, init=words, progress=False)
    assert any("start from the given vectors of words" in note for note in model.notes)
    assert NO_START not in model.notes
    assert NO_START in fit(made, progress=False).notes
    made = rv.plan(rows(), target="y", inputs=["said"], epochs=1, threads=1)
    assert made.inputs["said"].encoder["width"] == 32
    assert fit(made, init=words, progress=False).plan.inputs["said"].encoder["width"] == 16


def test_the_encoder_gives_what_a_head_of_another_name_than_its_column_asks_for(words, monkeypatch):
    monkeypatch.setitem(registry.TABLES["head"], "labels", registry.TABLES["head"]["tags"])
    monkeypatch.delitem(registry.TABLES["head"], "tags")
    tagged = rows(lists=True).select("said", tags=pl.col("said").list.eval(pl.lit("a")))
    types = {"said": "words", "tags": "tags"}
    made = rv.plan(tagged, target="tags", types=types, epochs=1, threads=1, init=words)
    assert made.targets["tags"].head["name"] == "labels"
    assert made.inputs["said"].encoder["name"] == "lstm"


def test_a_head_that_reads_each_word_gets_an_encoder_that_gives_it(words):
    tagged = rows(lists=True).select("said", tags=pl.col("said").list.eval(pl.lit("a")))
    types = {"said": "words", "tags": "tags"}
    made = rv.plan(tagged, target="tags", types=types, epochs=1, threads=1, init=words)
    encoder = made.inputs["said"].encoder
    assert (encoder["name"], encoder["embedding"]) == ("lstm", 16)


def test_a_bag_of_words_starts_from_them(words):
    made = plan(rows(lists=True), {"name": "bag", "width": 16}, said="words")
    made.train.rate = 1e-9
    model = fit(made, init=words, progress=False)
    assert f"init: 18 of {18 + UNKNOWN + 1} tokens of 'said' start from the given vectors of words" in model.notes
    bag = model.task.encoders[0].bag
    table = bag.table.weight.detach().numpy()
    one = table[UNKNOWN + 1 + model.columns["said"].words.index("wave")]
    other = words.vector("wave") - words.vectors.mean(0)
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) == pytest.approx(1, abs=1e-4)
    assert np.abs(table[bag.size :]).max() < 1e-6  # n-grams of several words still say nothing


def test_what_does_not_fit(words):
    with pytest.raises(PlanError, match=r"are 16 wide, and .* 8: set inputs.said.encoder.embedding = 16"):
        fit(plan(rows(), {"name": "lstm", "embedding": 8}), init=words, progress=False)
    with pytest.raises(PlanError, match=r"set inputs.said.encoder.width = 16"):
        fit(plan(rows(), {"name": "transformer", "width": 32}), init=words, progress=False)
    with pytest.raises(PlanError, match=r"set inputs.said.encoder.width = 16"):
        fit(plan(rows(), {"name": "bag", "width": 8}), init=words, progress=False)
    numbers = pl.DataFrame({"said": np.arange(40) / 7, "y": ["a", "b"] * 20})
    with pytest.raises(PlanError, match="give a text the encoder lstm"):
        fit(numbers, target="y", epochs=1, init=words, progress=False)


def test_a_run_keeps_them(words, tmp_path):
    made = plan(rows(), {"name": "lstm", "embedding": 16, "width": 8})
    model = fit(made, init=words, progress=False, folder=tmp_path / "run")
    kept = rv.embeddings_from(tmp_path / "run" / "init.safetensors")
    assert np.array_equal(kept.vector("sailors"), words.vector("sailors"))
    resumed = fit(made, progress=False, folder=tmp_path / "run", resume=True)
    first, second = (m.predict(rows())["y_confidence"].to_numpy() for m in (model, resumed))
    assert np.array_equal(first, second)
    assert load(tmp_path / "run" / "model.rv").parameters == model.parameters
