"""Pictures: encoded bytes, paths of files, or arrays of pixels, decoded once to one size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import polars as pl

from ranvier.columns.pixels import (
    READ_ERRORS,
    Form,
    Picture,
    Seen,
    Source,
    check_size,
    common_size,
    encode_png,
    holds_numbers,
    is_picture,
    measure,
    names_picture,
    read,
    rounded,
    sources,
    why,
)
from ranvier.columns.stream import blocks
from ranvier.core.column import Column
from ranvier.core.counts import agreed
from ranvier.core.errors import DataError
from ranvier.core.room import let_go, room
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

BLOCK = 4_096  # rows looked at together
GLANCES = 256  # encoded pictures measured in a block of training rows
TASK = 32  # pictures that a thread takes at a time, at most
HELD = 2**24  # bytes of pixels that are in memory at a time, where the others are on disk
NAMED = 3  # unreadable pictures named in a note


class Image(Column):
    """Pictures as uint8 pixels (H, W, channels), all of one size.

    Raw values are encoded bytes (PNG, JPEG, GIF, BMP, WebP, TIFF), paths of such files, arrays of numbers shaped
    (H, W), (H, W, C) or (C, H, W), or structs with a field `bytes` or `path`.

    size: pixels of the longer side; "auto" keeps the size that all training pictures share, else takes a square of
    their median shorter side; at most 128. A picture of another size is resized, and stretched if its shape differs.
    channels: "gray" or "rgb"; "auto" is gray if all training pictures are. Transparency is laid on white.
    folder: what relative paths start from; "" is the working directory, or else the folder of the table's file.
    A picture that cannot be read, or has over 100 megapixels, is missing (observed False, pixels 0), and a note counts
    and names it.
    """

    carries = ("size", "channels")

    def __init__(
        self,
        name: str,
        /,
        *,
        size: int | Literal["auto"] = "auto",
        channels: Literal["auto", "gray", "rgb"] = "auto",
        folder: str = "",
    ) -> None:
        super().__init__(name)
        self.size, self.channels, self.folder = size, channels, folder
        self.form = Form(0, 0, 0)

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for bytes that start as pictures do, names of image files, and grids of numbers of one shape."""
        values = sample.drop_nulls()
        if isinstance(values.dtype, pl.Array | pl.List):
            return _recognise_grids(values)
        if isinstance(values.dtype, pl.Struct) and any(field.name == "bytes" for field in values.dtype.fields):
            values = values.struct.field("bytes").drop_nulls()
        if not len(values) or values.dtype not in (pl.Binary, pl.String):
            return 0.0, ""
        if values.dtype == pl.Binary:
            share, what = sum(map(is_picture, values.to_list())) / len(values), "bytes of encoded pictures"
        else:
            share, what = sum(map(names_picture, values.to_list())) / len(values), "names of image files"
        if share < 0.5:
            return 0.0, ""
        return 0.98 * share, what if share == 1 else f"{share:.0%} are {what}"

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Size, channels and range of numbers. Raises DataError if no training picture can be read.

        Of encoded pictures and files, 256 of every 4,096 are looked at, their headers only.
        """
        seen: list[Seen] = []
        failure = "all values are missing"
        for block in blocks(chunks, BLOCK):
            numbers = isinstance(block.dtype, pl.Array | pl.List | pl.Object)
            every = 1 if numbers else max(1, len(block) // GLANCES)
            for source in sources(block.gather_every(every), self.folder):
                try:
                    seen += [] if source is None else [measure(source)]
                except READ_ERRORS as error:
                    failure = why(source, error)
        if not seen:
            raise DataError(
                f"column {self.name!r}: no picture can be read from the training rows ({failure}); relative paths "
                f"start from {self.folder or 'the working directory'!r} (option folder); or set its role to ignore"
            )
        channels = {"auto": 3 if any(s.colour for s in seen) else 1, "gray": 1, "rgb": 3}[self.channels]
        low, high = _range(min(s.low for s in seen), max(s.high for s in seen))
        return self._ready(
            Form(*common_size(np.array([(s.height, s.width) for s in seen]), self.size), channels, low, high)
        )

    def _ready(self, form: Form) -> Spec:
        self.form = form
        self.spec = Spec("pixels", (form.height, form.width), size=form.channels, unit="pixel")
        return self.spec

    def nbytes(self, rows: int) -> int:
        """The memory that so many encoded rows take."""
        return rows * (self.form.height * self.form.width * self.form.channels + 1)

    def encode(self, values: pl.Series) -> Encoded:
        """(N, H, W, channels) uint8, decoded by threads; what is missing or cannot be read is 0 and not observed.

        On disk where memory has no room for them (see `core/room.py`).
        """
        form = self.form
        data, kept = room((len(values), form.height, form.width, form.channels), np.uint8, f"{self.name}: the pixels")
        observed = np.zeros(len(values), bool)
        failed: list[tuple[int, str]] = []
        resized = clipped = shares = 0
        for row, picture in enumerate(self._pictures(values)):
            if isinstance(picture, str):
                failed.append((row, picture))
            elif picture is not None:
                data[row], observed[row] = picture.pixels, True
                resized += picture.resized
                clipped += picture.clipped
                shares += picture.shares
            if row % self._block() == 0:
                let_go(data)
        let_go(data)
        return Encoded(data, observed, notes=kept + self._notes(len(values), failed, resized, clipped, shares))

    def _block(self) -> int:
        """How many rows are read together."""
        return min(BLOCK, max(TASK, HELD // self.nbytes(1)))

    def _pictures(self, values: pl.Series) -> Iterator[Picture | str | None]:
        """Each row's picture, None where missing, or what is wrong with it, in order."""
        workers = min(8, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(values), self._block()):
                block = sources(values.slice(start, self._block()), self.folder)
                size = max(1, min(TASK, len(block) // workers))  # of large pictures a block holds few
                tasks = [block[i : i + size] for i in range(0, len(block), size)]
                for pictures in pool.map(self._read_all, tasks):
                    yield from pictures

    def _read_all(self, block: list[Source | None]) -> list[Picture | str | None]:
        return [None if source is None else self._read(source) for source in block]

    def _read(self, source: Source) -> Picture | str:
        try:
            return read(source, self.form)
        except READ_ERRORS as error:
            return why(source, error)

    def _notes(self, rows: int, failed: list[tuple[int, str]], resized: int, clipped: int, shares: int) -> list[str]:
        notes = []
        size = f"{self.form.width} x {self.form.height}"
        if failed:
            named = "; ".join(f"row {row_number(row)}: {why}" for row, why in failed[:NAMED])
            more = "; ..." if len(failed) > NAMED else ""
            notes.append(
                f"{self.name}: {len(failed):,} of {rows:,} pictures cannot be read, taken as missing ({named}{more})"
            )
        if resized:
            notes.append(f"{self.name}: {resized:,} of {rows:,} pictures resized to {size} pixels")
        if shares:
            notes.append(
                f"{self.name}: {shares:,} of {rows:,} pictures {agreed(shares, 'holds|hold')} decimals "
                "from 0 to 1, taken for shares "
                "of 255, as training had numbers up to there"
            )
        if clipped:
            notes.append(
                f"{self.name}: {clipped:,} of {rows:,} pictures {agreed(clipped, 'has|have')} numbers "
                "that are not finite or not in "
                f"{self.form.low:g} to {self.form.high:g}, the range of the training rows; they are clipped to it"
            )
        return notes

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"pixels": (N, H, W, channels), 0 to 255} as one column `name` of PNG files (bytes)."""
        pixels = rounded(prediction["pixels"])
        return pl.DataFrame([pl.Series(self.name, [encode_png(picture) for picture in pixels], dtype=pl.Binary)])

    def state(self) -> dict[str, Any]:
        """The form that all pictures get."""
        f = self.form
        form = {"height": f.height, "width": f.width, "channels": f.channels, "low": f.low, "high": f.high}
        return {"version": 1, **form}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave. Raises ValueError for a size that no picture has."""
        height, width, channels = (int(state[key]) for key in ("height", "width", "channels"))
        check_size(height, width)
        if channels not in (1, 3):
            raise ValueError(f"pictures of {channels} channels: expected 1 or 3")
        self._ready(Form(height, width, channels, float(state["low"]), float(state["high"])))


def _range(low: float, high: float) -> tuple[float, float]:
    """The numbers that become 0 and 255, from the least and greatest seen: the customary range that holds them."""
    for bottom, top in ((0.0, 1.0), (-1.0, 1.0)):
        if bottom <= low and high <= top:
            return bottom, top
    if low >= 0:  # numbers of few steps, such as 0 to 16, are spread, so that none is lost in rounding
        return 0.0, 255.0 if 100 < high <= 255 else high
    return low, high


def _recognise_grids(values: pl.Series) -> tuple[float, str]:
    """Grids of at least 4 x 4 numbers, the same shape in every row."""
    if not holds_numbers(values.dtype):
        return 0.0, ""
    arrays = sources(values.head(64), "")
    shapes = {array.shape for array in arrays if isinstance(array, np.ndarray)}
    if len(shapes) != 1:
        return 0.0, ""
    shape = shapes.pop()
    grid = shape[:2] if len(shape) == 2 or shape[-1] in (1, 3, 4) else shape[1:]
    channels = len(shape) == 2 or (len(shape) == 3 and (shape[-1] in (1, 3, 4) or shape[0] in (1, 3, 4)))
    if len(shape) not in (2, 3) or not channels or min(grid) < 4:
        return 0.0, ""
    return 0.9, f"grids of {' x '.join(map(str, shape))} numbers"
