"""Words and their vectors: look up, compare, keep."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ranvier.core.errors import DataError, FileError, PlanError, RanvierWarning, did_you_mean
from ranvier.core.unknown import Told
from ranvier.lexicon import file
from ranvier.lexicon.corpus import cut
from ranvier.lexicon.grams import BEGIN, Grams, marked


class Embeddings(Told):
    """Vectors of words, near for words that stand in like company.

    words: (N,), each once. vectors: (N, width) float32, of each word. grams: vectors of character n-grams, from which
    words that are not among them get theirs; None if there are none, as after reading a text file. A word is looked for
    as it is, then in Unicode's composed form, then in small letters. Raises DataError for vectors that do not fit.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray, *, grams: Grams | None = None) -> None:
        self.words, self.vectors, self.grams = list(words), np.ascontiguousarray(vectors, np.float32), grams
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words) or not self.vectors.size:
            raise DataError(f"{len(self.words)} words and vectors of the shape {self.vectors.shape} do not fit")
        if not np.isfinite(self.vectors).all():
            place = int(np.flatnonzero(~np.isfinite(self.vectors).all(1))[0])
            raise DataError(f"the vector of {self.words[place]!r} holds what is no finite number")
        self._place = {word: place for place, word in enumerate(self.words)}
        if len(self._place) < len(self.words):
            twice = next(word for place, word in enumerate(self.words) if self._place[word] != place)
            raise DataError(f"the word {twice!r} stands there twice; leave one of them out")
        self._unit: np.ndarray | None = None

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self._find(word) is not None

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} words, width {self.width}{', with n-grams' if self.grams else ''})"

    def vector(self, word: str) -> np.ndarray:
        """(width,): the word's vector, for an unknown word the mean of those of its n-grams.

        Raises DataError for an unknown word without n-grams, or of whose n-grams none was met, and for what is no text.
        """
        if not isinstance(word, str):
            raise DataError(f"a word is a text, not {word!r:.60}")
        place = self._find(word)
        if place is not None:
            return self.vectors[place]
        if self.grams is None:
            raise DataError(f"the word {word!r} has no vector, and there are none of n-grams; {self._near(word)}")
        found = self.grams.vector(marked(_small(word)))
        if found is None:
            raise DataError(f"the word {word!r} has no vector, nor has any n-gram of it; {self._near(word)}")
        return found

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The n other words with the greatest cosine to a word, each with it.

        Raises DataError as `vector` does, PlanError for n below 1.
        """
        if not isinstance(n, int) or n < 1:
            raise PlanError(f"n = {n!r}: a whole number of at least 1")
        vector, place = self.vector(word), self._find(word)
        return self._nearest(vector, n, () if place is None else (place,))

    def analogy(self, a: str, b: str, c: str, n: int = 1) -> list[tuple[str, float]]:
        """The n words that are to c as b is to a (man, king, woman: queen), with their cosines to b - a + c.

        Of unit vectors, and none of the three (Mikolov et al. 2013, "Linguistic Regularities in Continuous Space Word
        Representations"). Raises DataError as `vector` does.
        """
        one, two, three = (_unit(self.vector(word)[None])[0] for word in (a, b, c))
        places = [place for place in map(self._find, (a, b, c)) if place is not None]
        return self._nearest(two - one + three, n, places)

    def save(self, path: str | Path, *, spaces: str = "") -> Path:
        """Writes to a file: words and vectors in the text format of word2vec (.txt, .vec: first "count width", then a
        word and its numbers a line) or its binary one (.bin), without n-grams, which is told; with .safetensors all
        that there is.

        spaces: what to write in the place of white space in words, which word2vec's formats cannot hold. Raises
        FileError where the file cannot be written, or has another ending, DataError for words that it cannot hold.
        """
        path = Path(path)
        if path.suffix == file.WHOLE:
            file.write_whole(path, self.words, self.vectors, self.grams)
        elif path.suffix in file.ENDINGS:
            write = file.write_binary if path.suffix == file.BINARY else file.write_text
            write(path, self.words, self.vectors, spaces)
            if self.grams is not None:
                told = f"{path} keeps no n-grams, so that words never met have no vector there; {file.WHOLE} keeps them"
                warnings.warn(told, RanvierWarning, stacklevel=2)
        else:
            raise FileError(
                f"cannot write {path}: vectors of words go to a file that ends in {', '.join(file.ENDINGS)}"
            )
        return path

    @classmethod
    def load(cls, path: str | Path) -> Embeddings:
        """What `save` wrote, word2vec's and GloVe's files, fastText's as text. Raises FileError for a damaged one."""
        words, vectors, grams = file.read(Path(path))
        return cls(words, vectors, grams=grams)

    def pieces(self, pieces: Sequence[str]) -> list[np.ndarray | None]:
        """(width,) each: vectors of pieces of texts, which may start with a space, hold several words or part of one.

        That of the word; else the mean of the words' in it, all being known; else that of its n-grams; or None.
        """
        bare = [piece.strip() for piece in pieces]
        parts = cut(pl.Series(bare, dtype=pl.String)).to_list()  # at once: a call for each costs a hundred times that
        return [self._piece(*one) for one in zip(pieces, bare, parts, strict=True)]

    def _piece(self, piece: str, bare: str, words: Sequence[str]) -> np.ndarray | None:
        place = self._find(bare)
        if place is not None:
            return self.vectors[place]
        parts = [self._find(word) for word in words]
        known = [place for place in parts if place is not None]
        if known and len(known) == len(parts):
            return self.vectors[known].mean(0)
        if self.grams is None or not bare:
            return None
        return self.grams.vector((BEGIN if piece[0].isspace() else "") + _small(bare))

    def _find(self, word: str) -> int | None:
        for form in (word, unicodedata.normalize("NFC", word), _small(word)):
            if form in self._place:
                return self._place[form]
        return None

    def _near(self, word: str) -> str:
        return did_you_mean(_small(word), self.words[:20_000])

    def _nearest(self, vector: np.ndarray, n: int, without: Sequence[int]) -> list[tuple[str, float]]:
        if self._unit is None:
            self._unit = _unit(self.vectors)
        cosines = self._unit @ _unit(vector[None])[0]
        cosines[list(without)] = -np.inf
        n = max(0, min(n, len(self) - len(set(without))))
        best = np.argsort(-cosines, kind="stable")[:n]
        return [(self.words[place], float(cosines[place])) for place in best]


def embeddings_from(path: str | Path) -> Embeddings:
    """The vectors in a file: word2vec's text or binary format (.bin), or `Embeddings.save`'s own. Raises FileError."""
    return Embeddings.load(path)


def _small(word: str) -> str:
    return unicodedata.normalize("NFC", word).lower()


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
