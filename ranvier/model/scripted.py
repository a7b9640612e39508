"""Vectors of pictures by a network that others have trained, such as Inception, from a TorchScript file."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from ranvier.columns.image import Image
from ranvier.core.errors import DataError, FileError

SIDE = 299  # pixels, as Inception v3 takes them
BATCH = 32  # pictures at a time
SAMPLE = 64  # values by which a column of pictures is recognised
KNOWN = 0.5  # how sure that has to be


class Scripted:
    """A TorchScript network from float32 RGB pictures (N, 3, 299, 299), 0 black to 1 white, to vectors (N, D).

    Whatever else it wants of its input, such as another mean, it does itself. Such a file is a program that runs when
    it is used: take one that you trust. Raises FileError for any other file.
    """

    def __init__(self, path: Path) -> None:
        self.net, digest = load_scripted(path)
        self.path, self.name = path, f"{path.name} (SHA-256 {digest[:16]})"

    def __call__(self, column: Image, values: pl.Series, notes: list[str]) -> Iterator[Tensor]:
        """(B, D) float32, some rows at a time. column: a form of pictures. notes: what was found in them.

        Raises DataError for a picture that cannot be read, FileError.
        """
        for start in range(0, len(values), BATCH):
            some = column.encode(values[start : start + BATCH])
            if not some.observed.all():
                why = [note for note in some.notes if "cannot be read" in note] or [f"{column.name}: it is missing"]
                raise DataError(
                    f"fidelity: a picture of rows {start:,} to {start + len(some.data) - 1:,} is none: {why[0]}"
                )
            where = f"rows from {start:,}, counted from there: " if start else ""
            notes += [f"{where}{note}" for note in some.notes if "resized" not in note]  # as all of them are
            yield self._vectors(torch.from_numpy(some.data).permute(0, 3, 1, 2).float() / 255)

    def _vectors(self, pictures: Tensor) -> Tensor:
        try:
            with torch.inference_mode():
                said = self.net(pictures)
        except torch.OutOfMemoryError:  # which is one, and says nothing of the file
            raise
        except RuntimeError as error:
            raise FileError(f"{self.path} does not take pictures {tuple(pictures.shape)}: {error}") from None
        if not isinstance(said, Tensor) or said.ndim != 2 or len(said) != len(pictures):
            got = tuple(said.shape) if isinstance(said, Tensor) else type(said).__name__
            raise FileError(f"{self.path} must give vectors ({len(pictures)}, D) of so many pictures, got {got}")
        return said.float()


def load_scripted(path: Path) -> tuple[torch.jit.ScriptModule, str]:
    """The network in a TorchScript file, in eval mode on the CPU, and the file's SHA-256. Raises FileError."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with warnings.catch_warnings():  # it is the form in which such networks lie about
            warnings.filterwarnings("ignore", ".*torch.jit.load.* is deprecated", DeprecationWarning)
            return torch.jit.load(path, map_location="cpu").eval(), digest
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except RuntimeError as error:
        raise FileError(
            f"{path} is no TorchScript file, which torch.jit.save writes ({str(error).splitlines()[0]}); weights "
            "alone are no network"
        ) from None


def pictures(frames: Sequence[pl.DataFrame]) -> list[tuple[Image, pl.Series]]:
    """The only column of pictures of each frame, of one name, as values and a form of 299 x 299 pixels in colour.

    Numbers mean the same in all frames of numbers. Raises DataError where there is no such column, or are several.
    """
    names = [
        [n for n in frame.columns if n in frames[0].columns and Image.recognise(frame[n].head(SAMPLE))[0] >= KNOWN]
        for frame in frames
    ]
    if any(len(found) != 1 or found != names[0] for found in names):
        told = "; ".join(", ".join(found) or "none" for found in names)
        raise DataError(f"fidelity: expected one column of pictures, by the same name on both sides, found {told}")
    (name,) = names[0]
    values = [frame[name] for frame in frames]
    bare = all(isinstance(each.dtype, pl.Array | pl.List) for each in values)
    return [(_form(name, values if bare else [each]), each) for each in values]


def _form(name: str, seen: Sequence[pl.Series]) -> Image:
    column = Image(name, channels="rgb")
    column.learn(seen)
    column.load_state(column.state() | {"height": SIDE, "width": SIDE})
    return column
