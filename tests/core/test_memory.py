"""Memory that is kept while training."""

from __future__ import annotations

import sys

import pytest

from ranvier.core import memory


class Library:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.set: dict[int, int] = {}
        self.trimmed = 0

    def mallopt(self, name: int, value: int) -> int:
        """Notes a setting."""
        self.set[name] = value
        return 1

    def malloc_trim(self, left: int) -> int:
        """Counts."""
        self.trimmed += 1
        return 1


def test_settings_are_put_back_even_after_an_error(monkeypatch: pytest.MonkeyPatch):
    library = Library()
    monkeypatch.setattr(memory, "_glibc", lambda: library)
    seen: list[tuple[dict[int, int], int]] = []

    def work() -> None:
        with memory.kept_memory():
            seen.append((dict(library.set), library.trimmed))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert seen == [({memory.M_MMAP_MAX: 0, memory.M_TRIM_THRESHOLD: memory.EVERYTHING}, 0)]
    assert library.set == {
        memory.M_MMAP_MAX: memory.MAPPINGS,
        memory.M_MMAP_THRESHOLD: memory.MAPPED,
        memory.M_TRIM_THRESHOLD: memory.TRIMMED,
    }
    assert library.trimmed == 1


def test_the_last_to_leave_gives_back(monkeypatch: pytest.MonkeyPatch):
    library = Library()
    monkeypatch.setattr(memory, "_glibc", lambda: library)
    with memory.kept_memory():
        with memory.kept_memory():
            pass
        assert not library.trimmed
        assert library.set[memory.M_MMAP_MAX] == 0
    assert library.trimmed == 1


def test_without_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with memory.kept_memory():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is on Linux only")
def test_the_library_knows_the_settings():
    library = memory._glibc()
    if library is None:
        pytest.skip("another C library")
    with memory.kept_memory():
        assert library.mallopt(memory.M_MMAP_THRESHOLD, memory.MAPPED) == 1  # the only one that it checks
