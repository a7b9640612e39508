"""Hostile model files: our error, little memory, and nothing imported or run."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from model import hostile
from model.made import table

from ranvier.core.errors import FileError
from ranvier.model.file import to_bytes
from ranvier.model.fit import fit
from ranvier.model.model import load

ROOM = 2**24  # bytes beside a few copies of the file


@pytest.fixture(scope="module")
def good():
    plan = {"inputs": ["a", "b", "c"], "epochs": 1, "threads": 1, "progress": False}
    return to_bytes(fit(table(), "y", **plan))


@pytest.mark.parametrize("kind", ["archives", "texts", "tensors"])
def test_each_is_refused_in_little_memory_and_nothing_runs(kind, good, tmp_path):
    path = tmp_path / "model.rv"
    path.write_bytes(good)
    load(path)  # so that all that loading needs is imported
    before = set(sys.modules)
    for name, (content, says) in getattr(hostile, kind)(good).items():
        path.write_bytes(content)
        tracemalloc.start()
        try:
            with pytest.raises(FileError, match=f"(?s){says}") as caught:
                load(path)
            peak = tracemalloc.get_traced_memory()[1]
        except (AssertionError, pytest.fail.Exception) as error:
            raise AssertionError(f"{name}: {error}") from error
        finally:
            tracemalloc.stop()
        assert str(path) in str(caught.value), name
        assert len(str(caught.value)) < 2_000, name
        assert peak < 8 * len(content) + ROOM, name
    assert set(sys.modules) == before
    assert hostile.Runs.marks == []


def test_memory_is_bounded_by_the_system_too(good, tmp_path):
    """tracemalloc sees Python's memory and numpy's; torch's own is bounded by the address space."""
    found = {**hostile.archives(good), **hostile.texts(good)}
    names = [name for name in found if "= 1000000" in name or name in ("bomb", "overlapping")]
    assert len(names) >= 6
    paths = [tmp_path / f"{number}.rv" for number, _ in enumerate(names)]
    for path, name in zip(paths, names, strict=True):
        path.write_bytes(found[name][0])
    code = (
        "import resource, sys\n"
        "from ranvier.core.errors import FileError\n"
        "from ranvier.model.model import load\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + 2**29\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        load(path)\n"
        "    except FileError:\n"
        "        print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["refused"] * len(names), done.stderr


@pytest.mark.parametrize("what", ["folder", "device", "pipe", "dangling", "loop", "to a device", "zero byte"])
def test_paths_that_are_no_files(what, tmp_path):
    path = tmp_path / "model.rv"
    if what == "folder":
        path.mkdir()
        (path / "plan.json").write_text("{}")
    elif what == "device":
        path = Path("/dev/zero")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "zero byte":
        path = Path(f"{path}\0.rv")
    else:
        path.symlink_to({"dangling": tmp_path / "none", "loop": path, "to a device": Path("/dev/zero")}[what])
    with pytest.raises(FileError, match="cannot read"):
        load(path)


def test_a_link_to_a_model_is_the_model(good, tmp_path):
    (tmp_path / "real.rv").write_bytes(good)
    (tmp_path / "link.rv").symlink_to(tmp_path / "real.rv")
    load(tmp_path / "link.rv")


@pytest.mark.parametrize(("side", "value"), [("height", 10**9), ("width", 0), ("channels", 7), ("height", -4)])
def test_sizes_that_no_picture_has(side, value, tmp_path):
    """Of which rows would be made, though weights of the network fit any size."""
    good = (Path(__file__).parents[1] / "fixtures" / "model-5.rv").read_bytes()
    path = tmp_path / "model.rv"
    path.write_bytes(hostile.with_value(good, "columns.json", ["picture", side], value))
    with pytest.raises(FileError, match=r"columns\.json: pictures of"):
        load(path)
