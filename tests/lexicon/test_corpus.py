"""Running words from data, pairs of neighbours, n-grams."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier.core.errors import DataError, PlanError
from ranvier.lexicon.corpus import corpus_of, cut
from ranvier.lexicon.grams import Grams, buckets_of
from ranvier.lexicon.pairs import Pairs


def test_texts_are_cut_in_any_script():
    texts = [
        "Don't stop, it’s Ünïted_1!",
        "我爱北京 GPU卡",
        "ภาษา",
        "नमस्ते दुनिया",
        "Cafe\u0301",
        "...",
        "good👍🏽 👩‍🚀🇫🇷!",
    ]
    assert cut(pl.Series(texts)).to_list() == [
        ["don't", "stop", "it’s", "ünïted_1"],
        ["我", "爱", "北", "京", "gpu", "卡"],
        ["ภ", "า", "ษ", "า"],
        ["नमस्ते", "दुनिया"],
        ["café"],
        [],
        ["good", "👍🏽", "👩‍🚀", "🇫🇷"],
    ]


def test_rare_words_go_and_are_told():
    corpus = corpus_of(["a b a", "b c"], least=2)
    assert corpus.words == ["a", "b"]
    assert corpus.counts.tolist() == [2, 2]
    assert corpus.ids.tolist() == [0, 1, 0, 1]
    assert corpus.row.tolist() == [0, 0, 0, 1]
    assert corpus.notes[0].startswith("1 of 3 different words, 20.0% of the text, is met less than 2 times")


def test_words_of_lists_stay_as_they_are():
    lists = [["New York", "is", "Big", ""], ["is", "it"], []]
    for data in (lists, pl.DataFrame({"n": [1, 2, 3], "w": lists})):
        assert set(corpus_of(data).words) == {"New York", "is", "Big", "it"}


def test_files(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("one two\ntwo three\n")
    assert corpus_of(file).words[0] == "two"
    assert corpus_of([str(file)]).words[0] == "two"


@pytest.mark.parametrize(
    ("data", "how", "error", "match"),
    [
        ([], {}, DataError, "there are no texts"),
        (["", "..."], {}, DataError, "0 different words"),
        (["one", "two"], {}, DataError, "no row holds two words"),
        (["a b", "b \udc80"], {}, DataError, "column 'text', row 1: half a surrogate pair is no character"),
        ([["a", "b"], ["b", "\udc80"]], {}, DataError, "column 'words', row 1: half a surrogate pair"),
        ({"n": [1, 2]}, {}, DataError, "no column holds texts"),
        ({"n": [1, 2], "t": ["a b", "b c"]}, {"column": "x"}, DataError, "'x' is not in the data"),
        ({"n": [1, 2], "t": ["a b", "b c"]}, {"column": "n"}, DataError, "expected texts, or lists of words"),
        ({"s": ["a b c d e", "b c d e f"], "t": ["a b", "b c"]}, {}, (PlanError, DataError), ""),
    ],
)
def test_refused(data, how, error, match):
    if match:
        with pytest.raises(error, match=match):
            corpus_of(data, **how)
    else:
        assert corpus_of(data, "t").words == ["b", "a", "c"]


def test_several_columns_must_be_told_apart():
    texts = [f"the film number {i} was quite good" for i in range(20)]
    with pytest.raises(PlanError, match="columns 's', 't' hold texts or words; name one as column="):
        corpus_of({"s": texts, "t": texts})


def test_pairs_stay_in_the_window_and_in_the_row():
    corpus = corpus_of([" ".join(f"w{i}" for i in range(20)), " ".join(f"v{i}" for i in range(20))])
    pairs = Pairs(corpus, window=3, negatives=5, block=16, noise=8, seed=0)
    assert (pairs.keep == 1).all()
    number = {word: (word[0], int(word[1:])) for word in corpus.words}
    distances = set()
    for (words, others, near, far), _ in zip(pairs, range(40), strict=False):
        assert near.shape == (len(words), len(others))
        assert far.sum() == pytest.approx(5)
        for row, place in zip(*np.nonzero(near), strict=True):
            (one, a), (other, b) = number[corpus.words[words[row]]], number[corpus.words[others[place]]]
            assert one == other
            distances.add(abs(a - b))
    assert distances == {1, 2, 3}
    first, again = (next(iter(Pairs(corpus, window=3, negatives=5, block=16, noise=8, seed=0))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_frequent_words_are_thinned_out():
    rare = [f"the w{i}" for i in range(2_000)]
    pairs = Pairs(corpus_of(rare), window=2, negatives=5, block=64, noise=8, seed=0)
    assert pairs.corpus.words[0] == "the"
    assert pairs.keep[0] == pytest.approx(np.sqrt(1 / 2001 / 0.5) + 1 / 2001 / 0.5)
    assert (pairs.keep[1:] == 1).all()


def test_ngrams():
    found, starts = buckets_of(["<abc>", "<a>", "", "<ab"], (3, 4), 2**40)
    assert np.diff(starts).tolist() == [5, 1, 0, 1]
    assert found[0] == found[6]  # "<ab" both times
    assert len(set(found.tolist())) == 6
    assert buckets_of([], (3, 6), 10)[1].tolist() == [0]


def test_vector_of_ngrams_is_of_those_met():
    rows, _ = buckets_of(["abcd"], (3, 3), 1000)
    rows = np.sort(rows)
    grams = Grams((3, 3), 1000, rows, np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert grams.vector("abcd").tolist() == [0.5, 0.5]
    assert grams.vector("zzabcd").tolist() == [0.5, 0.5]
    assert grams.vector("xyz") is None
    assert grams.vector("a") is None
