"""Words in, tags out: from data to a saved model, with every encoder, and what does not fit."""

from __future__ import annotations

import random

import polars as pl
import pytest

import ranvier as rv
from ranvier.core.errors import DataError, PlanError
from ranvier.model.fit import fit

SMALL = {"progress": False, "threads": 1, "batch": 16}


def sentences(rows: int = 160, seed: int = 0) -> pl.DataFrame:
    """Words whose ending tells their tag, and names that begin with a title; a topic that one of the words tells."""
    chance = random.Random(seed)
    tokens, tags, topics = [], [], []
    for _ in range(rows):
        words, labels = [], []
        topic = chance.choice(["sea", "land"])
        for _ in range(chance.randint(2, 6)):
            if chance.random() < 0.3:
                words += [chance.choice(["Mr", "Dr"]), "".join(chance.choices("ABCDE", k=4))]
                labels += ["B-name", "I-name"]
            else:
                words.append("".join(chance.choices("abcde", k=3)) + chance.choice(["ing", "ed"]))
                labels.append("O")
        tokens.append([*words, topic])
        tags.append([*labels, "O"])
        topics.append(topic)
    return pl.DataFrame({"words": tokens, "tags": tags, "topic": topics})


@pytest.fixture(scope="module")
def tagger():
    """A model of tags, its encoder an LSTM."""
    return fit(sentences().drop("topic"), "tags", epochs=8, **SMALL)


def test_words_are_kept_beside_their_tags(tagger, tmp_path):
    rows = sentences(5, seed=3).drop("tags")
    said = tagger.predict(rows, keep="words")
    assert said.columns[:2] == ["words", "tags"]
    assert said["words"].list.len().to_list() == said["tags"].list.len().to_list()
    for name in ("tags.parquet", "tags.csv"):
        path = tagger.predict(rows, keep="words", to=tmp_path / name)
        assert len(pl.read_parquet(path) if name.endswith("t") else pl.read_csv(path)) == 5
    assert pl.read_parquet(tmp_path / "tags.parquet")["words"].to_list() == rows["words"].to_list()


def test_it_learns_endings_of_words_that_it_never_saw(tagger):
    figures = tagger.evaluate(sentences(60, seed=1), show=False)
    assert figures["accuracy"] > 0.97
    assert figures["f1"] > 0.95
    assert list(tagger.judge(sentences(20, seed=2)).targets["tags"].headline) == [
        "accuracy",
        "f1",
        "precision",
        "recall",
    ]


def test_predictions_are_lists_as_long_as_the_words(tagger):
    rows = pl.DataFrame({"words": [["Dr", "AAAA", "running"], [], None, ["walked"]]})
    said = tagger.predict(rows)
    assert said["tags"].to_list() == [["B-name", "I-name", "O"], [], [], ["O"]]
    assert said["tags_confidence"].list.len().to_list() == [3, 0, 0, 1]
    frame = rows[[0, 3]].to_pandas()
    frame.index = ["a", "b"]
    assert list(tagger.predict(frame).index) == ["a", "b"]


def test_a_model_of_tags_goes_round_the_disk(tagger, tmp_path):
    rows = sentences(30, seed=3)
    again = rv.load(tagger.save(tmp_path / "tags.rv"))
    assert again.predict(rows).equals(tagger.predict(rows))
    written = pl.read_csv(tagger.predict(rows, to=tmp_path / "out.csv"))
    assert written["tags"].str.split(" ").to_list() == tagger.predict(rows)["tags"].to_list()
    as_truth = rows.select("words").with_columns(written["tags"])  # as the command line reads it again
    assert tagger.evaluate(as_truth, show=False)["accuracy"] == 1
    assert again.evaluate(rows, show=False) == tagger.evaluate(rows, show=False)


@pytest.mark.parametrize("encoder", ["rnn", "gru", "transformer"])
def test_any_encoder_of_tokens_and_a_second_target(encoder):
    plan = rv.plan(sentences(), ["tags", "topic"], epochs=6, threads=1, batch=16)
    plan.inputs["words"].encoder = {"name": encoder, "width": 32, "dropout": 0.1}
    figures = fit(plan, progress=False).evaluate(sentences(60, seed=1), show=False)
    assert figures["tags.accuracy"] > 0.9
    assert figures["topic.accuracy"] > 0.9


@pytest.mark.parametrize("crf", [True, False])
def test_subwords_and_softmax(crf):
    plan = rv.plan(sentences().drop("topic"), "tags", epochs=6, threads=1, batch=16)
    plan.columns["words"].options = {"units": "subwords", "vocabulary": 300}
    plan.targets["tags"].head["crf"] = crf
    model = fit(plan, progress=False)
    assert model.evaluate(sentences(60, seed=1), show=False)["accuracy"] > 0.9
    said = model.predict(sentences(20, seed=2))
    assert said["tags"].list.len().to_list() == sentences(20, seed=2)["words"].list.len().to_list()


def test_rows_that_do_not_match_do_not_count_and_are_told():
    rows = sentences().drop("topic")
    odd = rows.with_columns(pl.Series("tags", [["O"], *rows["tags"].to_list()[1:]]))
    model = fit(odd, "tags", epochs=1, split="none", **SMALL)
    told = "1 of 160 rows has another number of tags than 'words' has words, such as row 0 with 1 for"
    assert any(told in note for note in model.notes)
    report = model.judge(odd[:5])
    assert report.targets["tags"].rows == 4
    assert report.targets["tags"].missing == 1
    assert any("another number of tags" in note for note in report.notes)
    with pytest.raises(DataError, match="none of the 1 rows"):
        model.judge(odd[:1])


def test_labels_that_break_iob2_are_refused():
    rows = pl.DataFrame({"words": [["a", "b"], ["c", "a"]] * 20, "tags": [["O", "I-x"], ["B-x", "O"]] * 20})
    with pytest.raises(DataError, match=r"target 'tags': row \d+ has I-x after O.*constrained = False"):
        fit(rows, "tags", types={"words": "words", "tags": "tags"}, epochs=1, **SMALL)


def test_tags_without_words_are_refused():
    rows = sentences().with_columns(text=pl.col("words").list.join(" "))
    with pytest.raises(
        PlanError, match=r"a column of words; there is none: if '.*' is one, say so: types=\{'.*': 'words'\}"
    ):
        rv.plan(rows, "tags", inputs=["text"], types={"text": "text"})
    with pytest.raises(PlanError, match="head 'tags' makes no folds"):
        rv.plan(rows, "tags", inputs=["words"], folds=3)


def test_words_alone_tell_a_category():
    model = fit(sentences(), "topic", inputs=["words"], epochs=12, **SMALL)
    figures = model.evaluate(sentences(40, seed=1), show=False)
    assert figures["accuracy"] > 0.9


def test_strings_with_spaces_from_a_file(tmp_path):
    rows = sentences()
    joined = rows.select(pl.col("words").list.join(" "), pl.col("tags").list.join(" "))
    joined.write_csv(tmp_path / "rows.csv")
    model = fit(tmp_path / "rows.csv", "tags", types={"words": "words", "tags": "tags"}, epochs=4, **SMALL)
    assert model.predict(tmp_path / "rows.csv")["tags"].list.len().to_list() == rows["tags"].list.len().to_list()
