"""The samples are small, readable, balanced and licensed."""

from __future__ import annotations

from collections import Counter

import pytest

from ranvier.core.errors import PlanError
from ranvier.data.read import read
from ranvier.samples import names, path


def test_samples():
    frames = {name: read(path(name)) for name in names()}
    assert {name: t.frame.shape for name, t in frames.items()} == {
        "fashion_train": (5000, 2),
        "fashion_test": (1000, 2),
        "snippets_train": (8482, 3),
        "snippets_test": (2121, 3),
        "penguins": (344, 8),
    }
    assert all(not t.notes for t in frames.values())
    for name, each in (("fashion_train", 500), ("fashion_test", 100)):
        assert set(Counter(frames[name].frame["label"]).values()) == {each}
        assert all(b.startswith(b"\x89PNG") for b in frames[name].frame["image"].to_list())
    assert frames["penguins"].frame.null_count().sum_horizontal().item() == 19


def test_size_and_licences():
    folder = path("penguins").parent
    assert sum(p.stat().st_size for p in folder.iterdir() if p.is_file()) < 6 * 2**20
    licences = (folder / "LICENSES.md").read_text()
    assert all(path(name).name in licences for name in names())


def test_unknown_sample():
    with pytest.raises(PlanError, match="did you mean 'penguins'"):
        path("penguin")
