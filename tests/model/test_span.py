"""Questions and passages in, answers out: from data to a saved model, in files and in any script."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest
import torch
from small_models import text_model

import ranvier as rv
from ranvier.cli.main import main
from ranvier.core.errors import DataError, PlanError
from ranvier.model.fit import fit

SMALL = {"progress": False, "threads": 1, "size": "s"}
NAMES = ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay"]
TEXTS = {"passage": "text", "question": "text"}
ASKED = ["Who sees the {}?", "Tell me who sees a {}!", "The {} is seen by whom?"]


def questions(rows: int = 500, seed: int = 0) -> pl.DataFrame:
    """Who of two sees what: told by the question alone, and sometimes by nobody."""
    chance = random.Random(seed)
    made = []
    for _ in range(rows):
        who, what = chance.sample(NAMES, 2), chance.sample(["cat", "dog", "sea", "sun"], 3)
        passage = f"{who[0]} sees the {what[0]}, {who[1]} sees the {what[1]}."
        k = chance.choices([0, 1, 2], [2, 2, 1])[0]
        answer = {"start": passage.index(who[k]), "text": who[k]} if k < 2 else {"start": None, "text": ""}
        made.append({"passage": passage, "question": chance.choice(ASKED).format(what[k]), "answer": answer})
    return pl.DataFrame(made)


@pytest.fixture(scope="module")
def model():
    """A model of these questions."""
    return fit(questions(), "answer", types=TEXTS, epochs=40, **SMALL)


def test_it_learns_to_read_the_question(model):
    head = model.plan.targets["answer"].head
    assert (head["name"], head["of"], head["others"]) == ("span", "passage", True)
    assert model.plan.why["targets.answer.head.of"].why.startswith("the longest text among the inputs")
    assert model.plan.columns["passage"].options["spans"] is True
    report = model.judge(questions(100, seed=1))
    assert report.targets["answer"].kind == "span"
    assert report.metrics["exact_match"] > 0.9
    assert report.metrics["f1"] >= report.metrics["exact_match"]
    asked = pl.DataFrame({"passage": ["Ann sees the cat, Bob sees the dog."] * 3, "question": ASKED})
    told = asked.with_columns(pl.Series("question", [f"Who sees the {w}?" for w in ("cat", "dog", "cat")]))
    said = model.predict(told)
    assert said.columns == ["answer", "answer_start", "answer_end", "answer_confidence"]
    assert said["answer"].to_list() == ["Ann", "Bob", "Ann"]
    assert said["answer_start"].to_list() == [0, 18, 0]
    assert said["answer_end"].to_list() == [3, 21, 3]


def test_a_model_of_answers_goes_round_the_disk(model, tmp_path):
    rows = questions(20, seed=2)
    again = rv.load(model.save(tmp_path / "qa.rv"))
    assert again.predict(rows).equals(model.predict(rows))
    assert again.evaluate(rows, show=False) == model.evaluate(rows, show=False)
    written = pl.read_csv(model.predict(rows, to=tmp_path / "out.csv", keep="question"))
    assert written["answer"].fill_null("").to_list() == model.predict(rows)["answer"].to_list()
    with pytest.raises(DataError, match="'answer_start' is a column of the answers"):
        model.predict(rows.with_columns(answer_start=1), keep="answer_start")


def test_rows_that_tell_nothing(model):
    rows = pl.DataFrame({"passage": ["", None, "Ann sees the cat."], "question": ["Who?", "Who?", None]})
    said = model.predict(rows)
    assert said["answer"].to_list()[:2] == ["", ""]
    assert said["answer_start"].to_list()[:2] == [None, None]


def test_answers_as_strings_and_those_that_are_not_there():
    rows = questions(60).with_columns(pl.col("answer").struct.field("text").alias("answer"))
    odd = rows.with_columns(pl.Series("answer", ["nobody", None, *rows["answer"].to_list()[2:]], dtype=pl.String))
    model = fit(odd, "answer", types={"answer": "span", **TEXTS}, epochs=1, split="none", **SMALL)
    told = "answer: 1 of 60 answers does not stand in 'passage' as said, such as row 0 with 'nobody'; they do not count"
    assert told in model.notes
    report = model.judge(odd[:5])
    assert (report.targets["answer"].rows, report.targets["answer"].missing) == (3, 2)
    assert any("not stand in 'passage'" in note for note in report.notes)
    with pytest.raises(DataError, match="none of the 1 rows"):
        model.judge(odd[:1])


def test_answers_beyond_what_is_read_are_told_and_count_as_wrong():
    rows = questions(60)
    plan = rv.plan(rows, "answer", types=TEXTS, epochs=1, threads=1, size="s", split="none")
    plan.inputs["passage"].encoder = {"name": "lstm", "limit": 4}
    model = fit(plan, progress=False)
    assert any("answers lie beyond the tokens that are read of 'passage'" in note for note in model.notes)
    report = model.judge(rows)
    assert (report.targets["answer"].rows, report.targets["answer"].missing) == (60, 0)
    plan.inputs["passage"].encoder = {"name": "lstm"}
    plan.columns["passage"].options["length"] = 4
    assert any("answers lie beyond the tokens" in note for note in fit(plan, progress=False).notes)


def test_any_script():
    """Answers in decomposed letters, pictures and a script without spaces are cut out as they stand."""
    names, things = ["小明", "Rene\u0301", "👩\u200d🚀", "한\u1100\u1161"], ["猫", "狗", "海"]
    chance, made = random.Random(0), []
    for _ in range(240):
        name, thing = chance.choice(names), chance.choice(things)
        passage = f"{chance.choice(['昨天', '🙂今天', 'Hier '])}{name}在北京看见{thing}。"
        made.append({"passage": passage, "answer": {"start": passage.index(name), "end": passage.index("在")}})
    rows = pl.DataFrame(made)
    model = fit(rows, "answer", types={"passage": "text"}, epochs=20, rate=3e-3, **SMALL)
    assert model.plan.targets["answer"].head["others"] is False
    assert model.evaluate(rows, show=False)["exact_match"] > 0.95
    said = model.predict(rows[:40])
    for row, text, start, end in zip(rows["passage"][:40], *said.get_columns()[:3], strict=True):
        assert row[start:end] == text
        assert text in names


def test_the_command_line_reads_questions_from_a_file(tmp_path, capsys):
    rows = questions(60).with_columns(pl.col("answer").struct.field("text").alias("answer"))
    lines = [json.dumps(row) for row in rows.to_dicts()]
    (tmp_path / "qa.jsonl").write_text("\n".join(lines))
    out = tmp_path / "qa.rv"
    asked = [
        str(tmp_path / "qa.jsonl"),
        "--target",
        "answer",
        "--types",
        "answer=span,passage=text,question=text",
        "--size",
        "s",
    ]
    assert main(["fit", *asked, "--epochs", "1", "-o", str(out)]) in (0, None)
    assert main(["evaluate", str(out), str(tmp_path / "qa.jsonl")]) in (0, None)
    assert "exact_match" in capsys.readouterr().out


def test_records_of_a_file_stay_answers(tmp_path):
    rows = questions(30).to_dicts()
    rows[0]["answer"] = None
    (tmp_path / "qa.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    plan = rv.plan(tmp_path / "qa.jsonl", "answer")
    assert plan.columns["answer"].type == "span"
    assert "answer.text" not in plan.columns


def test_what_cannot_be_is_refused():
    rows = questions(40).with_columns(number=pl.int_range(40) % 7 / 2)
    with pytest.raises(PlanError, match="answers within a text that is an input; there is none"):
        rv.plan(rows, "answer", inputs=["number"])
    with pytest.raises(PlanError, match="head 'span' makes no folds"):
        rv.plan(rows, "answer", inputs=["passage"], types={"passage": "text"}, folds=3)
    with pytest.raises(PlanError, match="leave it out of the inputs"):
        rv.plan(rows, "number", inputs=["answer"])
    for place in ("number", "elsewhere"):
        plan = rv.plan(rows, "answer", inputs=["passage", "number"], types={"passage": "text"}, threads=1, epochs=1)
        plan.targets["answer"].head["of"] = place
        with pytest.raises(PlanError, match="name an input that is a column of type 'text'"):
            fit(plan, progress=False)
    plan = rv.plan(rows, "answer", inputs=["passage"], types={"passage": "text"}, threads=1, epochs=1)
    plan.columns["passage"].options["spans"] = False
    with pytest.raises(PlanError, match="answers within it need True"):
        fit(plan, progress=False)


def test_a_category_beside_the_answer():
    rows = questions(60).with_columns(topic=pl.Series(["x", "y"] * 30))
    model = fit(rows, ["answer", "topic"], types=TEXTS, epochs=1, **SMALL)
    said = model.predict(rows)
    assert {"answer", "answer_start", "topic"} <= set(said.columns)
    assert torch.isfinite(torch.tensor(said["answer_confidence"].to_list())).all()


def test_why_no_answer_tells_anything_is_said(model):
    rows = pl.DataFrame({"p": [f"the day {i} was fine" for i in range(40)], "a": ["zebra"] * 40})
    with pytest.raises(DataError, match=r"none of the 8 validation rows .* answers do not stand in 'p' as said"):
        fit(rows, "a", types={"p": "text", "a": "span"}, epochs=1, progress=False)
    strange = questions(4).with_columns(pl.lit("zebra").alias(next(iter(model.plan.targets))))
    with pytest.raises(DataError, match=r"none of the 4 rows has a truth .* do not stand in"):
        model.evaluate(strange, show=False)


@pytest.mark.parametrize("train", ["none", "lora"])
def test_a_pretrained_encoder_finds_answers_though_its_texts_end_in_a_sign_of_its_own(tmp_path, train):
    pytest.importorskip("transformers")
    folder = text_model(tmp_path / "model")
    rows = pl.DataFrame({"passage": ["the film was good", "a bad dog"] * 20, "answer": ["film", "dog"] * 20})
    plan = rv.plan(rows, "answer", inputs=["passage"], types={"passage": "text", "answer": "span"}, epochs=30)
    plan.inputs["passage"].encoder = {"name": "pretrained", "model": str(folder), "train": train}
    model = fit(plan, progress=False)
    assert not any("beyond" in note for note in model.notes)
    assert model.predict(rows)["answer"].to_list() == rows["answer"].to_list()
