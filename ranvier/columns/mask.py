"""Masks: of each pixel of a picture what it shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from ranvier.columns.labels import Labels, read_labels, written
from ranvier.columns.pixels import READ_ERRORS, Source, common_size, sources
from ranvier.columns.stream import blocks
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.core.spec import Encoded, Spec

VOID = 255  # the code of a pixel of which nothing is known
MOST = 200  # classes
LAST = 63  # the largest number of a class that is recognised as one
GLANCES = 16  # masks looked at to recognise a column
FLAT = 0.8  # of the pixels that have the same class as their neighbour, at least, in what is recognised as a mask
BLOCK, TASK, NAMED = 4_096, 32, 3  # rows looked at together; by a thread; unreadable ones named in a note


class Mask(Column):
    """The class of each pixel, uint8 (H, W), of masks that all get one size; 255 where it is not known.

    Raw values are encoded pictures (bytes; PNG or another that loses nothing), paths of such files, arrays of whole
    numbers (H, W), or structs with a field `bytes` or `path`. Every grey value, place in a palette, or colour is a
    class, in ascending order.

    labels: names of the classes in this order, for figures; [] = the values themselves. void: the value of pixels of
    which nothing is known, -1 = there is none; "auto" is 255 where the others, at least two, are all below 64.
    size, folder: as of pictures (`Image`), so that a mask has its picture's size; each pixel is the nearest one's.
    A mask that cannot be read is missing, and a note counts and names it.
    """

    only_target: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        /,
        *,
        labels: list[str] = [],  # noqa: B006  (read only: the schema)
        void: int | Literal["auto"] = "auto",
        size: int | Literal["auto"] = "auto",
        folder: str = "",
    ) -> None:
        super().__init__(name)
        self.asked, self.void, self.size, self.folder = list(labels), void, size, folder
        self.values = np.zeros(0, np.int64)
        self.colours = False
        self.palette: list[int] = []
        self.labels: list[str] = []
        self.shape = (0, 0)

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for pictures without colours whose values are few, low and flat, as numbers of classes are."""
        values = sample.drop_nulls()
        if values.dtype not in (pl.Binary, pl.String) and not isinstance(values.dtype, pl.Struct):
            return 0.0, ""
        seen: set[int] = set()
        flat = []
        for source in sources(values.head(GLANCES), ""):
            try:
                found = None if source is None else read_labels(source)
            except READ_ERRORS:
                return 0.0, ""
            if found is None or found.colours or min(found.codes.shape) < 2:
                return 0.0, ""
            seen.update(np.unique(found.codes).tolist())
            flat.append(float((found.codes[:, 1:] == found.codes[:, :-1]).mean()))
        classes = seen - {VOID}
        if len(classes) < 2 or max(classes) > LAST or np.mean(flat) < FLAT:
            return 0.0, ""
        return 0.99, f"pictures of class numbers, up to {max(classes)}"

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Classes and size of all training masks. Raises DataError if none can be read or there are over 200 values."""
        seen: set[int] = set()
        sizes: list[tuple[int, int]] = []
        colours, failure = False, "all values are missing"
        for block in blocks(chunks, BLOCK):
            for found in self._read(block):
                if isinstance(found, str):
                    failure = found
                elif found is not None:
                    seen.update(np.unique(found.codes).tolist())
                    sizes.append(found.codes.shape)  # type: ignore[arg-type]
                    colours |= found.colours
                    self.palette = self.palette or found.palette
                if len(seen) > MOST + 1:
                    raise DataError(
                        f"column {self.name!r}: masks of over {MOST} different values; if they are pictures, say so: "
                        f"types={{{self.name!r}: 'image'}}; a format that loses detail, such as JPEG, holds no masks"
                    )
        if not sizes:
            raise DataError(f"column {self.name!r}: no mask can be read from the training rows ({failure})")
        self.void = self._void(seen) if self.void == "auto" else self.void
        known = sorted(seen - {self.void})
        if self.asked and len(self.asked) < len(known):
            raise DataError(
                f"column {self.name!r}: {len(self.asked)} labels for masks of {len(known)} classes, the values "
                f"{_some(known)}; give a label for each, in this order, or say which value is none by void"
            )
        self.values, self.colours = np.array(known, np.int64), colours
        self.shape = common_size(np.array(sizes), self.size)
        return self._ready()

    def _void(self, seen: set[int]) -> int:
        others = seen - {VOID}
        return VOID if VOID in seen and len(others) > 1 and max(others) <= LAST else -1

    def _ready(self) -> Spec:
        own = [f"#{value:06x}" if self.colours else str(value) for value in self.values.tolist()]
        self.labels = self.asked[: len(own)] or own
        self.spec = Spec("mask", self.shape, len(own), "pixel", labels=tuple(self.labels))
        return self.spec

    def nbytes(self, rows: int) -> int:
        """The memory that so many encoded rows take."""
        return rows * (self.shape[0] * self.shape[1] + 1)

    def encode(self, values: pl.Series) -> Encoded:
        """uint8 (N, H, W); values that training never saw are not known, as those of void, and told."""
        data, observed = np.full((len(values), *self.shape), VOID, np.uint8), np.zeros(len(values), bool)
        failed: list[tuple[int, str]] = []
        strange = resized = 0
        row = 0
        for start in range(0, len(values), BLOCK):
            for found in self._read(values.slice(start, BLOCK)):
                if isinstance(found, str):
                    failed.append((row, found))
                elif found is not None:
                    data[row], unknown = self._encoded(found.codes)
                    observed[row] = True
                    strange += unknown
                    resized += found.codes.shape != self.shape
                row += 1
        notes = []
        if failed:
            named = "; ".join(f"row {row}: {why}" for row, why in failed[:NAMED])
            notes.append(f"{self.name}: {len(failed):,} of {len(values):,} masks cannot be read ({named}), as missing")
        if strange:
            notes.append(f"{self.name}: {strange:,} masks hold values that training never saw; there is no class there")
        if resized:
            size = f"{self.shape[1]} x {self.shape[0]}"
            notes.append(f"{self.name}: {resized:,} of {len(values):,} masks resized to {size} pixels")
        return Encoded(data, observed, notes=notes)

    def _encoded(self, codes: np.ndarray) -> tuple[np.ndarray, bool]:
        """The mask (H, W), and whether it holds values that are neither a class nor void."""
        if codes.shape != self.shape:
            rows, columns = (
                np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(np.int64)
                for new, old in zip(self.shape, codes.shape, strict=True)
            )
            codes = codes[rows[:, None], columns]
        place = np.searchsorted(self.values, codes).clip(0, len(self.values) - 1)
        known = self.values[place] == codes
        return np.where(known, place, VOID).astype(np.uint8), bool((~known & (codes != self.void)).any())

    def _read(self, values: pl.Series) -> Iterable[Labels | str | None]:
        """Each row's mask, None where missing, or what is wrong with it, by threads, in order."""
        found = sources(values, self.folder)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for part in pool.map(_read_all, [found[i : i + TASK] for i in range(0, len(found), TASK)]):
                yield from part

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"classes": (N, H, W), "confidence": (N,)} as PNG files of the raw values, in their palette if any."""
        files = [written(self.values[codes], self.colours, self.palette) for codes in prediction["classes"]]
        confidence = pl.Series(f"{self.name}_confidence", prediction["confidence"], dtype=pl.Float32)
        return pl.DataFrame([pl.Series(self.name, files, dtype=pl.Binary), confidence])

    def state(self) -> dict[str, Any]:
        """Classes, size and palette."""
        return {
            "version": 1,
            "values": self.values.tolist(),
            "void": self.void,
            "colours": self.colours,
            "palette": self.palette,
            "shape": list(self.shape),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.values, self.void = np.array(state["values"], np.int64), int(state["void"])
        self.colours, self.palette = bool(state["colours"]), [int(value) for value in state["palette"]]
        height, width = state["shape"]
        self.shape = (int(height), int(width))
        self._ready()


def _read_all(block: list[Source | None]) -> list[Labels | str | None]:
    return [None if source is None else _read_one(source) for source in block]


def _read_one(source: Source) -> Labels | str:
    try:
        return read_labels(source)
    except READ_ERRORS as error:
        return f"{source!r}: {error}" if isinstance(source, str) else str(error) or type(error).__name__


def _some(values: list[int]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
