"""Answers within a text: what raw values mean, where they are found in any script, and what is cut out again."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from ranvier.columns.recognise import recognise
from ranvier.columns.span import NONE, SOUGHT, Span, cut, located, whole, widened
from ranvier.columns.text import Text
from ranvier.core.errors import DataError


def found(answer, passage):
    """(start, end) of one answer, or "wrong"."""
    data, wrong = located(pl.Series("a", [answer]), pl.Series("p", [passage]))
    return "wrong" if wrong[0] else tuple(data[0].tolist())


@pytest.mark.parametrize(
    ("answer", "passage", "place"),
    [
        ("the cat", "see the cat, the cat", (4, 11)),
        (" cat\n", "a cat\nsat", (2, 5)),  # white space is no part of an answer
        ("北京", "我在北京大学读书，北京很大。", (2, 4)),
        ("👩‍🚀", "hi 👩‍🚀!", (3, 6)),
        ("e\u0301a", "cafe\u0301au", (3, 6)),  # letters in two signs are counted as they stand
        ("CAT", "a cat", "wrong"),
        ("", "a cat", (NONE, NONE)),
        ("cat", None, "wrong"),
        ({"start": 13, "text": "the cat"}, "see the cat, the cat", (13, 20)),
        ({"start": 12, "text": "the cat"}, "see the cat, the cat", "wrong"),
        ({"start": None, "text": "cat"}, "a cat", (2, 5)),
        ({"start": None, "text": ""}, "a cat", (NONE, NONE)),
        ({"start": -1, "text": ""}, "a cat", (NONE, NONE)),
        ({"start": 0, "text": ""}, "a cat", (NONE, NONE)),
        ({"start": None, "text": None}, "a cat", (NONE, NONE)),
        ({"start": 2, "end": 5}, "a cat", (2, 5)),
        ({"start": 1, "end": 5}, "a cat", (2, 5)),
        ({"start": 2, "end": 6}, "a cat", "wrong"),
        ({"start": 3, "end": 3}, "a cat", (NONE, NONE)),
        ({"start": 4, "end": 2}, "a cat", "wrong"),
        ({"start": 2, "end": None}, "a cat", "wrong"),
        ({"start": 1, "end": 2}, "a cat", "wrong"),  # nothing but white space
    ],
)
def test_where_answers_stand(answer, passage, place):
    assert found(answer, passage) == place


def test_what_is_told_without_the_passage():
    column = Span("a")
    structs = pl.Series(
        "a", [{"start": 3, "text": "so"}, {"start": None, "text": "so"}, {"start": -1, "text": ""}, None]
    )
    assert column.encode(structs).data.tolist() == [[3, 5], [SOUGHT] * 2, [NONE] * 2, [NONE] * 2]
    encoded = column.encode(pl.Series("a", ["so", "", None]))
    assert encoded.data.tolist() == [[SOUGHT] * 2, [NONE] * 2, [NONE] * 2]
    assert encoded.observed.tolist() == [True, True, False]


def test_structs_are_recognised_and_strings_are_not():
    assert recognise(pl.Series("a", [{"start": 3, "end": 5}, None]), target=True)[0] == "span"
    assert recognise(pl.Series("a", ["so", "it", "is"]), target=True)[0] != "span"


def test_answers_may_be_written_as_json():
    column = Span("a")
    structs = [
        {"start": 3, "text": "so"},
        {"start": 3, "end": 5},
        {"start": None, "text": "北"},
        {"start": 0, "text": ""},
    ]
    texts = pl.Series("a", [*map(json.dumps, structs), None])
    assert recognise(texts)[0] == "span"
    alike = [{"start": row % 6, "text": "blue" if row % 2 else "red"} for row in range(60)]  # as sets have labels, too
    assert recognise(pl.Series("a", map(json.dumps, alike)), target=True)[0] == "span"
    assert column.encode(texts).data.tolist() == [[3, 5], [3, 5], [SOUGHT] * 2, [NONE] * 2, [NONE] * 2]
    assert column.encode(texts).observed.tolist() == [True] * 4 + [False]
    for struct in structs:
        assert found(json.dumps(struct), "it so 北") == found(struct, "it so 北")
    for plain in ("{so}", '{"start": 3}', '{"start": 1, "text": "so", "why": 2}', "{'start': so}", "{'text': {[]: 1}}"):
        assert found(plain, f"it is {plain}") == (6, 6 + len(plain))
    for wrong in ({"start": "3", "text": "so"}, {"start": 3, "text": 5}, {"start": 2**40, "text": ""}):
        with pytest.raises(DataError, match=r"column 'a': expected answers as strings, .* in row 1"):
            column.encode(pl.Series("a", ["so", json.dumps(wrong)]))


@pytest.mark.parametrize("write", [json.dumps, str])
def test_answers_may_be_written_in_the_form_of_squad(write):
    first = {"text": ["so", "it"], "answer_start": [3, 0]}
    answers = [first, {"text": [], "answer_start": []}, {"answer_start": 0, "text": "it's"}]
    texts, column = pl.Series("a", [*map(write, answers), None]), Span("a")
    assert recognise(texts, target=True)[0] == "span"
    column.learn([texts])
    assert column.notes == ["column 'a': 1 row has several answers, of which the first is taken"]
    assert column.encode(texts).data.tolist() == [[3, 5], [NONE] * 2, [0, 4], [NONE] * 2]
    assert column.encode(texts).observed.tolist() == [True] * 3 + [False]


@pytest.mark.parametrize("values", [[1, 2], [["so"]], [{"start": 1, "text": "so", "why": "x"}]])
def test_other_values_are_refused_with_what_is_expected(values):
    with pytest.raises(DataError, match=r"column 'a': expected answers as strings, or as \{'start': 3, 'text'"):
        Span("a").encode(pl.Series("a", values))


def test_nothing_observed_is_refused():
    with pytest.raises(DataError, match="all training rows are missing"):
        Span("a").learn([pl.Series("a", [None, None], dtype=pl.String)])


def test_decoding():
    said = {"start": np.array([2, NONE]), "end": np.array([5, NONE]), "confidence": np.array([0.5, 1.0])}
    text = cut(pl.Series(["a cat", "a dog"]), said["start"], said["end"])
    frame = Span("a").decode({**said, "text": text})
    assert frame.rows() == [("cat", 2, 5, 0.5), ("", None, None, 1.0)]
    assert frame.columns == ["a", "a_start", "a_end", "a_confidence"]


@pytest.mark.parametrize(
    "passage",
    [
        "the cafe\u0301 is open",
        "나는 \u1112\u1161\u11ab국 사람",
        "x 👨\u200d👩\u200d👧 y",
        "wave 👋🏽 now",
        "किताब पढ़ो",
        "a\u0323\u0301 b",
        "我在北京。",
    ],
)
def test_tokens_tell_whole_characters_of_the_raw_text(passage):
    """A composed character's token tells the place of its first sign; widened, it is all of it."""
    column = Text("p", vocabulary=260, spans=True)
    column.learn([pl.Series("p", [passage])])
    spans = column.encode(pl.Series("p", [passage])).spans
    real = spans[spans[:, 1] > spans[:, 0]].astype(np.int64)
    many = pl.Series("p", [passage] * len(real))
    start, end = widened(many, real[:, 0], real[:, 1])
    texts = cut(many, start, end)
    kept = dict(zip(start.tolist(), texts.tolist(), strict=True))
    assert "".join(kept[place] for place in sorted(kept)) == "".join(passage.split())


def test_whole_stays_inside_the_text():
    assert whole("e\u0301", 1) == 2
    assert whole("ab", 1) == 1
    assert whole("ab", 2) == 2
    assert whole("", 0) == 0
