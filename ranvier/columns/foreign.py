"""Tokenizers that other people's models were trained with, read from their folders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tokenizers import Tokenizer

from ranvier.core.errors import FileError

FILE = "tokenizer.json"
MOST = 2**28  # bytes of the file; the largest in use have some thirty million


def read_tokenizer(folder: str, name: str) -> Tokenizer:
    """The tokenizer of the model in a folder, that neither pads nor cuts.

    name: of the column, for messages. Raises FileError if there is none, or if it cannot be read.
    """
    path = Path(folder).expanduser() / FILE
    try:
        if path.stat().st_size > MOST:
            raise FileError(f"{name}: {path} has more than {MOST:,} bytes, which is no tokenizer")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            f"{name}: there is no tokenizer in {folder!r} ({FILE} cannot be read: {error}); give the folder of a "
            "model, or write it there with transformers: AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        ) from None
    return tokenizer_of(text, f"{name}: {path}")


def tokenizer_of(text: str, where: str) -> Tokenizer:
    """A tokenizer from its JSON, that neither pads nor cuts. Raises FileError if that is damaged.

    Its own signs, such as [SEP], are plain text where a text is spelled like them.
    """
    tokenizer = tokenizer_from(text, where)
    if not tokenizer.get_vocab_size():
        raise FileError(f"{where} has an empty vocabulary")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def tokenizer_from(text: str, where: str) -> Tokenizer:
    """A tokenizer from its JSON, as it stands there. Raises FileError if that is damaged."""
    with _Told(where):
        json.loads(text)  # its own complaints are clearer
        return Tokenizer.from_str(text)


def size_of(tokenizer: Tokenizer) -> int:
    """One more than the greatest id, for ids may have gaps."""
    return int(max(tokenizer.get_vocab(with_added_tokens=True).values())) + 1


def fingerprint(tokenizer: Tokenizer) -> str:
    """Sixteen letters that differ where the tokenizers do. It must neither pad nor cut."""
    return hashlib.blake2b(tokenizer.to_str().encode(), digest_size=8).hexdigest()


class _Told:
    """Inside, the library's complaints, which are bare `Exception`s and of no class of their own, become FileError."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is Exception or isinstance(error, ValueError | RecursionError):
            raise FileError(f"{self.where} is no tokenizer that can be read: {error}") from None
