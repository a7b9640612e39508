"""Columns of words and of tags: vocabulary, letters, subwords, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from small_models import tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ranvier.columns.recognise import recognise
from ranvier.columns.tags import Tags
from ranvier.columns.text import HIDDEN, Text
from ranvier.columns.words import UNKNOWN, Words
from ranvier.core.errors import DataError, FileError, PlanError
from ranvier.core.spec import Spec

ROWS = [["The", "cat", "saw", "the", "dog"], ["the", "Dog", "saw"], [], None, ["cat", "猫", "猫"]]


def learnt(rows=ROWS, **options) -> Words:
    column = Words("w", **options)
    column.learn([pl.Series("w", rows, dtype=pl.List(pl.String))])
    return column


def test_words_met_twice_have_a_place_and_others_are_unknown():
    column = learnt()
    assert column.words == ["the", "cat", "dog", "saw", "猫"]  # by count, then by name
    encoded = column.encode(pl.Series("w", [["The", "Cat", "bird", ""], None]))
    assert encoded.data[:, 0].tolist() == [UNKNOWN + 1, UNKNOWN + 2, UNKNOWN, UNKNOWN]
    assert encoded.offsets.tolist() == [0, 4, 4]
    assert encoded.observed.tolist() == [True, False]
    assert column.spec == Spec("tokens", (None, 17), UNKNOWN + 6, "word")


def test_letters_are_bytes_of_both_ends_and_keep_capitals():
    column = learnt(letters=4)
    letters = column.encode(pl.Series("w", [["The", "unseen", "猫"]])).data[:, 1:]
    assert (letters[0] - 1).tolist() == [*b"The", -1]
    assert (letters[1] - 1).tolist() == [*b"unen"]
    assert (letters[2] - 1).tolist() == [*"猫".encode(), -1]


def test_without_letters_capitals_count():
    column = learnt(letters=0)
    assert column.words == ["cat", "saw", "the", "猫"]
    assert column.encode(pl.Series("w", [["The", "the"]])).data.tolist() == [UNKNOWN, UNKNOWN + 3]
    assert column.spec.shape == (None,)


def test_subwords_tell_of_the_word_that_they_belong_to():
    column = learnt(units="subwords", vocabulary=270)
    encoded = column.encode(pl.Series("w", [["cats", "", "猫"], [], ["dog"]]))
    words = encoded.spans[:, 0]
    for row, wanted in enumerate([["cats", "", "猫"], [], ["dog"]]):
        own = slice(encoded.offsets[row], encoded.offsets[row + 1])
        assert sorted(set(words[own].tolist())) == list(range(len(wanted)))
        for number, word in enumerate(wanted):
            ids = encoded.data[own][words[own] == number]
            said = column.decode({"tokens": ids[None], "mask": np.ones((1, len(ids)), bool)})["w"][0]
            if word and word.isascii():
                assert "".join(said) == word
            elif not word:
                assert ids.tolist() == [HIDDEN]
    assert (encoded.spans[:, 1] == words + 1).all()


@pytest.fixture
def folder(tmp_path):
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    return str(tmp_path)


def test_words_are_divided_as_another_model_does_and_stand_between_its_signs(folder):
    column = learnt(tokenizer=folder)
    encoded = column.encode(pl.Series("w", [["the", "Dogs", "\u200b"], [], None, ["sea"]]))
    whole = tokenizer().encode("the Dogs ?", add_special_tokens=True)
    first, second, third, last = np.split(encoded.data, encoded.offsets[1:-1])
    assert first.tolist() == [i for i in whole.ids if i]
    assert second.tolist() == third.tolist() == [2, 3]
    assert encoded.spans[: len(first)].tolist() == [[0, 0], [0, 1], [1, 2], [1, 2], [2, 3], [3, 3]]
    assert encoded.spans[encoded.offsets[3] :].tolist() == [[0, 0], [0, 1], [1, 1]]
    assert len(last) == 3
    assert encoded.observed.tolist() == [True, True, False, True]
    assert column.spec.tokenizer
    assert column.spec == replace(Text("t", tokenizer=folder).learn([pl.Series("t", ["a"])]), unit="word")


def test_texts_spelled_like_signs_are_plain_text(tmp_path):
    made = tokenizer()
    made.add_special_tokens(["[CLS]", "[SEP]"])
    made.save(str(tmp_path / "tokenizer.json"))
    column = Text("t", tokenizer=str(tmp_path))
    column.learn([pl.Series("t", ["a"])])
    assert not np.isin(column.encode(pl.Series("t", ["the [SEP] sea"])).data[1:-1], [2, 3]).any()


@pytest.mark.parametrize("units", ["words", "pieces"])
def test_words_spelled_like_signs_are_plain_words(tmp_path, units):
    made = tokenizer()
    if units == "words":  # each is looked up whole
        made = Tokenizer(models.WordLevel(made.get_vocab(), unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    made.save(str(tmp_path / "tokenizer.json"))
    column = learnt(tokenizer=str(tmp_path))
    encoded = column.encode(pl.Series("w", [["the", "[SEP]", "[CLS]", "sea"]]))
    assert encoded.data[0] == 2
    assert encoded.data[-1] == 3
    assert not np.isin(encoded.data[1:-1], [2, 3]).any()
    assert np.unique(encoded.spans[1:-1, 0]).tolist() == [0, 1, 2, 3]


def test_whole_words_are_kept_of_what_another_model_reads(folder):
    column = learnt(tokenizer=folder, length=5)
    encoded = column.encode(pl.Series("w", [["the", "dogs", "sea"], ["dogs"] * 3, ["the"] * 2]))
    assert [row.tolist()[-1] for row in np.split(encoded.data, encoded.offsets[1:-1])] == [3, 3, 3]
    assert np.diff(encoded.offsets).tolist() == [5, 4, 4]
    assert len(column.encode(pl.Series("w", [["dogsdogsdogs", "sea"]])).data) == 5  # a word too long is cut itself
    with pytest.raises(PlanError, match="signs alone are 2 tokens"):
        learnt(tokenizer=folder, length=2)
    assert encoded.notes == ["w: 2 of 3 rows are longer than 5 tokens and were cut there (length = 0 keeps all)"]


def test_another_models_tokenizer_is_kept_whole(folder, tmp_path):
    column, other = learnt(tokenizer=folder), Words("w", tokenizer=folder)
    (tmp_path / "tokenizer.json").unlink()
    other.load_state(column.state())
    asked = pl.Series("w", [["the", "猫", "sea"]])
    assert other.encode(asked).data.tolist() == column.encode(asked).data.tolist()
    assert other.spec == column.spec
    with pytest.raises(FileError, match="no tokenizer"):
        learnt(tokenizer=folder)


def test_strings_are_split_at_white_space():
    column = Words("w")
    column.learn([pl.Series("w", ["a b  a", "b\tc", None])])
    assert column.words == ["a", "b"]
    assert column.encode(pl.Series("w", ["c a"])).data[:, 0].tolist() == [UNKNOWN, UNKNOWN + 1]


def test_long_rows_are_cut_and_told():
    column = learnt(length=2)
    encoded = column.encode(pl.Series("w", ROWS))
    assert np.diff(encoded.offsets).tolist() == [2, 2, 0, 0, 2]
    assert "3 of 5 rows are longer than 2 words" in encoded.notes[0]
    assert learnt(length=0).encode(pl.Series("w", ROWS)).notes == []


def test_the_vocabulary_is_bounded():
    column = learnt(vocabulary=UNKNOWN + 2)
    assert column.words == ["the"]
    assert column.spec.size == UNKNOWN + 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"letters": 3}, "even"),
        ({"vocabulary": 3}, "or more"),
        ({"length": -1}, "or 0"),
        ({"units": "subwords", "vocabulary": 99}, "260"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(PlanError, match=said):
        Words("w", **options)


@pytest.mark.parametrize("values", [[[1.5]], [[["a"]]], [1, 2], [b"x"]])
def test_what_holds_no_words(values):
    series = pl.Series("w", values)
    if series.dtype == pl.List(pl.Float64):
        series = pl.Series("w", [[b"x"]])
    with pytest.raises(DataError, match="'w'"):
        Words("w").learn([series])


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match="all 2 training rows are empty"):
        Words("w").learn([pl.Series("w", [[], []], dtype=pl.List(pl.String))])


def test_lists_that_repeat_are_words_and_as_a_target_tags():
    tags = pl.Series("t", [["O", "B-x", "O", "O"], ["O", "O"]] * 20)
    assert recognise(tags)[0] == "words"
    assert recognise(tags, target=True)[0] == "tags"
    words = pl.Series("w", [[f"w{i * j % 997}" for j in range(i % 30 + 2)] * 2 for i in range(60)])
    assert recognise(words)[0] == recognise(words, target=True)[0] == "words"


def test_tags_have_natural_order_and_unseen_ones_a_code_of_their_own():
    column = Tags("t")
    column.learn([pl.Series("t", [["T10", "T2", None], ["T2"], None])])
    assert column.labels == ["T2", "T10"]
    encoded = column.encode(pl.Series("t", [["T10", "new", None], [], None]))
    assert encoded.data.tolist() == [1, 2, 2]
    assert encoded.observed.tolist() == [True, True, False]
    assert encoded.notes == ["t: 1 label not seen in training: 'new'"]


def test_decoded_tags_are_lists_with_confidence():
    column = Tags("t")
    column.learn([pl.Series("t", [["a", "b"]])])
    frame = column.decode(
        {
            "tags": np.array([[1, 0], [0, 0], [1, 0]]),
            "confidence": np.full((3, 2), 0.5),
            "mask": np.array([[1, 1], [0, 0], [1, 0]]),
        }
    )
    assert frame["t"].to_list() == [["b", "a"], [], ["b"]]
    assert frame["t_confidence"].to_list() == [[0.5, 0.5], [], [0.5]]
    assert column.decode({"tags": np.zeros((2, 0)), "confidence": np.zeros((2, 0)), "mask": np.zeros((2, 0))})[
        "t"
    ].to_list() == [[], []]
