"""Files that no model wrote, each made from a good one: {name: (its bytes, what the message says)}."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

WEIGHTS = "weights.safetensors"
Hostile = tuple[bytes, str]


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def with_member(content: bytes, name: str, part: bytes) -> bytes:
    return zipped({**members(content), name: part})


def with_value(content: bytes, member: str, place: list[str], value: Any) -> bytes:
    """The file with one value of a JSON member changed."""
    inside = whole = json.loads(members(content)[member])
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return with_member(content, member, json.dumps(whole).encode())


def with_weights(content: bytes, change: Callable[[dict[str, np.ndarray]], object]) -> bytes:
    arrays = load_arrays(members(content)[WEIGHTS])
    change(arrays)
    return with_member(content, WEIGHTS, save_arrays(arrays))


def with_header(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with another header of its weights."""
    part = members(content)[WEIGHTS]
    (size,) = struct.unpack("<Q", part[:8])
    header = json.loads(part[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return with_member(content, WEIGHTS, struct.pack("<Q", len(text)) + text + part[8 + size :])


class Runs:
    """Leaves a mark if it is ever unpickled."""

    marks: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return (Runs.marks.append, ("ran",))


def archives(good: bytes) -> dict[str, Hostile]:
    """What is wrong about the archive."""
    parts = members(good)
    pickled = pickle.dumps(Runs())
    bomb = zipped({**parts, "plan.json": b" " * 2**26 + b"{}"}, zipfile.ZIP_DEFLATED)
    twice = io.BytesIO(good)
    with zipfile.ZipFile(twice, "a") as archive:
        archive.fp.write(b"")  # the list of members is written anew
        info = zipfile.ZipInfo("plan.json")
        archive.NameToInfo.pop("plan.json")  # so that nobody warns of the second
        archive.writestr(info, b"{}")
    first = good.index(b"PK\x01\x02")
    locked = bytearray(good)
    locked[first + 8] |= 1
    return {
        "empty": (b"", r"empty \(0 bytes\)"),
        "cut": (good[: len(good) // 2], "no Ranvier model"),
        "pickle": (pickled, "no Ranvier model"),
        "pickle inside": (zipped({**parts, "weights.pkl": pickled}), r"weights\.pkl"),
        "pickle as weights": (with_member(good, WEIGHTS, pickled), rf"{WEIGHTS}.*copy it again"),
        "torch's own": (zipped({"archive/data.pkl": pickled, "archive/version": b"3\n"}), r"archive/data\.pkl"),
        "bomb": (bomb, "never compressed"),
        "overlapping": (overlapping(parts, 2_000), "overlap"),
        "paths upwards": (zipped({**parts, "../../evil.py": b"1"}), r"\.\./\.\./evil\.py"),
        "absolute path": (zipped({**parts, "/etc/evil": b"1"}), "/etc/evil"),
        "foreign name": (zipped({**parts, "evil.so": b"\x7fELF"}), r"evil\.so"),
        "twice": (twice.getvalue(), "each once"),
        "encrypted": (bytes(locked), "encrypted.*copy it again"),
    }


def overlapping(parts: dict[str, bytes], networks: int) -> bytes:
    """A small archive that lists so many networks, all of whose members are the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("model.json", "plan.json"):
            archive.writestr(name, parts[name])
        archive.writestr("fold-1/columns.json", b" " * 2**20)
        info = archive.getinfo("fold-1/columns.json")
        for number in range(1, networks + 1):
            for name in ("columns.json", "weights.safetensors", "columns.safetensors"):
                if (number, name) != (1, "columns.json"):
                    other = zipfile.ZipInfo(f"fold-{number}/{name}")
                    other.file_size, other.compress_size, other.CRC = info.file_size, info.compress_size, info.CRC
                    other.header_offset, other.external_attr = info.header_offset, info.external_attr
                    archive.filelist.append(other)
                    archive.NameToInfo[other.filename] = other
    return file.getvalue()


def texts(good: bytes) -> dict[str, Hostile]:
    """What is wrong about JSON: of the whole, and of single values."""
    deep = b"[" * 100_000 + b"]" * 100_000
    found: dict[str, Hostile] = {}
    for name in ("model.json", "plan.json", "columns.json"):
        found[f"{name} deep"] = (with_member(good, name, deep), rf"{name}.*copy it again")
        inside = members(good)[name].rstrip(b"} ") + b', "zzz": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000
        found[f"{name} deep inside"] = (with_member(good, name, inside), name)
        found[f"{name} huge"] = (with_member(good, name, b'"' + b"x" * 2**24 + b'"'), name)
        found[f"{name} long number"] = (with_member(good, name, b"9" * 2**20), name)
    for word in (b"NaN", b"Infinity", b"-Infinity"):
        plan = members(good)["plan.json"].replace(b'"l1": 0.0', b'"l1": ' + word)
        found[f"plan {word.decode()}"] = (with_member(good, "plan.json", plan), rf"plan\.json.*{word.decode()}")
    huge = 10**9
    about, plan, columns = "model.json", "plan.json", "columns.json"
    encoder, head = ["inputs", "c", "encoder"], ["targets", "y", "head"]
    values: list[tuple[str, list[str], Any, str]] = [
        (about, ["format"], 10**6, "update Ranvier"),
        (about, ["format"], True, "format"),
        (about, ["format"], "5", "format"),
        (about, ["format"], None, "format"),
        (about, ["raw"], 3, about),
        (about, ["provenance"], {"x": 1}, about),
        (about, ["provenance", "rows"], {"given": "<b>"}, about),
        (about, ["notes"], [{"a": 1}], "notes that are no texts"),
        (about, ["history"], [1, 2], about),
        (about, ["history"], [{"step": "one"}], "something else than numbers"),
        (about, ["report", "targets", "y", "metrics"], {"accuracy": []}, about),
        (about, ["report", "targets", "y", "metrics"], [3], about),
        (about, ["report", "notes"], 5, about),
        (about, ["gallery"], {"names": ["me"], "threshold": 0.5}, "gallery"),
        (plan, [*encoder, "name"], "os.system", r"os\.system"),
        (plan, [*encoder, "name"], "ranvier.encoders.number:Number", "Number"),
        (plan, [*encoder, "name"], "antigravity", "antigravity"),
        (plan, [*head, "name"], "__import__('os').system('true')", "__import__"),
        (plan, ["fuse", "name"], "../mlp", "mlp"),
        (plan, ["columns", "a", "type"], "pathlib.Path", r"pathlib\.Path"),
        (plan, [*encoder, "embedding_width"], "wide", "embedding_width"),
        (plan, ["fuse", "layer_width"], -1, "layer_width|expected"),
        (plan, [*encoder, "embedding_width"], huge, "embedding_width = 1000000000"),
        (plan, [*encoder, "one_hot"], 10**400, "one_hot"),
        (plan, ["fuse", "layer_width"], huge, "layer_width = 1000000000"),
        (plan, ["fuse", "depth"], huge, "depth = 1000000000"),
        (plan, ["fuse", "depth"], 10**6, "parts"),
        (plan, ["fuse", "members"], huge, "members = 1000000000"),
        (plan, ["fuse", "layer_width"], 2.5, "layer_width"),
        (plan, ["fuse", "dropout"], "much", "dropout"),
        (columns, ["c", "labels"], ["u"], WEIGHTS),
        (columns, ["c", "labels"], [["u"], {}, 3], columns),
        (columns, ["a", "knots"], {"$array": "nowhere"}, columns),
        (columns, ["a", "centre"], "middle", columns),
        (columns, ["a", "scale"], 10**400, columns),
    ]
    for member, place, value, says in values:
        name = f"{'.'.join([member, *place])} = {str(value)[:20]}"
        found[name] = (with_value(good, member, place, value), says)
    return found


def tensors(good: bytes) -> dict[str, Hostile]:
    """What is wrong about the weights."""
    first = min(load_arrays(members(good)[WEIGHTS]))

    def at(change: Callable[[np.ndarray], np.ndarray]) -> bytes:
        return with_weights(good, lambda arrays: arrays.update({first: change(arrays[first])}))

    def said(**values: Any) -> bytes:
        return with_header(good, lambda header: header[first].update(values))

    def moved(header: dict[str, Any]) -> None:
        names = [name for name in header if name != "__metadata__"]
        header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]

    part = members(good)[WEIGHTS]
    return {
        "NaN": (at(lambda a: np.full_like(a, np.nan)), rf"{WEIGHTS}.*NaN"),
        "infinity": (at(lambda a: np.full_like(a, np.inf)), rf"{WEIGHTS}.*NaN"),
        "float64": (at(lambda a: a.astype(np.float64)), "float64"),
        "int64": (at(lambda a: a.astype(np.int64)), "int64"),
        "float16": (at(lambda a: a.astype(np.float16)), "float16"),
        "shape": (at(lambda a: a.reshape(*a.shape, 1)), "expected .* got"),
        "missing": (with_weights(good, lambda arrays: arrays.pop(first)), "no such tensor"),
        "extra": (with_weights(good, lambda arrays: arrays.update(zzz=np.zeros(2))), "zzz"),
        "negative offsets": (said(data_offsets=[-8, 8]), WEIGHTS),
        "offsets beyond": (said(data_offsets=[0, 2**62]), WEIGHTS),
        "overlapping": (with_header(good, moved), WEIGHTS),
        "huge shape": (said(shape=[2**40, 2**40]), WEIGHTS),
        "unknown type": (said(dtype="OBJECT"), WEIGHTS),
        "header beyond": (with_member(good, WEIGHTS, struct.pack("<Q", 2**63 - 1) + part[8:]), WEIGHTS),
        "header cut": (with_member(good, WEIGHTS, part[:20]), WEIGHTS),
        "no header": (with_member(good, WEIGHTS, b""), WEIGHTS),
    }
