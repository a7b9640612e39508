"""The verbs that write, on a tiny language model and a tiny model of replies."""

from __future__ import annotations

import json
import warnings

import polars as pl
import pytest
from typer.testing import CliRunner

from ranvier.cli.main import app
from ranvier.core.errors import DataError, PlanError, RanvierWarning
from ranvier.model.chat import Chat
from ranvier.model.fit import fit
from ranvier.model.generate import Pen
from ranvier.planning.make import make_plan

TINY = {"layer_width": 16, "depth": 1, "heads": 2, "dropout": 0.0}
RUN = CliRunner()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    lines = pl.DataFrame({"text": [f"{k} and so on and on" for k in range(40)]})
    plan = make_plan(lines, "text", types={"text": "text"}, epochs=2)
    plan.targets["text"].head.update(TINY, window=16)
    speaker = fit(plan, progress=False)
    replies = pl.DataFrame({"prompt": [f"hello {k}" for k in range(40)], "reply": [f"hi {k} 你好" for k in range(40)]})
    plan = make_plan(replies, "reply", types={"prompt": "text", "reply": "text"}, epochs=4)
    plan.targets["reply"].head.update(TINY)
    plan.inputs["prompt"].encoder.update(width=16, depth=1, heads=2)
    replier = fit(plan, progress=False)
    return speaker.save(folder / "speaker.rv"), replier.save(folder / "replier.rv"), speaker, replier


def test_generate_writes_and_counts(models):
    speaker, replier, *_ = models
    one = RUN.invoke(app, ["generate", str(speaker), "3 and", "--seed", "1", "--min-p", "0.1", "--longest", "9"])
    assert one.exit_code == 0, one.output
    assert models[2].generate("3 and", seed=1, min_p=0.1, longest=9) in one.output
    many = RUN.invoke(app, ["generate", str(replier), "hello 3", "-n", "2", "--json"])
    said = json.loads(many.stdout)
    assert said["prompt"] == "hello 3"
    assert len(said["texts"]) == 2


def test_generate_takes_a_row_of_inputs(models):
    how = ["generate", str(models[1]), "--beam", "1", "--longest", "5"]
    by_prompt = RUN.invoke(app, [*how, "hello 3"])
    by_name = RUN.invoke(app, [*how, "--given", "prompt=hello 3"])
    assert by_prompt.exit_code == by_name.exit_code == 0, by_name.output
    assert by_prompt.stdout == by_name.stdout
    two = RUN.invoke(app, [*how, "--given", "prompt=hello 3", "--given", "prompt=hello 4", "--json"])
    assert json.loads(two.stdout)["given"] == ["prompt=hello 3", "prompt=hello 4"]
    first, second = json.loads(two.stdout)["texts"]
    shown = RUN.invoke(app, [*how, "--given", "prompt=hello 3", "--given", "prompt=hello 4"])
    assert shown.stdout == f"prompt=hello 3:\n{first}\n\nprompt=hello 4:\n{second}\n"
    assert json.loads(two.stdout)["texts"][0] == by_prompt.stdout.rstrip("\n")
    with pytest.raises(PlanError, match="give a prompt or, of each input, --given"):
        RUN.invoke(app, [*how, "hello", "--given", "prompt=hello"], catch_exceptions=False)
    with pytest.raises(PlanError, match="did you mean 'prompt'"):
        RUN.invoke(app, [*how, "--given", "promt=hello"], catch_exceptions=False)


def test_generate_avoids_the_texts_of_a_file(models, tmp_path):
    how = ["generate", str(models[0]), "3 and", "--temperature", "0", "--longest", "9"]
    said = RUN.invoke(app, how).stdout.strip()
    pl.DataFrame({"text": [f"3 and{said}", f"3 and {said}"]}).write_csv(tmp_path / "lines.csv")
    other = RUN.invoke(app, [*how, "--avoid", str(tmp_path / "lines.csv"), "--avoid-run", "2"])
    assert other.exit_code == 0, other.output
    assert other.stdout.strip() != said


def test_predict_writes_as_it_is_asked(models, tmp_path):
    pl.DataFrame({"prompt": [f"hello {k}" for k in range(9)]}).write_csv(tmp_path / "new.csv")
    how = ["predict", str(models[1]), str(tmp_path / "new.csv"), "--beam", "1", "--longest", "3", "--json"]
    said = json.loads(RUN.invoke(app, how).stdout)["predictions"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanvierWarning)
        alone = models[3].generate([f"hello {k}" for k in range(9)], beam=1, longest=3)
    assert [row["reply"] for row in said] == alone


