"""Texts: tokens of any script, never failing, with spans in the raw text."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import polars as pl
import pytest
from tokenizers import Regex, pre_tokenizers

from ranvier.columns.sample import Sample
from ranvier.columns.text import END, LONGEST, PIECES, RESERVED, START, Text
from ranvier.core.errors import DataError, FileError, PlanError

WORDS = ["the", "film", "was", "wonderful", "terrible", "plot", "and", "actors", "don't", "x2"]
RNG = np.random.default_rng(0)
ENGLISH = [" ".join(RNG.choice(WORDS, 12)) for _ in range(300)]
SCRIPTS = [
    "快速的棕色狐狸跳过了懒狗。",
    "สวัสดีครับ วันนี้อากาศดีมาก",
    "これは日本語の文章です",
    "ПРИВЕТ, мир",
    "مرحبا بالعالم",
    "for (i = 0; i < n; ++i)\n\tx[i] += 'a';",
    "naïve café 👩‍👩‍👧 e\u0301",
    " two  spaces \t\n",
    "\x00\ufffd\U0010ffff",
]


@pytest.fixture(scope="module")
def english() -> Text:
    column = Text("t", lowercase=False, length=0, spans=True)
    column.learn([pl.Series("t", ENGLISH)])
    return column


def tokens(column: Text, text: str) -> np.ndarray:
    return column.encode(pl.Series("t", [text])).data


@pytest.mark.parametrize("text", SCRIPTS)
def test_any_text_comes_back_though_it_was_never_seen(english, text):
    ids = tokens(english, text)
    assert ids.min() >= len(RESERVED)
    assert english.decode({"tokens": ids[None]})["t"].to_list() == [unicodedata.normalize("NFC", text)]


@pytest.mark.parametrize("text", SCRIPTS[:5])
def test_scripts_without_spaces_are_learnt_in_pieces_longer_than_a_character(text):
    column = Text("t")
    column.learn([pl.Series("t", [text, text + text[:3]] * 20)])
    assert len(tokens(column, text)) <= len(text) / 2


def test_spans_are_characters_of_the_raw_text(english):
    text = " The film\u0301 wás  👍 ok"
    encoded = english.encode(pl.Series("t", ["film", text]))
    ids, spans = encoded.data[encoded.offsets[1] :], encoded.spans[encoded.offsets[1] :]
    assert spans.dtype == np.int32
    assert spans.shape == (len(ids), 2)
    assert (spans[:, 0] <= spans[:, 1]).all()
    assert spans.max() == len(text)
    covered = {i for a, b in spans for i in range(a, b)}
    assert covered >= {i for i, c in enumerate(text) if not c.isspace() and not unicodedata.combining(c)}
    words = english.encode(pl.Series("t", ["the wonderful plot"])).spans.tolist()
    assert words == [[0, 3], [4, 13], [14, 18]]


def test_empty_and_missing_differ(english):
    encoded = english.encode(pl.Series("t", ["", None, "film"]))
    assert encoded.observed.tolist() == [True, False, True]
    assert encoded.offsets.tolist() == [0, 0, 0, 1]
    assert encoded.data.dtype == np.uint16
    none = english.encode(pl.Series("t", [], dtype=pl.String))
    assert len(none) == 0
    assert none.offsets.tolist() == [0]


@pytest.mark.parametrize("blank", ["", "  ", "\t\n", "\u3000"])
def test_blank_texts_teach_nothing(blank):
    with pytest.raises(DataError, match="t: text was expected, but all 3 training rows are blank"):
        Text("t").learn([pl.Series("t", [blank] * 2), pl.Series("t", [blank, None])])
    mostly, half = Text("t"), Text("t")
    mostly.learn([pl.Series("t", [blank] * 3), pl.Series("t", ["film", "plot"])])
    assert mostly.notes == ["t: 3 of 5 training texts are blank, and teach nothing"]
    half.learn([pl.Series("t", [blank, "film"])])
    assert not half.notes


def test_capitals_are_kept_or_read_as_small_letters():
    column = Text("t", lowercase=True)
    column.learn([pl.Series("t", ENGLISH)])
    np.testing.assert_array_equal(tokens(column, "The FILM"), tokens(column, "the film"))
    cased = Text("t", lowercase=False)
    cased.learn([pl.Series("t", ENGLISH)])
    assert len(tokens(cased, "The FILM")) > len(tokens(cased, "the film"))


def test_length_keeps_the_start_and_says_so():
    whole, cut = Text("t", length=0, spans=True), Text("t", length=5, spans=True)
    for column in (whole, cut):
        column.learn([pl.Series("t", ENGLISH)])
    values = pl.Series("t", [ENGLISH[0], "film", "z" * 10_000])
    a, b = whole.encode(values), cut.encode(values)
    assert np.diff(b.offsets).tolist() == [5, 1, 5]
    np.testing.assert_array_equal(b.data[:5], a.data[:5])
    np.testing.assert_array_equal(b.spans[:5], a.spans[:5])
    assert not a.notes
    assert "2 of 3 texts are longer than 5 tokens" in b.notes[0]
    auto = Text("t")
    auto.learn([pl.Series("t", ENGLISH)])
    assert auto.limit == 256
    assert max(map(len, auto._known().get_vocab())) <= LONGEST


def test_reserved_names_in_a_text_are_ordinary_text(english):
    for name in RESERVED:
        ids = tokens(english, name)
        assert ids.min() >= len(RESERVED)
        assert english.decode({"tokens": ids[None]})["t"][0] == name


def test_decoding_stops_at_the_end_and_heeds_the_mask(english):
    a, b = int(tokens(english, "film")[0]), int(tokens(english, " plot")[0])
    grid = np.array([[START, a, b, END, a], [a, b, b, 0, 0]])
    mask = np.array([[True] * 5, [True, True, False, False, False]])
    assert english.decode({"tokens": grid, "mask": mask})["t"].to_list() == ["film plot", "film plot"]


def test_a_character_that_is_cut_off_at_the_end_is_left_out(english):
    for place in range(3):
        cut = np.append(tokens(english, "film 漢\ufffd"), tokens(english, "漢")[:place])
        assert english.decode({"tokens": cut[None]})["t"].to_list() == ["film 漢\ufffd"]
        assert english.ended(cut.tolist()) == "film 漢\ufffd"
    torn = np.append(tokens(english, "漢")[:1], tokens(english, "film"))
    assert english.decode({"tokens": torn[None]})["t"].to_list() == ["\ufffdfilm"]


def test_state_is_json_and_gives_the_same_tokens(english):
    state = json.loads(json.dumps(english.state()))
    other = Text("t")
    other.load_state(state)
    assert other.spec == english.spec
    assert other.limit == english.limit
    values = pl.Series("t", [*SCRIPTS, *ENGLISH[:5], None])
    np.testing.assert_array_equal(other.encode(values).data, english.encode(values).data)
    content = json.loads(state["tokenizer"])
    content["model"]["vocab"] = {"a": 0}
    with pytest.raises(FileError, match="damaged"):
        Text("t").load_state({**state, "tokenizer": json.dumps(content)})


def test_chunks_do_not_matter_and_without_spans_the_tokens_are_the_same(english):
    chunked = Text("t", lowercase=False)
    chunked.learn(pl.Series("t", ENGLISH[i : i + 7]) for i in range(0, len(ENGLISH), 7))
    one, two = (c.encode(pl.Series("t", ENGLISH)) for c in (english, chunked))
    np.testing.assert_array_equal(one.data, two.data)
    assert two.spans is None


def test_the_sample_is_bounded_and_spread(monkeypatch):
    monkeypatch.setattr("ranvier.columns.sample.SAMPLE", 1000)
    samples = []
    for rows in (10, 64):
        sample = Sample()
        for start in range(0, 2000, rows):
            sample.add(pl.Series("t", [f"{i:04d} five" for i in range(start, min(start + rows, 2000))]))
        samples.append(sample.texts)
        assert sample.rows == 2000
        assert sample.characters == 18_000
    assert samples[0] == samples[1]
    assert 50 <= len(samples[0]) <= 112
    assert int(samples[0][-1][:4]) > 1900


def test_sizes():
    small = Text("t", vocabulary=270)
    assert small.learn([pl.Series("t", ENGLISH)]).size == 270
    with pytest.raises(PlanError, match="260 or more"):
        Text("t", vocabulary=100)
    with pytest.raises(PlanError, match="length"):
        Text("t", length=-1)
    with pytest.raises(DataError, match="all 2 training rows"):
        Text("t").learn([pl.Series("t", ["", None, ""])])
    with pytest.raises(DataError, match="List"):
        Text("t").encode(pl.Series("t", [["a"]]))
    with pytest.raises(DataError, match="has to learn"):
        Text("t").encode(pl.Series("t", ["a"]))


def test_numbers_read_as_text(english):
    assert english.decode({"tokens": tokens(english, "42")[None]})["t"][0] == "42"
    np.testing.assert_array_equal(english.encode(pl.Series("t", [42])).data, tokens(english, "42"))


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [
        (ENGLISH, 0.9, 1.0),
        ([f"快速的棕色狐狸跳过了懒狗{i}" for i in range(30)], 0.9, 1.0),
        ([f"วันนี้อากาศดีมาก{i}" for i in range(30)], 0.9, 1.0),
        ([f"for i in range({i}): total = total + items[i]" for i in range(30)], 0.9, 1.0),
        ([f"ID{i:05d}" for i in range(30)], 0.0, 0.2),
        ([f"{i:04d} {i + 1} {i + 2} {i}" for i in range(30)], 0.0, 0.2),
        (["red", "green"] * 20, 0.0, 0.2),
        (["dark red", "light green"] * 20, 0.0, 0.3),
        ([None, " "], 0.0, 0.0),
        ([1, 2], 0.0, 0.0),
    ],
)
def test_recognise(values, least, most):
    score, reason = Text.recognise(pl.Series("t", values))
    assert least <= score <= most
    assert bool(reason) or score == 0


def test_pieces_lose_no_character():
    split = pre_tokenizers.Split(Regex(PIECES), "isolated")
    for text in SCRIPTS:
        assert "".join(piece for piece, _ in split.pre_tokenize_str(text)) == text


MIXED = ["héllo 你好 🙂", "مرحبا héllo", "你好🙂 z"] * 3


@pytest.mark.parametrize("units", ["subwords", "characters", "bytes"])
def test_any_units_give_the_text_back(units):
    column = Text("t", units=units, lowercase=False)
    column.learn([pl.Series("t", MIXED)])
    encoded = column.encode(pl.Series("t", [*MIXED, "Ω unseen\x00"]))
    assert column.texts(encoded) == [*MIXED, "Ω unseen\x00"]
    again = Text("t", units=units, lowercase=False)
    again.load_state(column.state())
    assert again.texts(again.encode(pl.Series("t", MIXED))) == MIXED


def test_a_character_is_a_token_and_a_byte_is_a_token():
    for units, count in (("characters", len), ("bytes", lambda text: len(text.encode()))):
        column = Text("t", units=units, lowercase=False)
        spec = column.learn([pl.Series("t", MIXED)])
        assert np.diff(column.encode(pl.Series("t", MIXED)).offsets).tolist() == [count(text) for text in MIXED]
        assert units == "characters" or spec.size == 260
    with pytest.raises(PlanError, match="bytes"):
        Text("t", units="bytes", vocabulary=300)


def test_characters_of_scripts_without_spaces_apart():
    texts = ["我在北京大学 reading books", "ผู้ที่ ไป", "我在北京 reading 123 books!"] * 30
    column = Text("t", spans=True, apart=True)
    column.learn([pl.Series("t", texts)])
    encoded = column.encode(pl.Series("t", texts[:3]))
    for row, text in enumerate(texts[:3]):
        pieces = {text[a:b] for a, b in encoded.spans[encoded.offsets[row] : encoded.offsets[row + 1]]}
        assert "reading" in pieces or row == 1
        assert not any(len(piece) > 1 and piece[0] in "我在北京大学" for piece in pieces)
    assert column.texts(encoded) == [text.lower() for text in texts[:3]]
    together = Text("t", spans=True)
    together.learn([pl.Series("t", texts)])
    assert len(together.encode(pl.Series("t", texts)).data) < len(column.encode(pl.Series("t", texts)).data)


def test_texts_that_are_alike_have_the_pieces_of_both():
    one, other = Text("document"), Text("summary", like="document")
    documents, summaries = ["a long tale of the sea"] * 30, ["zebra quokka"] * 30
    one.learn([pl.Series(documents)], also=[pl.Series(summaries)])
    spec = other.follow(one, [pl.Series(summaries)])
    assert spec == one.spec
    assert " quokka" in one.pieces()
    assert (
        other.encode(pl.Series(["the sea zebra"])).data.tolist()
        == one.encode(pl.Series(["the sea zebra"])).data.tolist()
    )
    again = Text("summary", like="document")
    again.load_state(other.state())
    assert again.encode(pl.Series(["zebra"])).data.tolist() == one.encode(pl.Series(["zebra"])).data.tolist()


def test_texts_of_other_units_are_not_alike():
    one, other = Text("document"), Text("summary", like="document", units="characters")
    one.learn([pl.Series(["a long tale"] * 9)])
    with pytest.raises(PlanError, match="like = 'document', but units"):
        other.follow(one, [pl.Series(["a tale"])])
