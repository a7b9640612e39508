"""Texts in any script, as subwords learnt from the training rows."""

from __future__ import annotations

import json
import math
from codecs import getincrementaldecoder
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import polars as pl
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from ranvier.columns.alphabet import bytes_in, bytes_of
from ranvier.columns.foreign import fingerprint, read_tokenizer, size_of, tokenizer_from, tokenizer_of
from ranvier.columns.sample import Sample
from ranvier.columns.sequence import UNSPACED, decoded, spaced
from ranvier.columns.stream import present
from ranvier.core.column import Column
from ranvier.core.counts import agreed
from ranvier.core.errors import DataError, FileError, PlanError
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

Auto = Literal["auto"]
Units = Literal["subwords", "characters", "bytes"]

PAD, START, END, HIDDEN = range(4)  # ids that no text encodes to; for padding, generated text, masked tokens
# A space is no character of the byte alphabet, so neither a text nor a merge can make these.
RESERVED = ["< pad >", "< start >", "< end >", "< hidden >"]
BYTES = 256
TORN = "\N{REPLACEMENT CHARACTER}"  # what bytes that make no character read as
LONGEST = 32  # bytes in a token
VOCABULARIES = (512, 32_768)  # range of "auto"
CASED = 50_000_000  # characters of training text from which capitals are worth tokens of their own
LENGTH_TEXTS = 2_000  # texts that "auto" length is measured on
LENGTHS = (256, 4096)  # range of "auto"
BATCH = 4096  # texts handed to the tokenizer at once

# Where words may be divided, none being taken for granted: a run of letters with its marks and the space before it
# (in a script without spaces a whole clause, inside which tokens are found all the same), an English clitic, up to
# three digits, a run of other signs, white space.
PIECES = (
    r"'(?i:[sdmt]|ll|ve|re)(?![\p{L}\p{M}])| ?[\p{L}\p{M}]+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+"
    r"|\s+(?!\S)|\s+"
)
CHARACTER = r"[\s\S]"
LETTERS = r"[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}\p{RI}\x{200D}]"  # or what an emoji is made of
# The same with each character of scripts without spaces, and its marks, by itself.
APART = rf"{UNSPACED}\p{{M}}*|" + PIECES.replace(r"[\p{L}\p{M}]+", rf"(?:(?!{UNSPACED})[\p{{L}}\p{{M}}])+")