def test_evaluate_judges_as_it_is_asked(models, tmp_path):
    rows = pl.DataFrame({"prompt": [f"hello {k}" for k in range(9)], "reply": [f"hi {k} 你好" for k in range(9)]})
    rows.write_csv(tmp_path / "test.csv")
    said = RUN.invoke(app, ["evaluate", str(models[1]), str(tmp_path / "test.csv"), "--longest", "1", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["targets"] == models[3].judge(rows, longest=1).to_dict()["targets"]
    assert json.loads(said.stdout)["targets"] != models[3].judge(rows).to_dict()["targets"]


def test_chat_reads_lines_and_ends(models):
    said = RUN.invoke(app, ["chat", str(models[1]), "--longest", "5"], input="hello 1\n/forget\n\nhello 2\n/quit\nno\n")
    assert said.exit_code == 0, said.output
    assert len(said.stdout.splitlines()) == 2


def test_the_text_to_write_can_be_named(models):
    how = ["--seed", "1", "--longest", "5"]
    one, named = (RUN.invoke(app, ["generate", str(models[0]), "3 and", *how, *more]) for more in ([], ["-t", "text"]))
    assert one.stdout == named.stdout
    with pytest.raises(PlanError, match="target 'texts' is no text that this model writes; did you mean 'text'"):
        RUN.invoke(app, ["generate", str(models[0]), "3 and", "--target", "texts"], catch_exceptions=False)


def test_a_new_line_to_stop_at_is_written_as_in_a_shell(models, monkeypatch):
    seen = []
    monkeypatch.setattr("ranvier.model.model.Model.generate", lambda *_, stop, **how: seen.append(stop) or [""])
    assert RUN.invoke(app, ["generate", str(models[0]), "--stop", r"\n", "--stop", "an end"]).exit_code == 0
    assert seen == [["\n", "an end"]]


def test_a_chat_survives_what_is_no_text_and_no_command(models):
    said = RUN.invoke(app, ["chat", str(models[1]), "--longest", "5"], input=b"hi \xff\xfe\n/bogus\nhello 2\n")
    assert said.exit_code == 0, said.output
    assert len(said.stdout.splitlines()) == 2
    assert "/bogus is no command" in said.stderr


def test_a_chat_remembers_as_many_turns_as_asked(models):
    heard = []

    class Listening(Chat):
        def say(self, prompt):
            heard.append((prompt, len(self.turns)))
            return super().say(prompt)

    talk = Listening(models[3], history=1, longest=4)
    for prompt in ("hello 1", "hello 2", "hello 3"):
        assert "".join(talk.say(prompt)).strip() == talk.turns[-1][1]
    assert [turns for _, turns in heard] == [0, 1, 2]
    talk.forget()
    assert talk.turns == []
    with pytest.raises(PlanError, match="history"):
        Chat(models[3], history=-1)


def test_replies_are_drawn_unless_the_likeliest_is_asked_for(models):
    def said(**how):
        return "".join(Chat(models[3], longest=8, **how).say("hello 1"))

    assert len({said(seed=seed) for seed in range(6)}) > 1
    assert said(seed=1) == said(seed=1)
    likeliest = models[3].generate("hello 1", beam=1, temperature=0.0, no_repeat=4, longest=8)
    assert {said(seed=seed, temperature=0.0) for seed in range(3)} == {likeliest}


def test_a_chat_knows_what_to_avoid_and_tells_once_what_was_found(models):
    reply = "".join(Chat(models[3], temperature=0.0).say("hello 1"))
    with pytest.warns(RanvierWarning, match="1 of 2 texts to avoid is shorter"):
        talk = Chat(models[3], temperature=0.0, avoid=[reply, "a"], avoid_run=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert "".join(talk.say("hello 1")) != reply


def test_a_reply_of_punctuation_alone_is_drawn_again(models, monkeypatch):
    said = iter([[], ["?"], [" ", "…"], ["(", "yes", "!"], ["?"], ["?"], ["?"], ["!"], ["猫"], ["🙂"]])
    monkeypatch.setattr(Pen, "stream", lambda self, prompt: iter(next(said)))
    talk = Chat(models[3])  # which tries its prompt out
    assert list(talk.say("a")) == ["(yes", "!"]
    assert talk.turns == [("a", "(yes!")]
    assert [*talk.say("a")] == ["!"]  # the last of four
    assert [*talk.say("a")] == ["猫"]
    assert [*talk.say("a")] == ["🙂"]


def test_a_chat_refuses_at_once_what_cannot_be_said(models):
    with pytest.raises(PlanError, match="beam = 2 searches for whole texts"):
        Chat(models[3], beam=2, temperature=0.0)
    with pytest.raises(PlanError, match="top_k = 5 is for tokens drawn"):
        Chat(models[3], top_k=5, temperature=0.0)
    with pytest.raises(PlanError, match="history = 'a': the number of turns"):
        Chat(models[3], history="a")
    with pytest.raises(DataError, match="a prompt is a text, not 5"):
        list(Chat(models[3]).say(5))


def test_a_model_that_writes_nothing_is_refused(tmp_path):
    rows = pl.DataFrame({"x": [1.0, 2.0] * 20, "y": ["a", "b"] * 20})
    model = fit(rows, "y", types={"x": "number"}, epochs=1, progress=False)
    with pytest.raises(PlanError, match="writes no text"):
        Chat(model)
    path = model.save(tmp_path / "m.rv")
    with pytest.raises(PlanError, match="writes no text"):
        RUN.invoke(app, ["generate", str(path), "x"], catch_exceptions=False)
