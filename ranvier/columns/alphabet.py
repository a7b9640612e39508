"""The alphabet in which tokens of bytes are written: a sign that can be seen for each byte (Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

SEEN = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]  # signs of Latin-1 that stand for themselves
HIDDEN = [byte for byte in range(0x100) if byte not in SEEN]  # the others are the signs from 256 on, in order
BYTE = {chr(byte): byte for byte in SEEN} | {chr(0x100 + place): byte for place, byte in enumerate(HIDDEN)}


def bytes_in(tokenizer: Tokenizer, ids: Sequence[int]) -> bytes:
    """The bytes of tokens one after another; see `bytes_of`."""
    return b"".join(_bytes(tokenizer.id_to_token(number)) for number in ids)


def bytes_of(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of each token, in the order of their numbers; none of those that are not in the alphabet."""
    return [_bytes(tokenizer.id_to_token(number)) for number in range(tokenizer.get_vocab_size())]


def _bytes(token: str | None) -> bytes:
    return bytes(map(BYTE.__getitem__, token)) if token and BYTE.keys() >= set(token) else b""
