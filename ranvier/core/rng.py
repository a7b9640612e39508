"""Seeds as pure functions of names, so that every random choice can be made again."""

from __future__ import annotations

import hashlib


def seed_of(seed: int, *names: object) -> int:
    """A 63-bit seed for one purpose: the same (seed, names) always give the same number."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
