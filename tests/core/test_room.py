"""Arrays of all rows, in memory or on disk."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from ranvier.core import room as rooms
from ranvier.core.errors import DataError
from ranvier.core.room import free_memory, let_go, on_disk, room


def test_small_arrays_are_in_memory():
    array, notes = room((3, 4), np.uint8, "x: the pixels")
    assert array.tolist() == [[0] * 4] * 3
    assert not on_disk(array)
    assert notes == []
    let_go(array)  # which there is nothing to do for


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


def test_free_memory_is_what_the_control_group_leaves(monkeypatch, tmp_path):
    monkeypatch.setattr(rooms, "GROUP", tmp_path)
    free = free_memory()
    assert free > 2**20
    for name, text in {"max": "5000\n", "current": "4000\n", "stat": "anon 1\ninactive_file 300\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert free_memory() == 1300
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > 2**20


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
