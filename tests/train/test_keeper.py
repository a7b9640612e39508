"""Checkpoints: how often, and what is left where one cannot be written, or read again."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch import nn

from ranvier.core.errors import FileError, RanvierWarning, RunError
from ranvier.core.training import Callback
from ranvier.train import checkpoint, keeper
from ranvier.train.callbacks import LogFile
from ranvier.train.engine import Engine
from ranvier.train.keeper import Keeper
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

ALWAYS = 1e-9  # seconds


class At(Callback):
    """Does something at the log of a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_log(self, step, record):
        if step == self.step:
            self.action()
        return False


def engine(*callbacks, folder=None, width=1):
    torch.manual_seed(0)
    x = torch.randn(40, 3)
    net = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 1))
    settings = Settings(steps=20, rate=0.01, log_every=5, checkpoint_every=ALWAYS)
    task = NetTask(net, lambda answer, y: (answer[:, 0] - y) ** 2)
    return Engine(task, TensorSource(x, x[:, 0], batch=8), settings, callbacks=callbacks, folder=folder)


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every step, whatever it costs."""
    monkeypatch.setattr(keeper, "SHARE", math.inf)


def equal(one, other):
    pairs = zip(one.task.parameters(), other.task.parameters(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


def boom():
    raise KeyError


def killed(folder):
    """A run that has ended at step 10, with the checkpoints of steps 8 and 9."""
    with pytest.raises(KeyError):
        engine(At(10, boom), folder=folder).run()
    return folder / checkpoint.NAME


def test_they_take_a_fiftieth_of_the_time_at_most(tmp_path):
    seldom = Keeper(tmp_path, 30.0)
    seldom.cost, seldom.saved_at = 2.0, 50.0
    assert [seldom.due(50.0 + seconds) for seconds in (31.0, 99.0, 101.0)] == [False, False, True]
    seldom.cost = 0.1
    assert [seldom.due(50.0 + seconds) for seconds in (29.0, 31.0)] == [False, True]
    assert not Keeper(None, 30.0).due(1e9)
    assert not Keeper(tmp_path, 0.0).due(1e9)


def test_what_each_took_is_measured(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(keeper.time, "perf_counter", lambda: float(next(clock)))
    running = engine(folder=tmp_path)
    running.keeper.begin(running)
    assert running.keeper.cost == 7.0


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone", "header"])
def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path, often, damage):
    whole = engine()
    whole.run()
    path = killed(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "flipped":
        content[-50] ^= 4
        path.write_bytes(content)
    elif damage == "header":
        content[content.index(b"rows") + 10] ^= 1  # a number of the JSON part
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    before = checkpoint.older(path).read_bytes()
    again = engine(folder=tmp_path)
    again.load(path)
    assert again.progress.step == 8
    told = again.progress.notes
    assert (told == []) == (damage == "gone")  # which is what a kill between the two moves leaves
    assert all("the run goes on from the checkpoint before it, at step 8" in note for note in told)
    if damage != "gone":
        assert path.read_bytes() == before
        assert not checkpoint.older(path).exists()
    again.run()
    assert equal(again, whole)


def test_two_torn_checkpoints_are_an_error(tmp_path, often):
    path = killed(tmp_path)
    for file in (path, checkpoint.older(path)):
        file.write_bytes(file.read_bytes()[:-1])
    told = r"/checkpoint\.safetensors is no .*before-checkpoint\.safetensors is no checkpoint that can be read.*anew in"
    with pytest.raises(FileError, match=told):
        engine().load(path)


@contextmanager
def no_room(size):
    """Inside, no file may become larger than so many bytes: what a full disk does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX's")
def test_on_a_full_disk_training_goes_on(tmp_path, often):
    whole = engine(width=64)
    whole.run()
    log, path = LogFile(tmp_path / "log.jsonl"), tmp_path / checkpoint.NAME
    disk = ExitStack()
    running = engine(log, At(3, lambda: disk.enter_context(no_room(10))), folder=tmp_path, width=64)
    with disk, pytest.warns(RanvierWarning, match=r"log\.jsonl cannot be written \(File too large\)"):
        running.run()
    assert equal(running, whole)
    assert [note.partition(":")[0] for note in running.progress.notes] == ["step 3"]
    assert "File too large" in running.progress.notes[0]
    assert "training goes on, and the one before is kept" in running.progress.notes[0]
    assert {file.name for file in tmp_path.iterdir()} == {checkpoint.NAME, "log.jsonl"}
    log.on_log(21, {"step": 21.0})
    assert len(log.path.read_text().splitlines()) == 21  # those that waited, whole
    again = engine(width=64)
    again.load(path)
    assert again.progress.step == 2
    again.run()
    assert equal(again, whole)


def test_the_one_before_makes_room(tmp_path, often, monkeypatch):
    path = killed(tmp_path)
    write = checkpoint.save_file

    def full(tensors, to, header):
        if checkpoint.older(path).exists():
            raise OSError(28, "No space left on device")
        write(tensors, to, header)

    monkeypatch.setattr(checkpoint, "save_file", full)
    running = engine(folder=tmp_path)
    running.load(path)
    running.run()
    assert running.progress.notes == []
    again = engine()
    again.load(path)
    assert again.progress.step == 20


def test_a_folder_where_nothing_can_be_written_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_file", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    running = engine(folder=tmp_path)
    with pytest.raises(RunError, match=r"no checkpoint can be written in .*Read-only file system; make room"):
        running.run()
    assert running.progress.step == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_save_left_goes_with_the_next(tmp_path, often):
    path = killed(tmp_path)
    left = tmp_path / checkpoint.WRITING
    left.mkdir()
    (left / ".tmpabc").write_bytes(b"half")
    running = engine(folder=tmp_path)
    running.load(path)
    running.run()
    assert {file.name for file in tmp_path.iterdir()} == {checkpoint.NAME, checkpoint.older(path).name}
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "momentum", "nadam", "lion", "muon", "schedule_free"])
def test_channels_last_goes_on_to_the_same_bits(tmp_path, optimizer):
    """Fused steps pair numbers by their place in memory."""
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 3, 6, 6, generator=random), torch.randn(40, generator=random)

    def made():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(16, 1))
        task = NetTask(net.to(memory_format=torch.channels_last), lambda answer, y: (answer[:, 0] - y) ** 2)
        settings = Settings(steps=8, rate=0.01, optimizer={"name": optimizer})
        return Engine(task, TensorSource(x, y, batch=8), settings)

    whole, half, again = made(), made(), made()
    whole.run()
    for step in range(4):
        half.train_step(half.source.batch(step))
    checkpoint.save(half, tmp_path / checkpoint.NAME)
    again.load(tmp_path / checkpoint.NAME)
    again.run()
    assert equal(again, whole)


def test_a_checkpoint_of_another_version_is_refused_and_stays(tmp_path, often, monkeypatch):
    path = killed(tmp_path)
    with monkeypatch.context() as later:
        later.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
        with pytest.raises(RunError, match=r"checkpoint\.safetensors was written by another version .*start anew"):
            engine(folder=tmp_path).load(path)
    again = engine(folder=tmp_path)
    again.load(path)
    assert again.progress.notes == []
