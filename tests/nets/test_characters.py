"""Characters stay whole: against Python's own reading of UTF-8."""

from __future__ import annotations

import random

import pytest
import torch

from ranvier.nets.characters import Characters

TEXT = "aé猫🙂"
BYTES = [bytes([byte]) for byte in (*set(TEXT.encode()), 0x80, 0x8F, 0x90, 0xBF, 0xC1, 0xE0, 0xED, 0xF4, 0xF5, 0xFF)]
TOKENS = [b"", *BYTES, "猫".encode(), "é🙂".encode(), "🙂".encode()[1:], b"a" + "猫".encode()[:2]]


def ends_whole(said: bytes) -> bool:
    try:
        said.decode()
    except UnicodeDecodeError:
        return False
    return True


def goes_on(said: bytes) -> bool:
    """Whether some bytes more make it text."""
    rest = [bytes([first]) + b"\x80" * more for first in (0x80, 0x90, 0xA0) for more in range(3)]
    return any(ends_whole(said + each) for each in (b"", *rest))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_is_text_but_for_its_end(seed):
    chance, characters, said = random.Random(seed), Characters(TOKENS), [0]
    for _ in range(30):
        torn = characters.torn[characters.read(torch.tensor([said]))][0]
        so_far = b"".join(TOKENS[token] for token in said)
        for token in range(1, len(TOKENS)):
            assert goes_on(so_far + TOKENS[token]) == (not torn[token])
        assert ends_whole(so_far) == (not torn[0])
        said.append(chance.choice((~torn).nonzero()[:, 0].tolist()))


def test_what_is_torn_already_forbids_nothing():
    middle = TOKENS.index("猫".encode()[1:2])
    characters = Characters(TOKENS)
    torn = characters.torn[characters.read(torch.tensor([[middle]]))][0]
    assert not torn[TOKENS.index(b"a")]
    assert torn[middle]
