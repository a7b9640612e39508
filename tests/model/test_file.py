"""Model files: no code, no surprises; whatever is damaged or foreign is a FileError."""

from __future__ import annotations

import io
import json
import random
import time
import zipfile

import numpy as np
import pytest
import torch
from model.made import table
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from ranvier.core.errors import FileError
from ranvier.model import weights
from ranvier.model.file import EACH, OUT_OF_FOLD, UNCERTAINTY, WHOLE, to_bytes
from ranvier.model.fit import fit
from ranvier.model.model import load

MEMBERS = (*WHOLE, *EACH, UNCERTAINTY)


@pytest.fixture(scope="session")
def content(small):
    return to_bytes(small)


@pytest.fixture
def loads(tmp_path):
    def read(content: bytes):
        path = tmp_path / "model.rv"
        path.write_bytes(content)
        return load(path)

    return read


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def test_the_file_holds_json_and_tensors_only(content, loads):
    parts = members(content)
    assert sorted(parts) == sorted(MEMBERS)
    for name, part in parts.items():
        if name.endswith(".json"):
            json.loads(part)
    assert b"ranvier." not in b"".join(parts[n] for n in parts if n.endswith(".json"))  # no import path
    loads(content)


def test_the_same_model_is_the_same_bytes(small, content, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((2001, 2, 3, 4, 5, 6, 5, 34, 0)))
    assert to_bytes(small) == content


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_truncated(content, loads, kept):
    with pytest.raises(FileError, match=r"model.rv is no Ranvier model" if kept else r"model.rv is empty \(0 bytes\)"):
        loads(content[: int(kept * len(content))])


def test_flipped_bytes(content, loads):
    dice = random.Random(0)
    for _ in range(25):
        damaged = bytearray(content)
        for _ in range(10):
            damaged[dice.randrange(len(damaged))] ^= 1 + dice.randrange(255)
        with pytest.raises(FileError):
            loads(bytes(damaged))


def test_foreign_files(loads, tmp_path):
    with pytest.raises(FileError, match="no Ranvier model"):
        loads(b"a,b\n1,2\n")
    with pytest.raises(FileError, match=r"it holds a\.txt"):
        loads(zipped({"a.txt": b"hello"}))
    with pytest.raises(FileError, match="it holds nothing"):
        loads(zipped({}))
    with pytest.raises(FileError, match="cannot read"):
        load(tmp_path / "none.rv")
    with pytest.raises(FileError, match="cannot read"):
        load(tmp_path)


