"""Masks: of each pixel of a picture what it shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import polars as pl

from ranvier.columns.labels import Labels, nearest, read_labels, written
from ranvier.columns.pixels import READ_ERRORS, Source, check_size, common_size, innermost, sources, why
from ranvier.columns.recognise import spread
from ranvier.core.column import Column
from ranvier.core.counts import agreed, counted
from ranvier.core.errors import DataError
from ranvier.core.room import let_go, room
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

VOID = 255  # the code of a pixel of which nothing is known
UNSEEN = 254  # that of a value that training never saw
MOST = 200  # classes
HIGHEST = 65_535  # the largest value of a class, as PNG files hold it
LAST, FEW = 63, 32  # the largest number of a class that is recognised as one, and how many there may be
BLACK_AND_WHITE = {0, 255}
GLANCES = (16, 128)  # masks looked at to recognise a column: more where the first show one class only
GOOD = 0.5  # of those that are looked at more than this can be read
LEAST = 4  # pixels of a side of what is recognised as a mask
FLAT = 0.8  # of the pixels that have the same class as their neighbour, at least, in what is recognised as a mask
LIKE_MASKS = (
    "holds JPEG files as flat as masks, taken for pictures to be made; if they are masks, write them as PNG, since "
    "JPEG changes the values of classes"
)
BLURRED = 0.7  # of them, in a mask that JPEG has changed about the edges
BAND = 2**20  # pixels of a mask that are compared at once
BLOCK, TASK, NAMED = 256, 16, 3  # rows looked at together; by a thread; unreadable ones named in a note
Found = TypeVar("Found")


@dataclass(frozen=True)
class Glance:
    """What is learnt of one mask: its values in ascending order and its size; palette: RGB values or none; lossy: as of
    `Labels`; flat: the share of pixels with the same value as their neighbour."""

    values: np.ndarray
    size: tuple[int, int]
    colours: bool
    palette: list[int]
    lossy: bool
    flat: float


@dataclass(frozen=True)
class Fitted:
    """One mask as it is encoded. strange: it holds values that are neither a class nor void; resized: its size did."""

    codes: np.ndarray
    strange: bool
    resized: bool


class Mask(Column):
    """The class of each pixel, uint8 (H, W), of masks that all get one size; 255 where it is not known.

    Raw values are encoded pictures (bytes; PNG or another that loses nothing), paths of such files, arrays of whole
    numbers (H, W), or structs with a field `bytes` or `path`. Every grey value, place in a palette, or colour is a
    class, in ascending order.

    labels: names of the classes, for figures; [] = the values themselves. Where there is a label for each number from 0
    to the largest value, a value has the label of its place, and all labels are classes, seen or not; else one label
    for each class, in ascending order. void: the value of pixels of which nothing is known, -1 = there is none; "auto"
    is 255 where the others, at least two, are all below 64.
    size, folder: as of pictures (`Image`), so that a mask has its picture's size; each pixel is the nearest one's.
    A mask that cannot be read, or has over 100 megapixels, is missing, and a note counts and names it.
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
        if not (values.dtype in (pl.Binary, pl.String) or isinstance(values.dtype, pl.Struct) or _grids(values.dtype)):
            return 0.0, ""
        for glances in GLANCES:
            seen = _glanced(spread(values, glances))
            classes = seen if seen == BLACK_AND_WHITE else seen - {VOID}
            if len(classes) != 1:
                break
        if not 2 <= len(classes) <= FEW or min(classes) < 0 or (max(classes) > LAST and classes != BLACK_AND_WHITE):
            return 0.0, ""
        return 0.99, f"pictures of class numbers, up to {max(classes)}"

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Classes and size of all training masks.

        Raises DataError if none can be read, for over 200 values, values that are no class, and labels that do not fit.
        """
        seen: set[int] = set()
        sizes: list[tuple[int, int]] = []
        colours, lossy, failure = False, 0, "all values are missing"
        for chunk in chunks:
            for found in self._read(chunk, _glance):
                if isinstance(found, str):
                    failure = found
                elif found is not None:
                    seen.update(found.values.tolist())
                    sizes.append(found.size)
                    colours |= found.colours
                    lossy += found.lossy
                    self.palette = self.palette or found.palette
                if len(seen) > MOST + 1:
                    raise DataError(
                        f"column {self.name!r}: masks of over {MOST} different values; if they are pictures, say so: "
                        f"types={{{self.name!r}: 'image'}}; a format that loses detail, such as JPEG, holds no masks"
                    )
        if not sizes:
            raise DataError(f"column {self.name!r}: no mask can be read from the training rows ({failure})")
        if lossy:
            self.notes.append(
                f"{self.name}: {lossy:,} of {len(sizes):,} masks {agreed(lossy, 'is|are')} in JPEG, "
                "which changes values at the edges of "
                f"classes, so that some of the {len(seen)} values found may be no class; write masks as PNG"
            )
        self.void = self._void(seen) if self.void == "auto" else self.void
        self.values, self.colours = np.array(self._classes(seen, colours), np.int64), colours
        self.shape = common_size(np.array(sizes), self.size)
        return self._ready()

    def _void(self, seen: set[int]) -> int:
        if min(seen) < 0:
            raise DataError(
                f"column {self.name!r}: masks hold the value {min(seen)}, which is no class; if nothing is known "
                f"there, say so: void={min(seen)}"
            )
        others = seen - {VOID}
        return VOID if VOID in seen and len(others) > 1 and max(others) <= LAST else -1

    def _classes(self, seen: set[int], colours: bool) -> list[int]:
        """The values that are classes. Raises DataError for values that are none, and labels that do not fit."""
        known = sorted(seen - {self.void})
        if len(self.asked) > MOST:
            raise DataError(f"column {self.name!r}: {len(self.asked)} labels; there may be {MOST} classes")
        if not known:
            raise DataError(f"column {self.name!r}: masks hold no class, only {self.void}, where nothing is known")
        if not colours and (known[0] < 0 or known[-1] > HIGHEST):
            wrong = known[0] if known[0] < 0 else known[-1]
            raise DataError(f"column {self.name!r}: masks hold the value {wrong}; classes are 0 to {HIGHEST:,}")
        if not colours and known[-1] < len(self.asked):
            return [value for value in range(len(self.asked)) if value != self.void]
        if self.asked and len(self.asked) != len(known):
            raise DataError(
                f"column {self.name!r}: {len(self.asked)} labels for masks of {len(known)} classes, the values "
                f"{_some(known)}; give a label for each, in this order, or for each number from 0, or say which value "
                f"is none by void"
            )
        return known

    def _ready(self) -> Spec:
        own = [f"#{value:06x}" if self.colours else str(value) for value in self.values.tolist()]
        by_value = not self.colours and int(self.values[-1]) < len(self.asked)
        self.labels = [self.asked[value] for value in self.values] if by_value else self.asked or own
        self.spec = Spec("mask", self.shape, len(own), "pixel", labels=tuple(self.labels))
        return self.spec

    def nbytes(self, rows: int) -> int:
        """The memory that so many encoded rows take."""
        return rows * (self.shape[0] * self.shape[1] + 1)

    def encode(self, values: pl.Series) -> Encoded:
        """uint8 (N, H, W), 255 for void, 254 for values that training never saw, which are told.

        On disk where memory has no room for them (see `core/room.py`).
        """
        data, notes = room((len(values), *self.shape), np.uint8, f"{self.name}: the masks")
        observed = np.zeros(len(values), bool)
        failed: list[tuple[int, str]] = []
        strange = resized = 0
        for row, found in enumerate(self._read(values, self._fitted)):
            data[row] = found.codes if isinstance(found, Fitted) else VOID
            if isinstance(found, str):
                failed.append((row, found))
            elif found is not None:
                observed[row] = True
                strange += found.strange
                resized += found.resized
            if row % BLOCK == 0:
                let_go(data)
        let_go(data)
        if failed:
            named = "; ".join(f"row {row_number(row)}: {why}" for row, why in failed[:NAMED])
            notes.append(f"{self.name}: {len(failed):,} of {len(values):,} masks cannot be read ({named}), as missing")
        if strange:
            notes.append(f"{self.name}: {counted(strange, 'mask|masks holds|hold')} values that training never saw")
        if resized:
            size = f"{self.shape[1]} x {self.shape[0]}"
            notes.append(f"{self.name}: {resized:,} of {len(values):,} masks resized to {size} pixels")
        return Encoded(data, observed, notes=notes)

    def _fitted(self, found: Labels) -> Fitted:
        codes = found.codes
        resized = codes.shape != self.shape
        if resized:
            codes = nearest(codes, self.shape)
        place = np.searchsorted(self.values, codes).clip(0, len(self.values) - 1)
        known = self.values[place] == codes
        strange = ~known & (codes != self.void)
        return Fitted(
            np.where(known, place, np.where(strange, UNSEEN, VOID)).astype(np.uint8), bool(strange.any()), resized
        )

    def _read(self, values: pl.Series, take: Callable[[Labels], Found]) -> Iterator[Found | str | None]:
        """What is taken of each row's mask, None where missing, or what is wrong with it, by threads, in order.

        No more than a mask a thread is held as it was read.
        """

        def taken(block: list[Source | None]) -> list[Found | str | None]:
            return [None if source is None else _taken(source, take) for source in block]

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(values), BLOCK):
                found = sources(values.slice(start, BLOCK), self.folder)
                for part in pool.map(taken, [found[i : i + TASK] for i in range(0, len(found), TASK)]):
                    yield from part

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"classes": (N, H, W), "confidence": (N,)} as PNG files of the raw values, in their palette if any.

        Each of the width and height in "size" (N, 2), where it is told; it is not a number where nobody knows.
        """
        classes = prediction["classes"]
        sizes = prediction.get("size", np.full((len(classes), 2), np.nan))
        files = []
        for codes, (width, height) in zip(classes, sizes, strict=True):
            grown = codes if np.isnan(width) else nearest(codes, (int(height), int(width)))
            files.append(written(self.values[grown], self.colours, self.palette))
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
        check_size(*self.shape)
        self._ready()