class Text(Column):
    """Texts as tokens: byte-pair encoding over UTF-8 bytes (Sennrich et al. 2016; Radford et al. 2019, sec. 2.2).

    Any text can be encoded, for every byte is a token. Data are uint16 (int32 from 65,537 tokens on), ragged, in
    [0, size); ids 0 to 3 are reserved (PAD, START, END, HIDDEN) and stand in no encoded text. Spans are each token's
    first and past-last character in the raw text, without the space before it. An empty text has no tokens; a missing
    one has none either, and is not observed. Texts are brought to Unicode's composed form (NFC), so that letters
    written in two ways are the same; decoding gives that form, in lower case if `lowercase`.

    units: "subwords"; "characters", of which those met twice are a token each and others their bytes; "bytes".
    vocabulary: how many tokens, the 256 bytes and 4 reserved ones included; "auto" grows with the square root of the
    training text. lowercase: capitals are read as small letters; "auto": if the training text is below 50 million
    characters. length: at most so many tokens of a text are kept, from its start; 0 = all; "auto" = twice the 95th
    percentile in training. spans: keep where each token stands, for taggers (eight bytes a token, twice the time).
    like: another column of texts, whose pieces these are as well, learnt from both; "" = of its own. A text is written
    with words of another so.
    apart: no token holds several characters of a script written without spaces, so that spans may end at any of them.

    tokenizer: the folder of a pretrained model, whose own tokenizer (its tokenizer.json) is taken instead of one
    learnt; "" = none. Ids and signs of beginning and end are then that model's, none is reserved, vocabulary and
    lowercase mean nothing, an empty text has the signs alone, and the spec has its fingerprint. The column keeps the
    whole tokenizer, and needs the folder only to learn.
    """

    carries = ("units", "vocabulary", "lowercase", "length", "apart", "tokenizer")

    def __init__(
        self,
        name: str,
        /,
        *,
        units: Units = "subwords",
        vocabulary: int | Auto = "auto",
        lowercase: bool | Auto = "auto",
        length: int | Auto = "auto",
        spans: bool = False,
        apart: bool = False,
        like: str = "",
        tokenizer: str = "",
    ) -> None:
        super().__init__(name)
        if units == "bytes" and vocabulary != "auto":
            raise PlanError(f"{name}: vocabulary = {vocabulary}: units = 'bytes' have one of their own; leave it out")
        if vocabulary != "auto" and vocabulary < BYTES + len(RESERVED):
            least = BYTES + len(RESERVED)
            raise PlanError(f"{name}: vocabulary = {vocabulary}: {least} or more, for every byte is a token")
        if length != "auto" and length < 0:
            raise PlanError(f"{name}: length = {length}: the number of tokens to keep, or 0 for all")
        self.units, self.vocabulary, self.lowercase = units, vocabulary, lowercase
        self.length, self.spans, self.apart = length, spans, apart
        self.like = like
        self.folder = tokenizer  # of another's tokenizer
        self.limit = 0  # the length as settled
        self._tokenizer: Tokenizer | None = None
        self._fingerprint = ""

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for strings of several words, in any script or emoji, that seldom repeat; low for codes and names."""
        if sample.dtype != pl.String:
            return 0.0, ""
        known = sample.drop_nulls()
        known = known.filter(known.str.contains(r"\S"))
        if not len(known):
            return 0.0, "all values are missing or blank"
        size = _mean(known.str.len_chars())
        words = _mean(spaced(known).str.count_matches(r"\S+")) + _mean(known.str.count_matches(UNSPACED)) / 2
        letters = _mean(known.str.count_matches(LETTERS)) / size
        share = known.n_unique() / len(known)
        told = f"about {words:.0f} words each, {share:.0%} distinct"
        if letters < 0.3:
            return 0.1, f"few letters ({letters:.0%} of the characters)"
        if words < 1.5:
            return 0.15, "single words, names or codes"
        return _score(words, share), told

    def learn(self, chunks: Iterable[pl.Series], *, also: Iterable[pl.Series] = ()) -> Spec:
        """Learns the tokens from a sample of at most 20 million characters. also: texts of columns `like` this one.

        Raises DataError if all texts are blank, FileError if a pretrained model's tokenizer cannot be read.
        """
        sample = self._sampled(chunks)
        own = list(sample.texts)
        for chunk in also:
            sample.add(self._strings(chunk).drop_nulls())
        if self.folder:
            self._set(read_tokenizer(self.folder, self.name))
        else:
            size = _auto_vocabulary(sample.characters, self.units) if self.vocabulary == "auto" else self.vocabulary
            lowercase = sample.characters < CASED if self.lowercase == "auto" else self.lowercase
            self._set(trained(sample.texts, size, lowercase, self._pieces()))
        return self._measured(own)

    def follow(self, other: Text, chunks: Iterable[pl.Series]) -> Spec:
        """Takes the tokens that another column has learnt, for these texts too. Raises DataError, PlanError."""
        for option in ("units", "lowercase", "apart", "folder"):
            if getattr(self, option) != getattr(other, option) or other.folder:
                called = "tokenizer" if other.folder else option
                raise PlanError(
                    f"{self.name}: like = {other.name!r}, but {called} is not the same of both; make it so, or set "
                    "like = '' (and copy = '' of the head that copies)"
                )
        texts = self._sampled(chunks).texts
        self._set(other._known())
        return self._measured(texts)

    def _measured(self, texts: list[str]) -> Spec:
        """The spec, once the tokens are known and how many of them are kept of such texts."""
        self.limit = self._auto_length(texts) if self.length == "auto" else self.length
        return self._learnt()

    def _sampled(self, chunks: Iterable[pl.Series]) -> Sample:
        sample = Sample()
        for chunk in chunks:
            sample.add(self._strings(chunk).drop_nulls())
        if sample.blank == sample.rows:
            raise DataError(f"{self.name}: text was expected, but all {sample.rows:,} training rows are blank")
        told = f"{self.name}: {sample.blank:,} of {sample.rows:,} training texts are blank, and teach nothing"
        self.notes = [told] if 2 * sample.blank > sample.rows else []
        return sample

    def encode(self, values: pl.Series) -> Encoded:
        """Texts (N) as ragged tokens; a note tells how many were cut to the length."""
        strings = self._strings(values)
        observed = present(strings)
        texts = strings.fill_null("").to_list()
        parts = [self._encode(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        lengths = np.concatenate([np.zeros(1, np.int64), *(p[1] for p in parts)])
        data = np.concatenate([np.zeros(0, self._dtype()), *(p[0] for p in parts)])
        spans = np.concatenate([np.zeros((0, 2), np.int32), *(p[2] for p in parts)]) if self.spans else None
        cut = sum(p[3] for p in parts)
        notes = self._strange(values, strings, lengths[1:])
        if cut:
            notes.append(
                f"{self.name}: {cut:,} of {len(texts):,} texts {agreed(cut, 'is|are')} longer than "
                f"{self.limit:,} tokens and {agreed(cut, 'was|were')} cut "
                "there (length = 0 keeps all)"
            )
        return Encoded(data, observed, np.cumsum(lengths), spans, notes)

    def _strange(self, values: pl.Series, strings: pl.Series, lengths: np.ndarray) -> list[str]:
        """Notes on values that are no texts, and on texts of letters that are read byte by byte."""
        notes = []
        if values.dtype not in (pl.String, pl.Binary, pl.Categorical, pl.Enum, pl.Null):
            notes.append(
                f"{self.name}: text was expected, got {values.dtype}; taken as the texts that it is written as"
            )
        if self.folder or self.units == "bytes":
            return notes
        signs = strings.str.len_chars().fill_null(0).to_numpy()
        foreign = (signs > 0) & (lengths >= 2 * signs)
        if foreign.any():
            row = int(foreign.argmax())
            notes.append(
                f"{self.name}: {foreign.sum():,} of {len(strings):,} texts "
                f"{agreed(int(foreign.sum()), 'is|are')} of letters too rare in training to be tokens, "
                f"such as {strings[row][:20]!r} in row {row_number(row)}; little is learnt of them"
            )
        return notes

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"tokens": (N, T), "mask": (N, T), True = real} as texts, each up to its END.

        Invalid UTF-8 becomes U+FFFD, but for a character at the end that is not whole, which is left out.
        """
        tokens = np.asarray(prediction["tokens"])
        mask = np.asarray(prediction.get("mask", np.ones(tokens.shape, bool)))
        rows = []
        for row, real in zip(tokens, mask, strict=True):
            ids = row[real]
            ends = np.flatnonzero(ids == END)
            rows.append(ids[: ends[0]] if len(ends) else ids)
        return pl.DataFrame({self.name: pl.Series(self._decoded(rows), dtype=pl.String)})

    def texts(self, encoded: Encoded) -> list[str]:
        """The texts (N) as far as they were read."""
        return self._decoded(np.split(encoded.data, encoded.bounds[1:-1]) if len(encoded) else [])

    def pieces(self) -> list[str]:
        """The text of each token alone; a token that ends within a character holds U+FFFD."""
        size = self._known().get_vocab_size()
        return self._known().decode_batch([[token] for token in range(size)], skip_special_tokens=False)

    def bytes(self) -> list[bytes]:
        """Of each token; none of those that no text encodes to."""
        return bytes_of(self._known())

    def text(self, ids: Sequence[int]) -> str:
        """The text of some tokens, which may end within a character (U+FFFD)."""
        return self._known().decode(ids, skip_special_tokens=False)

    def ended(self, ids: Sequence[int]) -> str:
        """The text of tokens after which none comes: as `text`, without a character at its end that is not whole."""
        return self._without_torn(self.text(ids), ids)

    def _without_torn(self, text: str, ids: Sequence[int]) -> str:
        if self.folder or not text.endswith(TORN):
            return text
        return getincrementaldecoder("utf-8")("replace").decode(bytes_in(self._known(), ids))  # holds back its bytes

    def _decoded(self, rows: Iterable[np.ndarray]) -> list[str]:
        if self.folder:
            return self._known().decode_batch([ids.tolist() for ids in rows], skip_special_tokens=True)
        kept = [ids[ids >= len(RESERVED)].tolist() for ids in rows]
        texts = self._known().decode_batch(kept, skip_special_tokens=False)
        return [self._without_torn(text, ids) for text, ids in zip(texts, kept, strict=True)]

    def state(self) -> dict[str, Any]:
        """The tokenizer as its own JSON, and the length."""
        return {"version": 1, "tokenizer": self._known().to_str(), "limit": self.limit}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave. Raises FileError if it holds no such tokenizer."""
        self.limit = int(state["limit"])
        if self.folder and state["version"] == 1:
            self._set(tokenizer_of(state["tokenizer"], f"{self.name}: the file's tokenizer"))
            self._learnt()
            return
        content = json.loads(state["tokenizer"])
        if state["version"] != 1 or list(content["model"]["vocab"])[: len(RESERVED)] != RESERVED:
            raise FileError(f"{self.name}: the file's tokenizer is damaged, or of a newer version")
        self._set(tokenizer_from(state["tokenizer"], f"{self.name}: the file's tokenizer"))
        self._learnt()

    def _pieces(self) -> str:
        if self.units == "subwords":
            return APART if self.apart else PIECES
        return CHARACTER

    def _learnt(self) -> Spec:
        tokenizer = self._known()
        self._size = size_of(tokenizer) if self.folder else tokenizer.get_vocab_size()
        self.spec = Spec("tokens", (None,), self._size, "char", tokenizer=self._fingerprint)
        if self.folder and self.limit:
            signs = tokenizer.num_special_tokens_to_add(is_pair=False)
            if self.limit <= signs:
                raise PlanError(f"{self.name}: length = {self.limit}: the model's own signs alone are {signs} tokens")
            tokenizer.enable_truncation(self.limit)  # it keeps the signs, where a plain cut would lose the last
        return self.spec

    def _set(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._fingerprint = fingerprint(tokenizer) if self.folder else ""

    def _known(self) -> Tokenizer:
        if self._tokenizer is None:
            raise DataError(f"{self.name}: the text column has to learn from training rows before it is used")
        return self._tokenizer

    def _dtype(self) -> type[np.generic]:
        self._known()
        return np.uint16 if self._size <= 2**16 else np.int32

    def _strings(self, values: pl.Series) -> pl.Series:
        """The values as strings, bytes read as UTF-8. Raises DataError for nested ones, and bytes that are none."""
        if values.dtype == pl.Binary:
            return decoded(values)
        if values.dtype.is_nested() or values.dtype == pl.Object:
            raise DataError(
                f"{self.name}: text was expected, got values of type {values.dtype}; join lists to texts, or name "
                f"another type, types={{{self.name!r}: 'words'}}"
            )
        return values if values.dtype == pl.String else values.cast(pl.String)

    def _auto_length(self, texts: list[str]) -> int:
        some = texts[:: math.ceil(len(texts) / LENGTH_TEXTS)]
        counts = [len(e) for e in self._known().encode_batch_fast(some)]
        return int(np.clip(2 * np.percentile(counts, 95), *LENGTHS))

    def _encode(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Tokens, how many of each text, spans, and how many texts were cut."""
        tokenizer, limit = self._known(), self.limit
        if limit and not self.folder:  # enough characters for one token more than is kept
            texts = [text[: (limit + 1) * LONGEST] for text in texts]
        encodings = (tokenizer.encode_batch if self.spans else tokenizer.encode_batch_fast)(texts)
        full = np.array([len(e) for e in encodings], np.int64)
        lengths = np.minimum(full, limit) if limit else full
        total = int(lengths.sum())
        flat = chain.from_iterable(e.ids[:n] for e, n in zip(encodings, lengths, strict=True))
        data = np.fromiter(flat, self._dtype(), total)
        spans = np.zeros((0, 2), np.int32)
        if self.spans:
            pairs = chain.from_iterable(e.offsets[:n] for e, n in zip(encodings, lengths, strict=True))
            spans = np.fromiter(chain.from_iterable(pairs), np.int32, 2 * total).reshape(-1, 2)
        cut = sum(bool(e.overflowing) for e in encodings) if self.folder else int((full > lengths).sum())
        return data, lengths, spans, cut


