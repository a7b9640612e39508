"""The members of a model file as bytes and as JSON: what is larger, deeper or stranger than any model is refused.

Nothing is written to disk, so that names of members lead nowhere, and nothing is larger in memory than the file is.
"""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError

from ranvier.core.errors import DataError, FileError, PlanError, did_you_mean

ZIP = b"PK\x03\x04"  # how such a file begins
# what zipfile raises for damaged, encrypted or exotic archives; NotImplementedError is a RuntimeError
NO_ZIP = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, KeyError, struct.error)
# what members that say something else than a model does can lead to; RecursionError is a RuntimeError
DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    DataError,
    PlanError,
    SafetensorError,
    pl.exceptions.PolarsError,
)
AGAIN = "the file is damaged or not Ranvier's: copy it again, or save the model again"


def content_of(path: str | Path) -> bytes:
    """The file's bytes. Raises FileError for what cannot be read or has no end, such as folders, pipes and devices."""
    if not isinstance(path, str | os.PathLike):
        raise FileError(f"expected the path of a model file, such as 'model.rv', got {path!r:.60}")
    path = Path(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            what = "a folder" if path.is_dir() else "a pipe or device"
            raise FileError(f"cannot read {path}: expected a model file, and it is {what}")
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}{_beside(path)}") from None
    except ValueError as error:  # a name that no file can have
        raise FileError(f"cannot read {str(path)!r}: {error}") from None


def _beside(path: Path) -> str:
    """Which models stand in the folder where this one is sought."""
    known = sorted(one.name for one in path.parent.glob("*.rv")) if path.parent.is_dir() else []
    return f"; {did_you_mean(path.name, known)}" if known else "; `ranvier fit` writes models, model.rv"


@contextmanager
def told(where: str, member: str) -> Iterator[None]:
    """Raises FileError, which names file and member, for what a member that no model wrote leads to."""
    try:
        yield
    except DAMAGED as error:
        said = str(error) if len(str(error)) <= 400 else f"{str(error)[:400]} ..."
        lacks = f"lacks {said}" if isinstance(error, KeyError) else said or type(error).__name__
        raise FileError(f"{where} is damaged, or of another version: {member}: {lacks}; {AGAIN}") from None


def members_of(
    content: bytes, where: str, whole: Sequence[str], each: Sequence[str], may: Sequence[str]
) -> dict[str, bytes]:
    """{name: bytes}: `whole`, `each` for every network, and any of `may`. Raises FileError for anything else."""
    if not content:
        raise FileError(f"{where} is empty (0 bytes): {AGAIN}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos, names = archive.infolist(), archive.namelist()
            expected = [*whole, *(f"{folder}{name}" for folder in folders(networks_in(names)) for name in each)]
            if sorted(names) != sorted([*expected, *(name for name in may if name in names)]):
                held = ", ".join(name[:80] for name in names[:8])
                raise FileError(
                    f"{where} is no Ranvier model: it holds {held or 'nothing'}; expected {', '.join(expected[:8])}, "
                    "each once"
                )
            for info in infos:
                if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                    raise FileError(f"{where}: {info.filename}: members of a model file are never compressed; {AGAIN}")
            if sum(info.file_size for info in infos) > len(content):
                raise FileError(f"{where} is no Ranvier model: its members overlap, and are larger than it is; {AGAIN}")
            return {name: archive.read(name) for name in names}
    except NO_ZIP as error:
        advice = (
            "it is cut off or damaged; copy it again"
            if content.startswith(ZIP)
            else "it is another kind of file; name the model first"
        )
        raise FileError(f"{where} is no Ranvier model ({error}): {advice}") from None


def networks_in(names: Iterable[str]) -> int:
    """How many networks there are."""
    return max(1, sum(name.endswith("/weights.safetensors") for name in names))


def folders(networks: int) -> list[str]:
    """Where each network's members are."""
    return [""] if networks == 1 else [f"fold-{number}/" for number in range(1, networks + 1)]


def values_of(member: bytes) -> dict[str, Any]:
    """The JSON object of a member. Raises ValueError for anything else, RecursionError for one too deeply nested."""
    values = json.loads(member)
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object, got {type(values).__name__}")
    return values


def finite_values_of(member: bytes) -> dict[str, Any]:
    """As `values_of`; NaN and infinity raise ValueError, for no plan and no column holds any."""
    return values_of(json.dumps(json.loads(member, parse_constant=_refuse), allow_nan=False).encode())


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number that a plan or column can hold")
