"""Arrays of all rows, in memory or on disk."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from ranvier.core import limits
from ranvier.core import room as rooms
from ranvier.core.errors import DataError
from ranvier.core.room import amount, free_memory, let_go, on_disk, one_budget, room
from ranvier.model.fit import fit
from ranvier.planning.make import make_plan


def test_small_arrays_are_in_memory():
    array, notes = room((3, 4), np.uint8, "x: the pixels")
    assert array.tolist() == [[0] * 4] * 3
    assert not on_disk(array)
    assert notes == []
    let_go(array)  # which there is nothing to do for


def test_bytes_of_a_mapped_file_are_let_go_of_and_still_there(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 1000)
    with (tmp_path / "x").open("rb") as file:
        whole = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    assert on_disk(whole)
    assert on_disk(whole[5:])
    let_go(whole)
    assert whole.tobytes() == b"abc" * 1000
    assert not on_disk(np.frombuffer(b"abc", np.uint8))


def test_large_arrays_are_on_disk_and_hold_what_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr(rooms, "SHARE", 0.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array, notes = room((1000, 50), np.uint8, "x: the pixels")
    assert on_disk(array)
    assert on_disk(array[3:][:, 2])
    assert not array.any()
    array[:] = np.arange(50)
    let_go(array)
    assert (array == np.arange(50)).all()
    assert notes == [f"x: the pixels take 0.0 GB, and are kept on disk, in {tmp_path} (TMPDIR names another folder)"]
    assert os.name != "posix" or not list(tmp_path.iterdir())  # the file has no name, so that nothing can be left


def test_a_full_disk_is_told(monkeypatch):
    def full(file, start, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rooms, "SHARE", 0.0)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match=r"x: the pixels take 0.0 GB, .* No space left on device; .* TMPDIR"):
        room((10, 5), np.uint8, "x: the pixels")


def test_nothing_at_all_needs_no_file(monkeypatch):
    monkeypatch.setattr(rooms, "SHARE", 0.0)
    assert room((0, 5), np.uint8, "x")[0].shape == (0, 5)


def test_threads_share_one_budget(monkeypatch, tmp_path):
    """What is given is not filled yet, so that the system still says it is free."""
    monkeypatch.setattr(rooms, "free_memory", lambda: 1000.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alone = [on_disk(room((1, 200), np.uint8, "x")[0]) for _ in range(6)]
    assert alone == [False] * 6
    with one_budget():
        with ThreadPoolExecutor(6) as pool:
            made = list(pool.map(lambda k: room((1, 200), np.uint8, "x")[0], range(6)))
        with one_budget():  # of a second fit beside it
            assert on_disk(room((1, 200), np.uint8, "x")[0])
        assert not on_disk(room((1, 100), np.uint8, "x")[0])
    assert sum(map(on_disk, made)) == 4  # a quarter of 1,000, then of 800, and then of 600 none
    assert not on_disk(room((1, 200), np.uint8, "x")[0])


def test_columns_of_a_frame_are_encoded_on_one_budget(monkeypatch):
    pictures = pl.DataFrame({name: [np.full((10, 10), 9, np.uint8).tolist()] * 40 for name in "ab"})
    frame = pictures.with_columns(y=pl.Series([0.5, 1.5] * 20))
    plan = make_plan(frame, "y", types={"a": "image", "b": "image"}, epochs=1, size="s")
    model = fit(plan, progress=False)
    monkeypatch.setattr(rooms, "free_memory", lambda: 4.0 * 4_000)  # one of both is a quarter of it
    table = model.networks[0].layout.encode(frame, notes := [])
    assert [on_disk(table.inputs[name].data) for name in "ab"].count(True) == 1
    assert sum("kept on disk" in note or "kept in memory" in note for note in notes) == 1


@pytest.fixture
def linux(monkeypatch, tmp_path):
    """Folders that are taken for those in which Linux tells of control groups and mounts."""
    monkeypatch.setattr(limits, "PROC", tmp_path / "proc")
    monkeypatch.setattr(limits, "GROUPS", tmp_path / "groups")
    (tmp_path / "proc").mkdir()
    return tmp_path


def bounds(folder, most, used, cached, version=2):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(
        limits.NAMES[version], (most, used, f"anon 1\n{limits.CACHED[version]} {cached}"), strict=True
    ):
        (folder / name).write_text(f"{text}\n")


def test_free_memory_is_what_the_control_groups_leave(linux):
    free = free_memory()
    assert free > 2**20
    (linux / "proc/cgroup").write_text("0::/all/own\n")
    bounds(linux / "groups/all/own", 5000, 4000, 300)
    assert free_memory() == 1300
    bounds(linux / "groups/all", 9000, 8900, 0)  # which its own group is in
    assert free_memory() == 100
    bounds(linux / "groups/all", "max", 8900, 0)
    bounds(linux / "groups/all/own", "max", 4000, 300)
    assert free_memory() > 2**20
    (linux / "proc/cgroup").write_text("0::/names/outside/the/container\n")
    bounds(linux / "groups", 2000, 500, 0)
    assert free_memory() == 1500


def test_the_bound_may_be_that_of_a_group_of_version_one(linux):
    (linux / "proc/cgroup").write_text("7:blkio:/\n4:memory:/own\n0::/\n")
    bounds(linux / "groups/memory", 2**63 - 4096, 10**9, 0, version=1)  # which is none
    bounds(linux / "groups/memory/own", 6000, 5500, 200, version=1)
    assert free_memory() == 700


def mounts(linux, monkeypatch, *points):
    lines = [f"{k} 1 0:{k} / {point} rw - {system} what rw" for k, (point, system) in enumerate(points)]
    (linux / "proc/mountinfo").write_text("\n".join(["1 0 0:1 / / rw - ext4 disk rw", *lines]))
    monkeypatch.setattr("tempfile.tempdir", str(points[0][0]))
    monkeypatch.setattr(rooms, "SHARE", 0.0)


def test_a_folder_for_temporary_files_in_memory_is_left(linux, monkeypatch):
    memory, disk = linux / "memory", linux / "disk"
    memory.mkdir(), disk.mkdir()
    mounts(linux, monkeypatch, (memory, "tmpfs"))
    assert [limits.in_memory(str(one)) for one in (memory, memory / "below", disk)] == [True, True, False]
    monkeypatch.setattr(rooms, "PLACES", (str(memory), str(linux / "none"), str(disk)))
    array, notes = room((10, 5), np.uint8, "x")
    assert on_disk(array)
    assert f"are kept on disk, in {disk}" in notes[0]
    monkeypatch.setattr(rooms, "PLACES", (str(memory),))
    array, notes = room((10, 5), np.uint8, "x")
    assert not on_disk(array)
    assert f"are kept in memory, for {memory} is in memory, too (TMPDIR" in notes[0]
    monkeypatch.setattr(rooms, "free_memory", lambda: 10.0)
    with pytest.raises(DataError, match=r"cannot be kept in .*memory: it is in memory itself; .* TMPDIR"):
        room((10, 5), np.uint8, "x")
    mounts(linux, monkeypatch, (memory, "tmpfs"), (memory, "ext4"))  # what is mounted last lies over the other
    assert not limits.in_memory(str(memory))


@pytest.mark.parametrize("fails", ["tempfile.gettempdir", "tempfile.TemporaryFile", "numpy.memmap"])
def test_whatever_the_disk_refuses_is_told(monkeypatch, fails):
    def refuses(*args, **how):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(rooms, "SHARE", 0.0)
    monkeypatch.setattr(fails, refuses)
    with pytest.raises(DataError, match=r"x: the pixels take 0.0 GB, .* Read-only file system; .* TMPDIR"):
        room((10, 5), np.uint8, "x: the pixels")


def test_amounts_are_for_people():
    assert [amount(size) for size in (123_456, 1.5e6, 2.34e9, 5.6e12)] == ["0.1 MB", "1.5 MB", "2.3 GB", "5,600.0 GB"]


ENCODES = """
import sys, resource
import numpy as np, polars as pl
from ranvier.columns.image import Image
from ranvier.core import room
from ranvier.model.folder import digest

room.SHARE = float(sys.argv[1])
column = Image("x", size=128, channels="rgb")
values = pl.Series("x", [sys.argv[2]] * 1_500)
column.learn([values])
column.encode(values.head(40))

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024

before = peak()
encoded = column.encode(values)
print(peak() - before, digest(encoded.data), int(encoded.data[-1].sum()), encoded.data.nbytes >> 20)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_pictures_on_disk_take_little_memory(tmp_path):
    from PIL import Image

    file = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(file)

    def run(share: float) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", ENCODES, str(share), str(file)], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    inside, outside = run(1.0), run(0.0)
    assert inside[1:4] == outside[1:4]  # the same bytes
    size = int(inside[3])
    assert int(inside[0]) > 0.9 * size
    assert int(outside[4]) < 0.5 * size
