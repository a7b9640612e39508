"""What is written is on the disk before it has its name, and then its name is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ranvier.core import whole
from ranvier.core.whole import folder, move, neighbour, settle, whole_file
from ranvier.lexicon.file import write_whole
from ranvier.model.folder import RunFolder
from ranvier.model.model import load
from ranvier.planning.make import make_plan
from ranvier.train import checkpoint
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

FIXTURES = Path(__file__).parents[1] / "fixtures"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX alone")


@pytest.fixture
def events(monkeypatch):
    """What was synced and moved, by name, in order."""
    seen: list[tuple[str, ...]] = []
    opened: dict[int, str] = {}
    usual = os.open, os.fsync, os.replace

    def opens(path, *how, **more):
        handle = usual[0](path, *how, **more)
        opened[handle] = Path(path).name
        return handle

    def syncs(handle):
        seen.append(("sync", opened[handle]))
        usual[1](handle)

    def moves(one, other):
        seen.append(("move", Path(one).name, Path(other).name))
        usual[2](one, other)

    monkeypatch.setattr(os, "open", opens)
    monkeypatch.setattr(os, "fsync", syncs)
    monkeypatch.setattr(os, "replace", moves)
    return seen


def test_content_then_name(tmp_path, events):
    with whole_file(tmp_path / "a") as file:
        file.write(b"new")
        assert not (tmp_path / "a").exists()
    assert events == [("sync", ".a.part"), ("move", ".a.part", "a"), ("sync", tmp_path.name)]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def write():
        with whole_file(tmp_path / "a") as file:
            file.write(b"ne")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_need_not_last_is_moved_alone(tmp_path, events):
    with neighbour(tmp_path / "a", lasts=False) as part:
        part.write_bytes(b"new")

    def write():
        with neighbour(tmp_path / "a", lasts=False) as part:
            part.write_bytes(b"ne")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write()
    assert events == [("move", ".a.part", "a")]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folders_last(tmp_path, events):
    folder(tmp_path / "a" / "b")
    folder(tmp_path / "a" / "b")
    assert events == [("sync", tmp_path.name), ("sync", "a")]


@pytest.mark.parametrize(("code", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_fails_is_told_and_a_folder_that_cannot_be_synced_is_not(tmp_path, monkeypatch, code, told):
    def fails(handle):
        raise OSError(code, "no")

    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", fails)
    if told:
        with pytest.raises(OSError, match="no"):
            settle(tmp_path)
    else:
        settle(tmp_path)
    with pytest.raises(OSError, match="no"):  # of a file's content never
        move(tmp_path / "a", tmp_path / "b")
    assert whole.UNABLE


def test_models_words_plans_and_checkpoints_are_written_so(tmp_path, events):
    load(FIXTURES / "model-5.rv").save(tmp_path / "m.rv")
    write_whole(tmp_path / "w.safetensors", ["a"], np.zeros((1, 2), np.float32), None)
    names = [".m.rv.part", "m.rv", ".w.safetensors.part", "w.safetensors"]
    top = ("sync", tmp_path.name)
    assert events == [e for a, b in (names[:2], names[2:]) for e in (("sync", a), ("move", a, b), top)]
    events.clear()
    plan = make_plan({"a": [1.0, 2.0] * 9, "y": [0.5, 1.5] * 9}, "y")
    RunFolder(tmp_path / "run").begin(plan, None)
    part = ".plan.toml.part"
    assert events == [top, ("sync", part), ("move", part, "plan.toml"), ("sync", "run")]
    task = NetTask(nn.Linear(2, 1), lambda answer, y: (answer[:, 0] - y) ** 2)
    engine = Engine(task, TensorSource(torch.ones(4, 2), torch.ones(4)), Settings(steps=1))
    path = tmp_path / "run" / "again" / checkpoint.NAME
    for first in (True, False):
        events.clear()
        checkpoint.save(engine, path)
        made = [("sync", "run"), ("sync", "again")] if first else [("sync", "again")]
        kept = [] if first else [("move", path.name, checkpoint.older(path).name)]
        new = [("sync", path.name), *kept, ("sync", path.name), ("move", path.name, path.name), ("sync", "again")]
        assert events == [*made, *new]
