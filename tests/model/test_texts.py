"""Texts out: a language model and texts from texts, tables and pictures, on small made-up data."""

from __future__ import annotations

import math
import pathlib
import random
import re
import time as clock
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier.core.errors import DataError, PlanError, RanvierWarning
from ranvier.model import fit as fit_module
from ranvier.model.fit import fit
from ranvier.model.held import hold_out
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle

TINY = {"layer_width": 32, "depth": 1, "heads": 2, "dropout": 0.0}
WORDS = {"one": "un", "two": "deux", "red": "rouge", "cat": "chat", "猫": "chat", "🙂": "sourire", "قط": "chat"}


def pairs(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Words in one order and their translations, in the same."""
    chance = random.Random(seed)
    said = [chance.choices(list(WORDS), k=chance.randint(1, 3)) for _ in range(rows)]
    return pl.DataFrame({"source": [" ".join(w) for w in said], "reply": [" ".join(WORDS[x] for x in w) for w in said]})


def planned(data, target, *, head=(), types=None, **settings):
    plan = make_plan(data, target, types=types or {}, **settings)
    plan.targets[target].head.update({**TINY, **dict(head)})
    return plan


@pytest.fixture(scope="module")
def translator():
    plan = planned(pairs(2000), "reply", types={"source": "text", "reply": "text"}, epochs=12, batch=32, rate=5e-3)
    plan.inputs["source"].encoder.update(width=32, depth=1, heads=2, dropout=0.0, word_dropout=0.0)
    return fit(plan, progress=False)


@pytest.fixture(scope="module")
def speaker():
    lines = [f"the {colour} {beast} sees 猫 and 🙂." for colour in ("red", "blue") for beast in ("cat", "dog")] * 30
    plan = planned(pl.DataFrame({"text": lines}), "text", types={"text": "text"}, epochs=40, batch=4)
    plan.targets["text"].head["window"] = 32
    return fit(plan, progress=False)


def test_texts_are_translated(translator):
    fresh = pairs(40, seed=1)
    figures = translator.evaluate(fresh, show=False)
    assert set(figures) == {"bleu", "chrf", "rouge_l", "exact_match", "perplexity", "bits_per_character"}
    assert figures["exact_match"] > 0.9
    said = translator.predict(fresh)["reply"]
    assert (said == fresh["reply"]).mean() == pytest.approx(figures["exact_match"])


def test_no_run_of_texts_to_avoid_is_written(speaker, translator, tmp_path):
    line = "the red cat sees 猫 and 🙂."
    assert speaker.generate("the red", temperature=0.0).endswith("sees 猫 and 🙂.")
    file = tmp_path / "lines.parquet"
    pl.DataFrame({"text": [line, None]}).write_parquet(file)
    for avoid in ([line], file, pl.DataFrame({"text": [line]})):
        other = speaker.generate("the red", temperature=0.0, avoid=avoid, avoid_run=4)
        assert not other.endswith("sees 猫 and 🙂.")
    assert "".join(speaker.generate("the red", temperature=0.0, avoid=[line], avoid_run=4, stream=True)) == other
    rows = pairs(4, seed=1)
    replies = rows["reply"].to_list()
    with pytest.warns(RanvierWarning, match="2 of 4 texts to avoid are shorter than 2 tokens"):
        assert translator.generate(rows, avoid=replies, avoid_run=2) != replies == translator.generate(rows)


def test_texts_to_avoid_come_in_any_form(speaker, tmp_path):
    line = "the red cat sees 猫 and 🙂."
    names = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    for name in names:
        pathlib.Path(name).write_text(line + "\n", encoding="utf-8")
    forms = [line, None], {line}, np.array([line]), pl.Series([line]), [line] * 30, names
    said = {speaker.generate("the red", temperature=0.0, avoid=form, avoid_run=4) for form in forms}
    assert len(said) == 1
    assert not said.pop().endswith("sees 猫 and 🙂.")
    assert speaker.generate("the red", temperature=0.0, avoid=None, avoid_run=4).endswith("🙂.")


def test_characters_of_several_bytes_stay_whole(speaker):
    texts = ["猫 sees 猫 and 🙂.", "red cat sees 猫 and 🙂.", "dog sees 猫 and 🙂."]
    how = {"temperature": 1.0, "avoid": texts, "longest": 40}
    for run in (2, 3, 4):
        said = speaker.generate(["the red cat sees"] * 20, seed=run, avoid_run=run, **how)
        assert not any("\ufffd" in text for text in said)
    for how in ({"temperature": 5.0, "top_p": 1.0}, {"temperature": 5.0, "top_p": 1.0, "no_repeat": 2}, {"beam": 7}):
        said = speaker.generate(["the", "the 猫 is", "é"] * 7, longest=40, **how)
        assert not any("\ufffd" in text for text in said)
    for seed in range(12):
        wild = {"seed": seed, "temperature": 5.0, "top_p": 1.0, "longest": 9}
        assert "\ufffd" not in "".join(speaker.generate("the", stream=True, **wild))
        assert "\ufffd" not in speaker.generate("the", stop="never", **wild)


def test_texts_to_avoid_are_not_cut(translator):
    said = translator.generate("one two cat")
    assert said == "un deux chat"
    assert translator.generate("one two cat", avoid=["sourire " * 300 + said], avoid_run=2) != said


def test_texts_shorter_than_a_run_are_told(speaker):
    with pytest.warns(RanvierWarning, match="1 of 2 texts to avoid"):
        list(speaker.generate("the", avoid=["a", "the red cat sees 猫"], avoid_run=4, longest=3, stream=True))


def test_names_of_other_libraries_are_told_ours(speaker):
    with pytest.raises(PlanError, match="unknown 'max_new_tokens'; here it is 'longest'"):
        speaker.generate("the", max_new_tokens=5)
    with pytest.raises(PlanError, match="unknown 'do_sample'; here it is a 'temperature' above 0"):
        speaker.generate("the", do_sample=True)


def test_what_cannot_be_avoided_is_told(speaker):
    with pytest.raises(DataError, match="no run of 10 tokens that few"):
        speaker.generate("the", avoid=["the"])
    with pytest.raises(DataError, match="column 'text' is not in the table given"):
        speaker.generate("the", avoid=pl.DataFrame({"other": ["a"]}))
    with pytest.raises(PlanError, match="avoid_run = 17: at most 16, half of the window of 32"):
        speaker.generate("the", avoid=["the red cat"], avoid_run=17)
    with pytest.raises(PlanError, match="avoid_run = 1: at least 2"):
        speaker.generate("the", avoid=["the red"], avoid_run=1)
    with pytest.raises(PlanError, match="is of texts to avoid; give them too"):
        speaker.generate("the", avoid_run=3)


@pytest.mark.parametrize("avoid", ["", 5, b"the red cat"])
def test_what_is_no_text_to_avoid_is_refused_by_name(speaker, avoid):
    with pytest.raises(PlanError, match=r"avoid = .*: expected texts in a list, or a table or file"):
        speaker.generate("the", avoid=avoid)


def test_what_cannot_be_read_is_told_to_be_what_to_avoid(speaker, tmp_path):
    (tmp_path / "empty.csv").touch()
    for avoid in ("the red cat sees", tmp_path / "none.csv", tmp_path / "empty.csv"):
        with pytest.raises(DataError, match="what to avoid: texts in a list, or a table or file with the target"):
            speaker.generate("the", avoid=avoid)
    with pytest.raises(DataError, match=r"the text to avoid 'a\\udc80' holds bytes that are no UTF-8"):
        speaker.generate("the", avoid=["a\udc80"])


def test_several_prompts_of_other_lengths_avoid_the_same(speaker):
    line = "the red cat sees 猫 and 🙂."
    prompts = ["the", "the red cat", "the red cat sees 猫"]  # padded to the longest, and one is in a run by itself
    alone = [speaker.generate(one, temperature=0.0, avoid=[line], avoid_run=4) for one in prompts]
    assert speaker.generate(prompts, temperature=0.0, avoid=[line], avoid_run=4) == alone
    assert not any((prompt + text).endswith("sees 猫 and 🙂.") for prompt, text in zip(prompts, alone, strict=True))


def test_a_prompt_is_answered_as_rows_are(translator):
    rows = pairs(5, seed=2)
    said = translator.predict(rows)["reply"].to_list()
    assert translator.generate(rows["source"].to_list()) == said
    assert translator.generate(rows) == said
    assert translator.generate({"source": rows["source"][0]}) == said[0]
    greedy = translator.generate(rows["source"][0], beam=1)
    assert "".join(translator.generate(rows["source"][0], stream=True)) == greedy


def test_strange_inputs_are_answered(translator):
    strange = ["", " ", "zzz\x00 ẞ 𒀀", "one two 猫 " * 100_000, None]  # the fourth has a million characters
    with pytest.warns(RanvierWarning, match="is longer than 256 tokens and was cut"):
        said = translator.predict(pl.DataFrame({"source": strange}))["reply"]
    assert said.null_count() == 0
    assert len(said) == 5


def test_a_prompt_of_a_million_characters_is_gone_on_with_from_its_end(speaker):
    line = "the red cat sees 猫 and 🙂. "
    assert len(line * 40_000) > 1_000_000
    said = speaker.generate(line * 40_000 + "the red", temperature=0.0, longest=8)
    assert said == speaker.generate(line * 40 + "the red", temperature=0.0, longest=8)


def test_a_saved_model_writes_the_same(translator, tmp_path):
    rows = pairs(5, seed=3)
    loaded = rv.load(translator.save(tmp_path / "m.rv"))
    assert loaded.predict(rows)["reply"].to_list() == translator.predict(rows)["reply"].to_list()


def test_a_language_model_tells_that_it_does_not_read_the_rows(speaker):
    with pytest.warns(RanvierWarning, match="reads no column: .* generate goes on from a text"):
        said = speaker.predict(pl.DataFrame({"text": ["the red cat", "the"]}))
    assert said.height == 2


def test_a_language_model_knows_its_language(speaker):
    figures = speaker.evaluate(pl.DataFrame({"text": ["the red dog sees 猫 and 🙂."]}), show=False)
    assert figures["perplexity"] < 2
    assert figures["bits_per_character"] < 0.5
    assert set(figures) == {"perplexity", "bits_per_character"}
    assert speaker.generate("the blue", temperature=0.0).endswith("sees 猫 and 🙂.")
    assert speaker.generate("the blue ", temperature=0.0)[:1] != " "
    drawn = [speaker.generate(["the", "the red"], seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 2


def test_pieces_make_up_the_text_and_are_never_taken_back(speaker):
    with pytest.raises(PlanError, match="seed = True: expected a whole number"):
        speaker.generate("the", seed=True)
    whole = speaker.generate("the", seed=5)
    parts = list(speaker.generate("the", seed=5, stream=True))
    assert "".join(parts) == whole
    assert len(parts) > 3
    assert not any("\N{REPLACEMENT CHARACTER}" in part for part in parts)
    stopped = "".join(speaker.generate("the", seed=5, stream=True, stop="sees"))
    assert stopped == whole.partition("sees")[0] == speaker.generate("the", seed=5, stop=["sees", "and"])


def test_writing_goes_on_past_the_window(speaker):
    plan = speaker.plan
    assert plan.targets["text"].head["window"] == 32
    assert len(speaker.generate("the red cat sees " * 20, longest=50, seed=0)) > 0


def test_a_file_of_lines_alone_makes_a_language_model(tmp_path):
    lines = [f"{k} α β γ und noch mehr\n\n" for k in range(40)]
    (tmp_path / "lines.txt").write_text("".join(lines), encoding="utf-8")
    plan = make_plan(tmp_path / "lines.txt", epochs=0.5)
    assert not plan.inputs
    assert plan.columns["text"].type == "text"
    assert plan.targets["text"].head["window"] > 0
    assert any("blank lines" in warning for warning in plan.warnings)


def test_a_table_and_pictures_are_described():
    random_ = np.random.default_rng(0)
    light = random_.integers(0, 2, 120)
    pictures = (random_.integers(0, 100, (120, 8, 8)) + 150 * light[:, None, None]).astype(np.uint8)
    rows = {
        "picture": pictures,
        "number": light * 2.0 + random_.normal(size=120) * 0.1,
        "caption": ["a bright one" if x else "a dark thing" for x in light],
    }
    for inputs in (["picture"], ["number"], ["picture", "number"]):
        plan = planned(
            rows,
            "caption",
            types={"picture": "image", "caption": "text"},
            inputs=inputs,
            size="s",
            epochs=24,
            batch=16,
            rate=3e-3,
        )
        model = fit(plan, progress=False)
        assert model.evaluate(rows, show=False)["exact_match"] > 0.9, inputs
    row = {"picture": pictures[0], "number": light[0] * 2.0}
    assert model.generate(row) == rows["caption"][0]
    with pytest.raises(DataError, match=r"no image can be read from picture = 'none\.png'; .*no such file"):
        model.generate(row | {"picture": "none.png"})
    for unread in ("much", "1,234 or so"):
        with pytest.raises(DataError, match=f"no number can be read from number = '{unread}'"):
            model.generate(row | {"number": unread})
    for blank in ("", "n/a", None):
        assert isinstance(model.generate(row | {"number": blank}), str)
    with pytest.raises(PlanError, match=r"this model reads picture, number; .*--given NAME=VALUE"):
        model.generate("none.png")


@pytest.mark.parametrize("decoder", ["rnn", "lstm", "gru"])
def test_recurrent_decoders_learn_too(decoder):
    plan = planned(
        pairs(),
        "reply",
        types={"source": "text", "reply": "text"},
        head={"decoder": decoder, "attention": "additive"},
        epochs=40,
        batch=32,
        rate=5e-3,
    )
    plan.inputs["source"].encoder = {"name": "gru", "width": 32, "embedding": 32, "dropout": 0.0, "word_dropout": 0.0}
    assert fit(plan, progress=False).evaluate(pairs(40, seed=1), show=False)["chrf"] > 70


def test_what_cannot_be(translator, speaker):
    with pytest.raises(PlanError, match="folds"):
        make_plan(pairs(), "reply", types={"reply": "text"}, folds=3)
    with pytest.raises(PlanError, match="one target can be learnt"):
        make_plan(pairs(), ["reply", "source"], inputs=[], types={"reply": "text", "source": "text"})
    with pytest.raises(PlanError, match="unknown 'temprature'"):
        speaker.generate("a", temprature=1)
    with pytest.raises(PlanError, match="none of them empty"):
        speaker.generate("a", stop="")
    with pytest.raises(PlanError, match="one text can be streamed"):
        speaker.generate(["a", "b"], stream=True)
    with pytest.raises(PlanError, match="cannot be streamed"):
        translator.generate("one", stream=True, beam=2)
    weighted = pairs().select(pl.col("reply"), pl.lit(1.0).alias("w"))
    with pytest.raises(DataError, match="cannot have weights"):
        fit(weighted, "reply", types={"reply": "text"}, roles={"w": "weight"}, inputs=[], epochs=1, progress=False)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"temperature": math.nan}, "temperature = nan: at least 0, at most 1000"),
        ({"temperature": math.inf}, "temperature = inf"),
        ({"temperature": "hot"}, "temperature = 'hot': expected a plain number"),
        ({"temperature": None}, "temperature = None: expected a plain number"),
        ({"repetition": math.nan}, "repetition = nan"),
        ({"beam": 1.5}, "beam = 1.5: expected a whole number"),
        ({"beam": 100_000}, "at least 1, at most 1000"),
        ({"top_k": 2.5}, "top_k = 2.5: expected a whole number"),
        ({"min_p": 1.5}, "min_p = 1.5: at least 0, at most 1"),
        ({"min_p": 0.1, "temperature": 0.0}, "min_p = 0.1 is for tokens drawn"),
        ({"longest": "many"}, "longest = 'many'"),
        ({"stop": 5}, "stop = 5: expected texts"),
        ({"seed": 2**80}, "64 bits"),
        ({"seed": "x"}, "64 bits"),
    ],
)
def test_ways_to_write_that_there_are_not(speaker, how, match):
    with pytest.raises(PlanError, match=match):
        speaker.generate("the", **how)


def test_next_to_no_temperature_is_none(speaker):
    assert speaker.generate("the red", temperature=100.0, min_p=1.0, top_p=1.0) == speaker.generate(
        "the red", temperature=0.0
    )
    assert speaker.generate("the red", temperature=1e-300) == speaker.generate("the red", temperature=0.0)


@pytest.mark.parametrize("prompt", [[None], [5, "a"], "\udcff", ["a", "\udcff"], {"txet": "a"}])
def test_prompts_that_are_no_texts(speaker, prompt):
    with pytest.raises(DataError):
        speaker.generate(prompt)


@pytest.mark.parametrize("prompt", [None, 5])
def test_prompts_of_another_kind(speaker, prompt):
    with pytest.raises(PlanError, match=f"prompt = {prompt}: expected a text"):
        speaker.generate(prompt)


def test_a_row_and_a_table_are_prompts_as_well(speaker, translator):
    said = speaker.generate("the red", seed=1)
    assert speaker.generate({"text": "the red"}, seed=1) == said
    assert speaker.generate(pl.DataFrame({"text": ["the red"]}), seed=1) == [said]
    assert "".join(speaker.generate({"text": "the red"}, seed=1, stream=True)) == said
    assert translator.generate([]) == speaker.generate([]) == []
    with pytest.raises(DataError, match="no UTF-8"):
        translator.generate("\udcff")


def test_several_texts_of_one_prompt(speaker, translator):
    said = speaker.generate("the", n=3, seed=1)
    assert said == speaker.generate(["the"] * 3, seed=1)
    assert len(set(said)) > 1
    both = speaker.generate(["the", "a red"], n=2, seed=1)
    assert both == speaker.generate(["the", "the", "a red", "a red"], seed=1)
    row = {"source": pairs(1)["source"][0]}
    drawn = translator.generate(row, n=2, temperature=3.0, seed=1)
    assert drawn == translator.generate([row["source"]] * 2, temperature=3.0, seed=1)
    best = translator.generate(row, n=3, beam=4)
    assert best[0] == translator.generate(row, beam=4)
    assert len(set(best)) == 3
    several = [row["source"], "a red cow", row["source"]]
    assert translator.generate(several, n=3, beam=4)[:3] == best
    assert translator.generate(several, n=3, beam=4)[6:] == best
    follow = speaker.generate(["the", "a red"], n=2, beam=3, temperature=0.0)
    assert follow[2:] == speaker.generate("a red", n=2, beam=3, temperature=0.0)
    with pytest.raises(PlanError, match="n = 3 texts of a prompt: a search by beam = 2 finds no more; give beam = 3"):
        translator.generate(row, n=3, beam=2)
    with pytest.raises(PlanError, match="n = 2 texts of a prompt: one is likeliest; give beam = 2, or a temperature"):
        translator.generate(row, n=2, beam=1)
    with pytest.raises(PlanError, match="unknown 'source'; here it is in the prompt, a dict of one row, of"):
        translator.generate(source="a red cow")
    with pytest.raises(PlanError, match="unknown 'given'; here it is in the prompt"):
        translator.generate(given=row)
    with pytest.raises(PlanError, match="top_k = 5 draws, and beam = 4 searches; give a temperature, which"):
        translator.generate(row, top_k=5)
    with pytest.raises(PlanError, match="n = 0: expected a whole number, 1 or more"):
        speaker.generate("the", n=0)
    with pytest.raises(PlanError, match="one text can be streamed at a time"):
        speaker.generate("the", n=2, stream=True)


def test_capitals_are_kept_unless_a_person_says_otherwise():
    plan = make_plan(pairs(), "reply", types={"source": "text", "reply": "text"})
    assert plan.columns["reply"].options["lowercase"] is plan.columns["source"].options["lowercase"] is False
    plan.columns["source"].options["lowercase"] = True
    again = rv.planning.settle.settle(plan)
    assert again.columns["source"].options["lowercase"] is True
    assert again.columns["reply"].options["lowercase"] is False


# ---- copying


def test_names_that_were_never_seen_are_copied():
    chance = random.Random(0)

    def rows(count: int) -> pl.DataFrame:
        names = ["".join(chance.choices("abcdefghijklmnop", k=6)) for _ in range(count)]
        return pl.DataFrame({"said": [f"my name is {n} today" for n in names], "name": [f"hello {n}" for n in names]})

    plan = planned(rows(1500), "name", types={"said": "text", "name": "text"}, epochs=10, batch=32, rate=0.02)
    plan.inputs["said"].encoder.update(width=32, depth=1, heads=2, dropout=0.0, word_dropout=0.0)
    model = fit(plan, progress=False)
    assert model.plan.targets["name"].head["copy"] == "said"
    assert model.plan.columns["name"].options["like"] == "said"
    assert model.evaluate(rows(60), show=False)["exact_match"] > 0.7


def test_nothing_is_copied_where_tokens_are_not_those_of_the_input(translator):
    rows = pairs(60)
    types = {"source": "text", "reply": "text"}
    plan = planned(rows, "reply", types=types)
    plan.columns["reply"].options["units"] = "characters"
    settled = settle(plan)
    assert settled.targets["reply"].head["copy"] == ""
    assert "units" in settled.why["targets.reply.head.copy"].why
    del plan.why["targets.reply.head.copy"]  # as where a person has written it
    with pytest.raises(PlanError, match="set it to ''"):
        settle(plan)
    other = planned(rows, "reply", types=types, head={"copy": "sauce"})
    with pytest.raises(PlanError, match="did you mean 'source'"):
        settle(other)


def test_a_plan_that_shares_no_pieces_cannot_copy():
    plan = planned(pairs(60), "reply", types={"source": "text", "reply": "text"})
    plan.columns["reply"].options["like"] = ""
    assert "pieces of its own" in settle(plan).why["targets.reply.head.copy"].why
    del plan.why["targets.reply.head.copy"]
    with pytest.raises(PlanError, match="pieces of its own; set it to ''"):
        settle(plan)


# ---- searched for, stopped, many at once


def test_many_texts_come_in_the_order_of_their_prompts(translator):
    rows = pairs(150, seed=4)
    texts = translator.generate(rows["source"].to_list())
    assert texts == translator.predict(rows)["reply"].to_list()


def test_a_search_stops_as_what_it_found_is_cut(translator):
    whole = translator.generate("one cat two")
    assert translator.generate("one cat two", stop=" chat") == whole.partition(" chat")[0] != whole


def test_a_language_is_searched_too(speaker):
    told = [f"the {colour}" for colour in ("red", "blue")]
    found, greedy = (
        speaker.generate(told, beam=3, longest=8),
        speaker.generate(told, beam=1, temperature=0.0, longest=8),
    )
    assert all(text.split()[0] in ("cat", "dog") for text in [*found, *greedy])
    assert speaker.generate(told, beam=3, longest=8, stop=" sees")[0] == found[0].partition(" sees")[0]
    with pytest.raises(PlanError, match="a search reads 32 tokens at most"):
        speaker.generate("the red cat sees 猫 and 🙂. " * 9, beam=2)


def test_many_continuations_are_written_some_at_a_time(speaker):
    assert len(speaker.generate(["the red"] * 70, longest=3, seed=1)) == 70


def test_a_decoder_that_starts_from_a_language_keeps_its_pieces_and_copies_by_them():
    rows = pairs(80)
    language = planned(rows.select("reply"), "reply", types={"reply": "text"}, epochs=1)
    start = fit(language, progress=False)
    plan = make_plan(rows, "reply", types={"source": "text", "reply": "text"}, epochs=1, init=start)
    assert plan.targets["reply"].head["copy"] == "source"
    assert "as of 'reply'" in plan.why["columns.source.options.units"].why
    model = fit(plan, init=start, progress=False)
    assert {n: c.pieces() for n, c in model.columns.items()} == dict.fromkeys(
        rows.columns, start.columns["reply"].pieces()
    )
    assert any(note.startswith("init: ") and "NOTHING" not in note for note in model.notes)
    assert settle(plan, start).targets == plan.targets
    plan.columns["source"].options["units"] = "characters"  # as a person may want it
    other = settle(plan, start)
    assert other.targets["reply"].head["copy"] == ""
    assert "units" in other.why["targets.reply.head.copy"].why


def test_a_temperature_draws_where_a_search_was_planned(translator):
    drawn = {translator.generate("one cat", temperature=3.0, seed=seed) for seed in range(5)}
    assert len(drawn) > 1
    with pytest.raises(PlanError, match="top_k = 3 draws, and beam = 4 searches"):
        translator.generate("one cat", top_k=3)
    for stream in (False, True):
        with pytest.raises(PlanError, match="top_k = 3 is for tokens drawn, and the likeliest are taken"):
            translator.generate("one cat", top_k=3, beam=1, stream=stream)


def test_predict_writes_as_it_is_asked(translator, tmp_path):
    rows = pairs(40, seed=2)
    greedy = translator.predict(rows, beam=1)["reply"].to_list()
    assert greedy == translator.generate(rows["source"].to_list(), beam=1)
    translator.predict(rows, beam=1, to=tmp_path / "said.csv")
    assert pl.read_csv(tmp_path / "said.csv")["reply"].fill_null("").to_list() == greedy
    drawn = translator.predict(rows, temperature=3.0)
    assert drawn.equals(translator.predict(rows, temperature=3.0, seed=0))
    assert not drawn.equals(translator.predict(rows, temperature=3.0, seed=1))
    short = translator.predict(rows, longest=1)["reply"]
    assert (short.str.len_chars() <= rows["reply"].str.len_chars()).all()
    assert not short.equals(rows["reply"])
    there = [text for text in greedy if "chat" in text]
    with pytest.warns(RanvierWarning, match="shorter than 2 tokens"):
        other = translator.predict(rows, beam=1, avoid=[*there, "chat"], avoid_run=2)["reply"].to_list()
    assert other != greedy


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"bean": 1}, "predict: unknown 'bean'; did you mean 'beam'?"),
        ({"least": 0.1}, "predict: least is a way to predict boxes"),
        ({"num_beams": 4}, "predict: unknown 'num_beams'; here it is 'beam'"),
        ({"keeep": "a"}, "predict: unknown 'keeep'; did you mean 'keep'?"),
        ({"qqqqqqqq": 1}, "known: avoid, avoid_run, batch, beam"),
        ({"beam": 0}, "beam = 0: at least 1"),
        ({"top_k": 3}, "top_k = 3 draws, and beam = 4 searches"),
        ({"temperature": 1.0, "seed": "a"}, "seed = 'a': expected a whole number"),
    ],
)
def test_ways_that_predict_does_not_know(translator, how, why):
    with pytest.raises(PlanError, match=re.escape(why)) as told:
        translator.predict(pairs(2), **how)
    assert "generate" not in str(told.value)


def test_options_of_generate_alone_are_told_as_such(translator):
    with pytest.raises(PlanError, match="predict: stop is an option of generate"):
        translator.predict(pairs(2), stop=".")


def test_texts_are_judged_as_they_are_asked_for(translator):
    rows = pairs(40, seed=2)
    for how in ({"beam": 1, "longest": 2}, {"temperature": 3.0, "seed": 1}):
        figures = translator.evaluate(rows, show=False, **how)
        said = translator.predict(rows, **how)["reply"]
        assert figures["exact_match"] == pytest.approx((said == rows["reply"]).mean())
        assert figures["exact_match"] < translator.evaluate(rows, show=False)["exact_match"]
        assert figures["perplexity"] == translator.evaluate(rows, show=False)["perplexity"]


def test_ways_that_evaluate_does_not_know(translator, speaker):
    with pytest.raises(PlanError, match=r"evaluate: unknown 'bean'; did you mean 'beam'\?"):
        translator.evaluate(pairs(2), bean=1)
    with pytest.raises(PlanError, match=r"evaluate: unknown 'shwo'; did you mean 'show'\?"):
        translator.evaluate(pairs(2), shwo=False)
    with pytest.raises(PlanError, match="evaluate: beam is for texts that are written, and a model of a language"):
        speaker.evaluate(pl.DataFrame({"text": ["the"]}), beam=1)


def test_a_copying_decoder_is_taken_to_other_inputs(translator):
    assert translator.plan.columns["reply"].options["like"] == "source"
    rows = pairs(60).rename({"source": "body"})
    model = fit(
        make_plan(rows, "reply", types={"body": "text", "reply": "text"}, epochs=1, init=translator),
        init=translator,
        progress=False,
    )
    assert model.columns["reply"].pieces() == translator.columns["reply"].pieces() == model.columns["body"].pieces()
    assert model.plan.targets["reply"].head["copy"] == "body"


def test_rows_that_time_does_not_allow_to_write_are_not_judged(translator):
    fresh = pairs(150, seed=2)
    network = translator.networks[0]
    held = hold_out(network, network.columns, fresh, until=0.0)
    assert held.frame.equals(fresh[:4])
    assert len(held.truths["reply"].observed) == len(held.answers["reply"]["nats"]) == 4
    assert hold_out(network, network.columns, fresh).frame.height == 150


def test_figures_of_validation_and_test_rows_share_what_time_there_is(monkeypatch):
    rows = pairs(150)
    how = {"types": {"source": "text", "reply": "text"}, "test": pairs(30, seed=3)}
    plan = planned(rows, "reply", epochs=1, size="s", threads=1, time=80, **how)
    run = SimpleNamespace(plan=plan, started=clock.perf_counter(), pace=1.0)
    some = fit_module._in_time(run, rows)
    assert some.height in (9, 10)  # an eighth of the time
    assert some.join(rows, on=rows.columns, how="semi").height == some.height
    run.started -= 100
    assert fit_module._in_time(run, rows).height == 4
    run.pace = 0.0
    assert fit_module._in_time(run, rows) is rows
    monkeypatch.setattr(fit_module, "_deadline", lambda run, part: clock.perf_counter() - 1)
    model = fit(plan, progress=False)
    assert any(note.startswith("figures are of 4 of the 30 test rows, since") for note in model.notes)
    assert any(re.match(r"figures are of 4 of the \d+ validation rows, since", note) for note in model.notes)


@pytest.mark.parametrize("time", [0, 600])
def test_a_language_is_judged_in_training_as_after_it(time):
    lines = [f"the {colour} {beast} sees 猫." for colour in ("red", "blue") for beast in ("cat", "dog")]
    given, held = pl.DataFrame({"text": lines * 15}), pl.DataFrame({"text": lines[::-1] * 100})
    plan = planned(given, "text", types={"text": "text"}, val=held, epochs=2, batch=4, time=time)
    model = fit(plan, progress=False)
    assert model.report.metrics == pytest.approx(model.evaluate(held, show=False), rel=1e-5)
