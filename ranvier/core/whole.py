"""Files that are whole under their name, or not there; if so wished also after the power has failed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNABLE = (errno.EINVAL, errno.EACCES, errno.ENOTSUP, errno.EBADF)  # folders that the system cannot, or may not, sync


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when it is whole, and on the disk; else nothing has changed.

    Raises OSError.
    """
    with neighbour(path, lasts=True) as part, part.open("wb") as file:
        yield file


@contextmanager
def neighbour(path: Path, *, lasts: bool) -> Iterator[Path]:
    """Where to write what takes the place of `path` when it is whole; else nothing has changed.

    lasts: it is on the disk before it has the name (see `move`). Raises OSError.
    """
    _check(path)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        move(part, path) if lasts else os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def move(file: Path, to: Path) -> None:
    """Puts a file in the place of another, content first: else the name might last, and the content not."""
    settle(file)
    os.replace(file, to)
    settle(to.parent)


def folder(path: Path) -> None:
    """Makes a folder, and those that it lies in, so that they last. Raises OSError."""
    _check(path)
    if path.is_dir():
        return
    folder(path.parent)
    path.mkdir(exist_ok=True)
    settle(path.parent)


def _check(path: Path) -> None:
    """Raises OSError for a name that no file can have, of which the system's own calls say it otherwise."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "no name can hold a zero byte")


def settle(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk. Raises OSError."""
    names = path.is_dir()
    if names and os.name == "nt":  # which opens no folders
        return
    try:
        handle = os.open(path, os.O_RDONLY if names else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if not (names and error.errno in UNABLE):
            raise
