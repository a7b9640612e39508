"""Changes to bytes that keep enough of their structure to get past checksums: members of zips, values of JSON."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
import zlib
from typing import Any

from PIL import Image

MARKS = [b"\0", b'"', b"\n", b",", b"[", b"{", b"=", b"9" * 40, b"\xff\xfe", b"nan", b"-"]
ODD: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**9, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "auto",
    "none", "x" * 300, "os.system", "\0", "é😀", [], [1], ["a"], [[]], {}, {"name": "mlp"}, {"$array": "a"},
    {"$array": []},
]  # fmt: skip


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.frombytes("L", (8, 6), bytes(i // 24 for i in range(48))).save(file, kind)
    return file.getvalue()


def mutated(name: str, data: bytes, dice: random.Random) -> bytes:
    """The bytes with something changed, as suits the target; three in four by structure where they have one."""
    if dice.random() < 0.75:
        try:
            if name == "model":
                return _zip(data, dice)
            if name in ("options", "boxes"):
                return _json(data, dice)
            if name in ("image", "mask") and data.startswith(b"\x89PNG"):
                return _png(data, dice)
        except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, struct.error, KeyError, RuntimeError):
            pass  # no structure is left
    return _bytes(data, dice)


def _bytes(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data or b"0")
    for _ in range(1 + dice.randrange(4)):
        at, how = dice.randrange(len(changed) or 1), dice.randrange(5)
        if how == 0 and changed:
            changed[at % len(changed)] = dice.randrange(256)
        elif how == 1:
            del changed[at : at + 1 + dice.randrange(16)]
        elif how == 2:
            changed[at:at] = changed[at : at + dice.randrange(64)]
        elif how == 3:
            changed[at:at] = dice.choice(MARKS)
        else:
            words = [repr(one).encode() for one in ODD]
            changed[at : at + dice.randrange(4)] = dice.choice(words)[:500]
    return bytes(changed)


def _zip(data: bytes, dice: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(info.filename, archive.read(info.filename)) for info in archive.infolist()]
    at = dice.randrange(len(parts))
    name, part = parts[at]
    if name.endswith(".json") and dice.random() < 0.8:
        part = _json(part, dice)
    elif name.endswith(".safetensors") and dice.random() < 0.7:
        (size,) = struct.unpack("<Q", part[:8])
        text = _json(part[8 : 8 + size], dice)
        part = struct.pack("<Q", len(text)) + text + part[8 + size :]
    else:
        part = _bytes(part, dice)
    parts[at] = (name, part)
    if dice.random() < 0.02:
        parts.append(dice.choice(parts))
    if dice.random() < 0.02:
        parts.pop(dice.randrange(len(parts)))
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # of members that are there twice
        for name, part in parts:
            archive.writestr(name, part)
    return file.getvalue()


def _json(data: bytes, dice: random.Random) -> bytes:
    whole = json.loads(data)
    places: list[tuple[Any, Any]] = []
    holders = [whole]
    while holders:
        holder = holders.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            places.append((holder, key))
            holders.append(holder[key])
    if not places:
        return json.dumps(dice.choice(ODD)).encode()
    for _ in range(1 + dice.randrange(2)):
        holder, key = dice.choice(places)
        other, its = dice.choice(places)
        how = dice.randrange(5)
        if isinstance(holder, list) and key >= len(holder):
            continue
        if how == 0 and isinstance(holder, dict):
            holder[str(dice.choice(ODD))[:40]] = dice.choice(ODD)
        elif how == 1 and isinstance(holder, dict):
            holder.pop(key, None)
        elif how == 2 and (isinstance(other, dict) and its in other):
            holder[key] = json.loads(json.dumps(other[its]))
        elif how == 3 and isinstance(holder, list):
            del holder[key]
        else:
            holder[key] = dice.choice(ODD)
    return json.dumps(whole).encode()


def _png(data: bytes, dice: random.Random) -> bytes:
    """One chunk's bytes changed, or the pixels packed, with checksums that are right."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + size]])
        at += 12 + size
    if not chunks:
        return _bytes(data, dice)
    chunk = dice.choice(chunks)
    chunk[1] = _bytes(chunk[1], dice) if dice.random() < 0.8 else zlib.compress(_bytes(b"\0" * 60, dice))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