def _taken(source: Source, take: Callable[[Labels], Found]) -> Found | str:
    try:
        return take(read_labels(source))
    except READ_ERRORS as error:
        return why(source, error)


def _glance(found: Labels) -> Glance:
    height, width = found.codes.shape
    values = _values(found.codes)
    return Glance(values, (height, width), found.colours, found.palette, found.lossy, _flat(found.codes))


def _bands(codes: np.ndarray) -> list[np.ndarray]:
    """A mask cut across: what is made of the pixels of one as large as may be would else be several times its size."""
    return np.array_split(codes, -(-codes.size // BAND))


def _values(codes: np.ndarray) -> np.ndarray:
    """The values of a mask in ascending order."""
    return np.unique(np.concatenate([np.unique(band) for band in _bands(codes)]))


def _flat(codes: np.ndarray) -> float:
    """The share of pixels with the value of their neighbour; 0 of a single column."""
    alike = sum(int((band[:, 1:] == band[:, :-1]).sum()) for band in _bands(codes))
    return alike / max(1, codes[:, 1:].size)


def blurred(values: pl.Series) -> bool:
    """Whether most of these pictures are JPEG files as flat as masks, whose values their form has changed."""
    seen = []
    for source in sources(spread(values.drop_nulls(), GLANCES[0]), ""):
        try:
            seen += [] if source is None else [_glance(read_labels(source))]
        except READ_ERRORS:
            continue
    return bool(seen) and sum(one.lossy and one.flat >= BLURRED for one in seen) > GOOD * len(seen)


def _grids(dtype: Any) -> bool:
    """Whether values of this type may be whole numbers (H, W)."""
    inner = innermost(dtype)
    return isinstance(dtype, pl.Array | pl.List) and (inner.is_integer() or inner == pl.Boolean)


def _glanced(values: pl.Series) -> set[int]:
    """The values of these masks; none unless most can be read, and all of those are flat and without colours."""
    seen: set[int] = set()
    flat = []
    for source in sources(values, ""):
        try:
            found = None if source is None else read_labels(source)
        except READ_ERRORS:
            continue
        if found is None:
            continue
        if found.colours or min(found.codes.shape) < LEAST:
            return set()
        seen.update(_values(found.codes).tolist())
        flat.append(_flat(found.codes))
    return seen if len(flat) > GOOD * len(values) and np.mean(flat) >= FLAT else set()


def _some(values: list[int]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