def test_members_that_are_unknown_missing_or_compressed(content, loads):
    parts = members(content)
    with pytest.raises(FileError, match=r"evil\.py"):
        loads(zipped({**parts, "evil.py": b"1"}))
    with pytest.raises(FileError, match="no Ranvier model"):
        loads(zipped({n: p for n, p in parts.items() if n != "plan.json"}))
    with pytest.raises(FileError, match="never compressed"):
        loads(zipped(parts, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("part", [b"", b"{", b"[]", b"null", b"3", b'"x"', b"{}", b"\xff" * 40])
def test_members_that_hold_something_else(content, loads, name, part):
    with pytest.raises(FileError):
        loads(zipped({**members(content), name: part}))


@pytest.mark.parametrize(
    ("member", "place", "value"),
    [
        ("model.json", ["format"], 6),
        ("model.json", ["report"], 3),
        ("model.json", ["report"], {"x": 1}),
        ("model.json", ["history"], 3),
        ("plan.json", ["inputs", "c", "encoder", "name"], "os.system"),
        ("plan.json", ["inputs", "c", "encoder", "name"], "auto"),
        ("plan.json", ["inputs", "c", "encoder", "one_hot"], "many"),
        ("plan.json", ["inputs", "c", "encoder", "zzz"], 1),
        ("plan.json", ["columns", "a", "type"], "text"),
        ("plan.json", ["columns", "a", "options"], {"zzz": 1}),
        ("plan.json", ["inputs"], {}),
        ("plan.json", ["targets"], {}),
        ("plan.json", ["fuse", "name"], "mlp"),
        ("plan.json", ["train", "rate"], "fast"),
        ("columns.json", ["a"], {}),
        ("columns.json", ["a"], []),
    ],
)
def test_values_that_no_model_has(content, loads, member, place, value):
    parts = members(content)
    inside = whole = json.loads(parts[member])
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    with pytest.raises(FileError):
        loads(zipped({**parts, member: json.dumps(whole).encode()}))


def test_encrypted_and_exotic_archives(content, loads):
    place = content.index(b"PK\x01\x02")  # the first entry of the archive's own list of members
    for offset, value in ((8, 0x01), (8, 0x20), (6, 99), (42, 0xFF), (45, 0x7F)):
        damaged = bytearray(content)
        damaged[place + offset] |= value
        with pytest.raises(FileError, match="no Ranvier model"):
            loads(bytes(damaged))


def test_what_the_plan_asks_for_is_had_only_if_the_file_holds_it(content, loads, monkeypatch):
    built = []
    build = weights.build

    def noted(plan, specs):
        task = build(plan, specs)
        built.append({tensor.device.type for tensor in task.state_dict().values()})
        return task

    monkeypatch.setattr(weights, "build", noted)
    loads(content)
    assert built == [{"meta"}, {"cpu"}]
    built.clear()
    parts = members(content)
    plan = json.loads(parts["plan.json"])
    plan["fuse"]["layer_width"] = 10**6
    with pytest.raises(FileError, match=r"expected \[.*100000\d.*, got"):
        loads(zipped({**parts, "plan.json": json.dumps(plan).encode()}))
    assert built == [{"meta"}]


def test_loading_leaves_the_random_state_alone(content, loads):
    before = torch.get_rng_state()
    loads(content)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_that_is_not_there(small, tmp_path):
    with pytest.raises(FileError, match="cannot write"):
        small.save(tmp_path / "no" / "m.rv")
    assert not list(tmp_path.iterdir())


# ---- several networks


@pytest.fixture(scope="session")
def folded():
    how = {"inputs": ["a", "b", "c"], "folds": 2, "epochs": 1, "threads": 1, "progress": False}
    return fit(table(), ["y", "z"], **how)


def test_each_network_has_a_folder(folded):
    parts = members(to_bytes(folded))
    expected = [*WHOLE, OUT_OF_FOLD, UNCERTAINTY, *(f"fold-{number}/{name}" for number in (1, 2) for name in EACH)]
    assert sorted(parts) == sorted(expected)
    assert json.loads(parts["model.json"])["rows"] == 120


def changed(content: bytes, name: str, value: object) -> bytes:
    parts = members(content)
    about = json.loads(parts["model.json"])
    return zipped({**parts, "model.json": json.dumps({**about, name: value}).encode()})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperatures", {"y": 0.0}),
        ("temperatures", {"y": "hot"}),
        ("temperatures", {"y": float("nan")}),
        ("temperatures", {"a": 1.0}),
        ("temperatures", 3),
        ("fold_figures", [3]),
        ("rows", 7),
        ("rows", "many"),
    ],
)
def test_values_that_no_folded_model_has(folded, loads, name, value):
    content = to_bytes(folded)
    loads(content)
    with pytest.raises(FileError):
        loads(changed(content, name, value))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": np.arange(119)},
        {"rows": np.zeros(120, np.int64)},
        {"rows": np.arange(120) - 1},
        {"y/probs": np.zeros((120, 3), np.float32)},
        {"y/probs": np.zeros((119, 2), np.float32)},
        {"z/value": np.zeros((120, 2), np.float32)},
        {"a/value": np.zeros(120, np.float32)},
        {"value": np.zeros(120, np.float32)},
    ],
    ids=str,
)
def test_out_of_fold_answers_that_fit_no_rows(folded, loads, change):
    parts = members(to_bytes(folded))
    arrays = {**load_arrays(parts[OUT_OF_FOLD]), **change}
    with pytest.raises(FileError):
        loads(zipped({**parts, OUT_OF_FOLD: save_arrays(arrays)}))


def test_networks_that_are_missing_or_too_many(folded, content, loads):
    parts = members(to_bytes(folded))
    less = {name: part for name, part in parts.items() if name != "fold-2/columns.json"}
    other = {name.replace("fold-2", "fold-3"): part for name, part in parts.items()}
    both = {**parts, **{name: part for name, part in members(content).items() if name in EACH}}
    for wrong in (less, other, both):
        with pytest.raises(FileError, match="no Ranvier model"):
            loads(zipped(wrong))


def test_flipped_bytes_of_a_folded_model(folded, loads):
    content, dice = to_bytes(folded), random.Random(1)
    for _ in range(10):
        damaged = bytearray(content)
        for _ in range(10):
            damaged[dice.randrange(len(damaged))] ^= 1 + dice.randrange(255)
        with pytest.raises(FileError):
            loads(bytes(damaged))
