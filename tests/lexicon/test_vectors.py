"""Look-up of vectors, and their files."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier.core.errors import DataError, FileError, PlanError, RanvierWarning
from ranvier.lexicon.corpus import cut
from ranvier.lexicon.grams import Grams, buckets_of

WORDS = ["man", "king", "woman", "queen", "apple"]
VECTORS = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [-1, -1, 0.1]], np.float32)


def with_grams() -> rv.Embeddings:
    rows = np.unique(buckets_of(["<king>"], (3, 4), 1000)[0])
    table = np.random.default_rng(0).normal(size=(len(rows), 3)).astype(np.float32)
    return rv.Embeddings(WORDS, VECTORS, grams=Grams((3, 4), 1000, rows, table))


def test_look_up():
    words = rv.Embeddings(WORDS, VECTORS)
    assert words.vector("King").tolist() == [1, 0, 1]
    assert "QUEEN" in words
    assert "pear" not in words
    assert words.nearest("king", 2) == [("queen", pytest.approx(0.5)), ("man", pytest.approx(0.5**0.5))][::-1]
    assert len(words.nearest("king", 99)) == 4
    assert words.analogy("man", "king", "woman")[0][0] == "queen"
    assert words.width == 3
    with pytest.raises(DataError, match="'kin' has no vector, and there are none of n-grams; did you mean 'king'"):
        words.vector("kin")
    with pytest.raises(DataError, match="a word is a text, not 5"):
        words.nearest(5)
    with pytest.raises(PlanError, match=r"n = 1\.5: a whole number"):
        words.nearest("king", 1.5)


def test_unknown_words_have_those_of_their_ngrams():
    words = with_grams()
    assert np.isfinite(words.vector("kings")).all()
    assert words.nearest("Kings", 1)[0][0] in WORDS
    with pytest.raises(DataError, match="nor has any n-gram of it"):
        words.vector("xxxx")


def test_pieces():
    words = with_grams()
    word, several, part, blank, strange = words.pieces([" king", "man woman", " kingly", " ", "q"])
    assert word.tolist() == [1, 0, 1]
    assert several.tolist() == [0.5, 0.5, 0]
    assert part is not None
    assert blank is None
    assert strange is None
    assert words.pieces([]) == []


def test_pieces_are_cut_into_words_all_at_once(monkeypatch):
    calls = []
    monkeypatch.setattr("ranvier.lexicon.vectors.cut", lambda texts: calls.append(texts.to_list()) or cut(texts))
    with_grams().pieces(["man woman", "q"])
    assert calls == [["man woman", "q"]]


def test_round_trip(tmp_path):
    words = rv.Embeddings(["北京", "naïve", '"q"', "a"], np.random.default_rng(0).normal(size=(4, 7)))
    path = words.save(tmp_path / "words.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "4 7"
    assert len(lines) == 5
    for other in (rv.embeddings_from(path), rv.Embeddings.load(str(path))):
        assert other.words == words.words
        assert np.array_equal(other.vectors, words.vectors)
        assert other.grams is None


def test_whole_round_trip(tmp_path):
    words = with_grams()
    other = rv.embeddings_from(words.save(tmp_path / "words.safetensors"))
    assert other.words == words.words
    assert np.array_equal(other.vector("kings"), words.vector("kings"))


@pytest.mark.parametrize("head", ["", "4 2\n"])
def test_the_text_of_glove(tmp_path, monkeypatch, head):
    monkeypatch.setattr("ranvier.lexicon.file.LINES", 3)
    path = tmp_path / "glove.txt"
    path.write_text(head + "the 0.5 -1\n, 1e-2 2\n. . . 3 4\n7 5 6\n", "utf-8")
    found = rv.embeddings_from(path)
    assert found.words == ["the", ",", ". . .", "7"]
    np.testing.assert_array_equal(found.vectors, np.float32([[0.5, -1], [0.01, 2], [3, 4], [5, 6]]))


@pytest.mark.parametrize("name", ["words.txt", "words.vec", "words.bin"])
def test_n_grams_that_a_file_does_not_keep_are_told(tmp_path, name):
    with pytest.warns(RanvierWarning, match=rf"{name} keeps no n-grams, .*; \.safetensors keeps them"):
        path = with_grams().save(tmp_path / name)
    assert rv.embeddings_from(path).grams is None


def test_words_with_spaces(tmp_path):
    words = rv.Embeddings(["New York", "x"], VECTORS[:2])
    with pytest.raises(DataError, match="1 word holds white space, such as 'New York'"):
        words.save(tmp_path / "w.txt")
    assert not (tmp_path / "w.txt").exists()
    assert rv.embeddings_from(words.save(tmp_path / "w.txt", spaces="_")).words == ["New_York", "x"]
    with pytest.raises(DataError, match="without white space"):
        words.save(tmp_path / "w.txt", spaces=" ")
    with pytest.raises(DataError, match="two words would be the same"):
        rv.Embeddings(["New York", "New_York"], VECTORS[:2]).save(tmp_path / "w.txt", spaces="_")
    assert rv.embeddings_from(words.save(tmp_path / "w.safetensors")).words == words.words


def test_the_binary_format(tmp_path):
    words = rv.Embeddings([*WORDS, "猫"], np.concatenate([VECTORS, [[0.1, -0.2, 1e-9]]]).astype(np.float32))
    path = words.save(tmp_path / "words.bin")
    content = path.read_bytes()
    assert content.startswith(b"6 3\nman " + np.array([1, 0, 0], "<f4").tobytes() + b"king ")
    ended = content.replace(b"king ", b"\nking ") + b"\n"  # as the first program writes it
    for one in (content, ended):
        path.write_bytes(one)
        found = rv.embeddings_from(path)
        assert found.words == words.words
        np.testing.assert_array_equal(found.vectors, words.vectors)
    assert rv.Embeddings(["New York"], VECTORS[:1]).save(path, spaces="_").read_bytes().startswith(b"1 3\nNew_York ")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "the first line is ''"),
        (b"2 1\na \x00\x00\x00\x00", "has 1; it may be cut off"),
        (b"999999999 99999999\na \x00\x00\x00\x00", "has 0; it may be cut off"),
        (b"1 1\na \x00\x00\x00", "it may be cut off"),
        (b"1 1\na \x00\x00\x00\x00b", "goes on after them; mend the first line"),
        (b"1 1\n\xff \x00\x00\x00\x00", "word 1 is no text in UTF-8"),
        (b"2 1\na \x00\x00\x00\x00 \x00\x00\x00\x00", "word 2 is empty; leave it out"),
        (b"2 1\na \x00\x00\x00\x00\n \x00\x00\x00\x00", "word 2 is empty; leave it out"),
        (b"1 1\na \x00\x00\xc0\x7f", "the vector of 'a' holds what is no finite number"),
        ((793_712_314).to_bytes(4, "little") + b"\n", "a model of fastText's own; save its vectors as text"),
    ],
)
def test_bad_binary_files(tmp_path, content, match):
    path = tmp_path / "words.bin"
    path.write_bytes(content)
    with pytest.raises(FileError, match=match):
        rv.embeddings_from(path)


@pytest.mark.parametrize("name", ["words", "words.npy", "words.txt.gz"])
def test_other_endings_are_not_written(tmp_path, name):
    with pytest.raises(FileError, match=r"ends in \.txt, \.vec, \.bin, \.safetensors"):
        rv.Embeddings(WORDS, VECTORS).save(tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "the first line is ''"),
        (b"the 311\nof 200\n", "must be 'count width', .*, or a word and its numbers"),
        (b"the cat sat\n", "must be 'count width', .*, or a word and its numbers"),
        (b"the 1 2\nof 1\n", "line 2: expected a word and 2 numbers, got 'of 1'; mend that line"),
        (b"the 1 2\nof 1 2 3\n", "line 2: expected a word and 2 numbers, got 'of 1 2 3'; mend that line"),
        (b"the 1 2\nof 1 x\n", "line 2: could not convert"),
        (b"0 3\n", "holds 0 words"),
        (b"2 2\na 1 2\n", "says that it holds 2 words, and has 1 lines of them; it may be cut off"),
        (b"1 2\na 1 2\nb 1 2\n", "mend the first line"),
        (b"2 2\na 1 2\nb 1\n", "line 3: expected a word and 2 numbers"),
        (b"1 2\na 1 x\n", "line 2: could not convert"),
        (b"2 2\na 1 2\nb 1 nan\n", "the vector of 'b' holds what is no finite number"),
        (b"1 2\na 1 1e99\n", "no finite number"),
        (b"2 2\na 1 2\na 1 2\n", "'a' stands there twice"),
        (b"1 2\n\xff\xfe 1 2\n", "no text in UTF-8"),
        (b"999999999 999999999\n", "has 0 lines"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_bad_text_files(tmp_path, content, match):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(FileError, match=match):
        rv.embeddings_from(path)


def test_other_bad_files(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        rv.embeddings_from(tmp_path / "none.txt")
    with pytest.raises(FileError, match="cannot read"):
        rv.embeddings_from(tmp_path)
    with pytest.raises(FileError, match="cannot write"):
        rv.Embeddings(WORDS, VECTORS).save(tmp_path / "no" / "words.txt")
    path = with_grams().save(tmp_path / "words.safetensors")
    content = path.read_bytes()
    for damaged in (b"", content[:50], content[:-9], content.replace(b'"F32"', b'"I32"')):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match="damaged"):
            rv.embeddings_from(path)


def test_vectors_must_fit():
    with pytest.raises(DataError, match="do not fit"):
        rv.Embeddings(["a"], VECTORS)
    with pytest.raises(DataError, match="'b' holds what is no finite"):
        rv.Embeddings(["a", "b"], [[1.0], [np.nan]])
    with pytest.raises(DataError, match="'a' stands there twice"):
        rv.Embeddings(["a", "a"], VECTORS[:2])
