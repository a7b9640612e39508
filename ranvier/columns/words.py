"""Texts that come as lists of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import polars as pl

from ranvier.columns.category import index_dtype
from ranvier.columns.foreign import fingerprint, read_tokenizer, tokenizer_from, tokenizer_of
from ranvier.columns.pieces import Pieces
from ranvier.columns.sequence import REPEATING, as_lists, looked_at
from ranvier.columns.stream import present
from ranvier.columns.text import RESERVED, trained
from ranvier.core.column import Column
from ranvier.core.counts import agreed
from ranvier.core.errors import DataError, PlanError
from ranvier.core.spec import Encoded, Spec

Auto = Literal["auto"]
UNKNOWN = len(RESERVED)  # the id of a word that is not in the vocabulary
SEEN = 2  # times that a word of the vocabulary was met, so that what stands for the others is met as well
MOST = 50_000  # words in the vocabulary
SUBWORDS = 8_000
HELD = 2_000_000  # different words that are counted at once; beyond it those met once are forgotten
LENGTHS = (256, 4096)  # range of "auto"
BYTES = 256


class Words(Column):
    """Lists of words (tokens of a corpus), or strings with spaces between them; for tags, one for each word.

    With units = "words" each word is its place in the vocabulary (int, UNKNOWN for others, after the ids that texts
    reserve) and `letters` bytes of its UTF-8, each plus 1: the first and the last half of a longer word, so that
    endings of unknown words are seen. With units = "subwords" a word is one or more byte pairs, as a text's, and spans
    tell of each the word that it belongs to. An empty string among the words stays a word. Words are brought to
    Unicode's composed form (NFC).

    vocabulary: how many words (subwords) at most; "auto": 50,000, of those met twice (8,000). lowercase: words are
    looked up in small letters, while their letters keep capitals; "auto": if there are letters. length: at most so
    words of a row are kept, from its start; 0 = all; "auto" = twice the 95th percentile in training.

    tokenizer: the folder of a pretrained model, whose own tokenizer (its tokenizer.json) divides words into subwords;
    "" = none. Each row stands between that model's signs, whose spans are empty; vocabulary, letters and lowercase
    mean nothing, and length counts tokens, signs included, of which whole words are kept. The column keeps the whole
    tokenizer, and needs the folder only to learn.
    """

    carries = ("units", "vocabulary", "letters", "lowercase", "length", "tokenizer")

    def __init__(
        self,
        name: str,
        /,
        *,
        units: Literal["words", "subwords"] = "words",
        vocabulary: int | Auto = "auto",
        letters: int = 16,
        lowercase: bool | Auto = "auto",
        length: int | Auto = "auto",
        tokenizer: str = "",
    ) -> None:
        super().__init__(name)
        self.folder = tokenizer  # of another's tokenizer
        if self.folder:
            units, vocabulary, lowercase = "subwords", "auto", False
        least = UNKNOWN + 2 if units == "words" else BYTES + len(RESERVED)
        if vocabulary != "auto" and vocabulary < least:
            raise PlanError(f"{name}: vocabulary = {vocabulary}: {least} or more")
        if letters < 0 or letters % 2:
            raise PlanError(f"{name}: letters = {letters}: an even number, for half are a word's first; 0 for none")
        if length != "auto" and length < 0:
            raise PlanError(f"{name}: length = {length}: the number of words to keep, or 0 for all")
        self.units, self.vocabulary, self.length = units, vocabulary, length
        self.letters = letters if units == "words" else 0
        self.lowercase = self.letters > 0 if lowercase == "auto" else lowercase
        self.limit = 0  # the length as settled
        self.words: list[str] = []
        self._pieces: Pieces | None = None

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for lists of strings that repeat within a row, which labels of a set do not."""
        repeating, distinct, total = looked_at(sample)
        if not total:
            return 0.0, ""
        return (
            0.7 if repeating > REPEATING else 0.4
        ), f"lists of {total / len(sample):.1f} words, {distinct:,} distinct"

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Counts the words.

        Raises DataError if there are none, FileError if a pretrained model's tokenizer cannot be read.
        """
        counts = pl.DataFrame(schema={"word": pl.String, "count": pl.Int64})
        lengths = []
        for chunk in chunks:
            lists = as_lists(chunk)
            lengths.append(lists.list.len().drop_nulls().to_numpy())
            counts = _added(counts, self._looked_up(lists.explode().drop_nulls()))
        sizes = np.concatenate([np.zeros(0), *lengths])
        if not counts.height:
            raise DataError(f"{self.name}: words were expected, but all {len(sizes):,} training rows are empty")
        self.limit = int(np.clip(2 * np.percentile(sizes, 95), *LENGTHS)) if self.length == "auto" else self.length
        counts = counts.sort(["count", "word"], descending=[True, False])
        if self.folder:
            self._pieces = Pieces(read_tokenizer(self.folder, self.name), foreign=True)
        elif self.units == "subwords":
            size = SUBWORDS if self.vocabulary == "auto" else self.vocabulary
            texts = counts["word"].repeat_by(counts["count"].clip(upper_bound=20)).explode().drop_nulls().to_list()
            self._pieces = Pieces(trained(texts, size, lowercase=False))
        else:
            most = MOST if self.vocabulary == "auto" else self.vocabulary - UNKNOWN - 1
            often = counts.filter(pl.col("count") >= SEEN) if self.vocabulary == "auto" else counts
            self.words = often["word"].head(most).to_list()
        return self._ready()

    def extend(self, words: Iterable[str]) -> int:
        """Adds words that training rows lack, as many as an "auto" vocabulary may have; says how many.

        Adds none to subwords, nor to a vocabulary of a size that was asked for.
        """
        if self.units != "words" or self.vocabulary != "auto":
            return 0
        known = set(self.words)
        forms = self._looked_up(pl.Series(list(words), dtype=pl.String)).unique(maintain_order=True)
        new = [word for word in forms.to_list() if word not in known][: max(0, MOST - len(self.words))]
        self.words += new
        self._ready()
        return len(new)

    def _ready(self) -> Spec:
        if self._pieces is not None:
            known = fingerprint(self._pieces.tokenizer) if self.folder else ""
            if self.folder and 0 < self.limit <= self._pieces.signs:
                told = f"the model's own signs alone are {self._pieces.signs} tokens"
                raise PlanError(f"{self.name}: length = {self.limit}: {told}")
            self.spec = Spec("tokens", (None,), self._pieces.size, "word", tokenizer=known)
        else:
            self._place = {word: UNKNOWN + 1 + place for place, word in enumerate(self.words)}
            shape = (None, 1 + self.letters) if self.letters else (None,)
            self.spec = Spec("tokens", shape, UNKNOWN + 1 + len(self.words), "word")
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """Rows (N) as ragged words or subwords; notes tell how many rows were cut."""
        lists = as_lists(values)
        observed = present(lists)
        full = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
        if self.limit:  # a word has one token at least
            lists = lists.list.head(self.limit)
        lengths = np.minimum(full, self.limit) if self.limit else full
        flat = lists.filter(pl.Series(lengths > 0)).explode()
        distinct = flat.unique(maintain_order=True)
        codes = flat.cast(pl.Enum(distinct)).to_physical().to_numpy() if len(flat) else np.zeros(0, np.int64)
        bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        if self._pieces is None:
            return Encoded(self._table(distinct)[codes], observed, bounds, None, self._cut(full, lengths))
        each = self._pieces.of(self._looked_up(distinct).to_list())
        if self.folder and self.limit:
            each = [ids[: self.limit - self._pieces.signs] for ids in each]  # so that a row has one word at least
            sizes = np.array([len(ids) for ids in each], np.int64)[codes]
            fitting = self._pieces.within(sizes, bounds, self.limit)
            codes = codes[np.arange(len(codes)) - np.repeat(bounds[:-1], lengths) < np.repeat(fitting, lengths)]
            lengths, bounds = fitting, np.concatenate([[0], np.cumsum(fitting)])
        data, offsets, spans = self._pieces.joined(each, codes, bounds)
        return Encoded(data, observed, offsets, spans, self._cut(full, lengths))

    def _cut(self, full: np.ndarray, kept: np.ndarray) -> list[str]:
        """A note on rows of which fewer words are kept than there are."""
        cut = int((full > kept).sum())
        if not cut:
            return []
        return [
            f"{self.name}: {cut:,} of {len(full):,} rows {agreed(cut, 'is|are')} longer than "
            f"{self.limit:,} {'tokens' if self.folder else 'words'} and {agreed(cut, 'was|were')} cut there "
            "(length = 0 keeps all)"
        ]

    def _table(self, distinct: pl.Series) -> np.ndarray:
        """Different words (M,) as (M,) places, or (M, 1 + letters)."""
        assert self.spec is not None
        table = np.zeros((len(distinct), 1 + self.letters), index_dtype(max(self.spec.size, BYTES)))
        table[:, 0] = [self._place.get(word, UNKNOWN) for word in self._looked_up(distinct).to_list()]
        half = self.letters // 2
        for row, word in enumerate(distinct.str.normalize("NFC").to_list() if self.letters else ()):
            letters = word.encode()
            if len(letters) > self.letters:
                letters = letters[:half] + letters[-half:]
            table[row, 1 : 1 + len(letters)] = np.frombuffer(letters, np.uint8).astype(np.int16) + 1
        return table if self.letters else table[:, 0]

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"tokens": (N, T) places, "mask": (N, T)} as lists of words, "" for what is none."""
        tokens, mask = np.asarray(prediction["tokens"]), np.asarray(prediction["mask"])
        names = self.pieces() if self._pieces is not None else [""] * (UNKNOWN + 1) + self.words
        rows = [[names[i] for i in row[real]] for row, real in zip(tokens, mask, strict=True)]
        return pl.DataFrame({self.name: pl.Series(rows, dtype=pl.List(pl.String))})

    def pieces(self) -> list[str]:
        """The text of each subword alone."""
        assert self._pieces is not None
        return self._pieces.tokenizer.decode_batch([[i] for i in range(self._pieces.size)])

    def state(self) -> dict[str, Any]:
        """The vocabulary in order, and the length; of subwords the tokenizer as its own JSON."""
        tokenizer = "" if self._pieces is None else self._pieces.tokenizer.to_str()
        return {"version": 1, "words": list(self.words), "tokenizer": tokenizer, "limit": self.limit}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.words, self.limit = list(state["words"]), int(state["limit"])
        if self.units == "subwords":
            read = tokenizer_of if self.folder else tokenizer_from
            tokenizer = read(state["tokenizer"], f"{self.name}: the file's tokenizer")
            self._pieces = Pieces(tokenizer, foreign=bool(self.folder))
        self._ready()

    def _looked_up(self, words: pl.Series) -> pl.Series:
        composed = words.str.normalize("NFC")
        return composed.str.to_lowercase() if self.lowercase else composed


def _added(counts: pl.DataFrame, words: pl.Series) -> pl.DataFrame:
    """The counts with those of more words; where too many differ, those met once are forgotten."""
    if not len(words):
        return counts
    more = words.rename("word").value_counts(name="count").with_columns(pl.col("count").cast(pl.Int64))
    found = pl.concat([counts, more]).group_by("word").agg(pl.col("count").sum())
    return found if found.height <= HELD else found.filter(pl.col("count") > 1)
