"""The bytes of a file, mapped into memory, or unpacked: gzip, bzip2, xz, zip, Zstandard."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import mmap
import zipfile
import zlib
from pathlib import Path

from ranvier.core.errors import DataError, MissingExtra
from ranvier.data.encoding import Bytes

PACKED = (".gz", ".bz2", ".xz", ".zip", ".zst")
_MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
_DAMAGED = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


def contents(path: Path) -> Bytes:
    """The file's bytes, unpacked if need be. Raises DataError for one that is damaged, empty, or cannot be read."""
    try:
        data = _mapped(path)
    except (PermissionError, IsADirectoryError) as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    packing = path.suffix.lower()
    if packing not in PACKED:
        packing = next((kind for magic, kind in _MAGIC.items() if data[: len(magic)] == magic), "")
    if packing:
        try:
            data = _unpacked(data[:], packing, path)
        except _DAMAGED as error:
            kind = packing.removeprefix(".").replace("gz", "gzip")
            raise DataError(f"{path}: damaged {kind} file ({error}); was it copied in full?") from None
    if not data[:1024].strip() and not bytes(data).strip():
        raise DataError(f"{path} is empty ({len(data)} bytes); a table with at least one row is needed")
    return data


def member_of(path: Path) -> str:
    """The name of the one file in a zip archive. Raises DataError if it has none, or several."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: damaged zip file ({error}); was it copied in full?") from None
    if len(names) != 1:
        shown = ", ".join(names[:5]) or "none"
        raise DataError(f"{path} holds {len(names)} files ({shown}); expected one table; unpack it and name the file")
    return names[0]


def _mapped(path: Path) -> Bytes:
    if not path.is_file():  # a pipe, say
        return path.read_bytes()
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _unpacked(data: bytes, packing: str, path: Path) -> bytes:
    if packing == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(member_of(path))
    if packing == ".zst":
        return _zstandard(data)
    return {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}[packing](data)


def _zstandard(data: bytes) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise MissingExtra("zstandard", "zstd") from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            return reader.read()
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