def trained(texts: list[str], size: int, lowercase: bool, pieces: str = PIECES) -> Tokenizer:
    """Byte-pair merges learnt from the texts, within pieces; at most `size` tokens, the reserved ones first."""
    tokenizer = Tokenizer(models.BPE())
    composed: list[Any] = [normalizers.NFC()]
    tokenizer.normalizer = normalizers.Sequence(composed + ([normalizers.Lowercase()] if lowercase else []))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pieces), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=RESERVED,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = []  # they keep their ids, but are not looked for in texts
    return Tokenizer.from_str(json.dumps(content, ensure_ascii=False))


def _auto_vocabulary(characters: int, units: Units) -> int:
    """Of bytes these alone, of characters all that are met. Of subwords the square root: 1,000 tokens for a million
    characters, 4,000 for sixteen million.

    Small on purpose: a rare word is then several tokens that are met elsewhere too, and frequent ones make up for it
    as n-grams (measured on short reviews: 1,000 tokens were better than 4,000, and those than 16,000).
    """
    if units == "bytes":
        return BYTES + len(RESERVED)
    return VOCABULARIES[1] if units == "characters" else int(np.clip(math.sqrt(characters), *VOCABULARIES))


def _score(words: float, share: float) -> float:
    if words >= 4:
        return 0.95 if share > 0.5 else 0.6
    return 0.55 if share > 0.8 else 0.25


def _mean(values: pl.Series) -> float:
    return float(values.mean() or 0.0)  # type: ignore[arg-type]
