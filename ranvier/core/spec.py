"""What crosses the borders between columns, encoders and heads: `Spec`, `Field`, `Given`, `Encoded`. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

STEP = 0.01  # little beside numbers of unit variance


@dataclass(frozen=True)
class Field:
    """What lies where in the vector of a row: first its number, if it has one, then what says yes or no to something.

    cuts: of a number, ascending: between which its values may be told apart; None of a category. off, on: what each of
    the others is for no and for yes: one for each category, or, after a number, whether there is one. rows: of
    training, that it was learnt from. A category that none of them had is no to all. within: between which all numbers
    of training are. One that is d of their spans outside of all is STEP * (1 + log(1 + d)) outside of it; one that is
    missing as none of theirs was is STEP above it.
    """

    cuts: tuple[float, ...] | None
    off: tuple[float, ...] = ()
    on: tuple[float, ...] = ()
    rows: int = 0
    within: tuple[float, float] = (-5.0, 5.0)

    @property
    def width(self) -> int:
        """How many numbers of the vector are its own."""
        return (self.cuts is not None) + len(self.on)


@dataclass(frozen=True)
class Spec:
    """All that networks may know of a column.

    kind: what a row holds.
        scalar: float32 (2,), the scaled value and its rank in [0, 1] among the training rows;
        index: an integer in [0, size), where `size` itself stands for a value not seen in training;
        identity: an integer, in [0, size) for an identity of training, else a number of its own from `size` on;
        khot: uint8 (size + 1,), 0/1 for each label, and last how many labels the row has that training never saw;
        vector: float32 (shape[0],); tokens: integers (T,) in [0, size), ragged, or (T, 1 + L), a word and L bytes of
        its letters, each plus 1, 0 where there is none;
        tags: an integer (T,) in [0, size) for each word, ragged, `size` for a label not seen in training;
        span: an integer (2,), the first and past-last character of an answer in another column's text, -1 for none;
        pixels: uint8 (H, W, size);
        mask: uint8 (H, W), of each pixel one of `size` classes, 255 where it is not known, 254 of a class not
        seen in training;
        boxes: float32 (5,) for each thing, ragged: left, top, right, bottom, in shares of the picture, and its class,
        `size` for one not seen in training.
    shape: per row; None marks a ragged axis, padded only inside a batch.
    size: classes, vocabulary or channels.
    unit: what spans count (row, char, word, pixel, second); "time" for the vector that a date becomes, "field"
        for that of a row.
    threshold: for khot, the probability from which on a label counts as predicted.
    labels: for tags, their names, for some say which may follow which; for masks and boxes those of the classes.
    tokenizer: for tokens, a fingerprint of the tokenizer, where it was not learnt from the training rows.
    parts: the specs of columns that travel side by side as one matrix (see `Encoder.joins`); then `kind` is
        theirs, and data and observed gain an axis of len(parts) after the rows.
    fields: of the vector of a row, side by side in this order.
    """

    kind: str
    shape: tuple[int | None, ...] = ()
    size: int = 0
    unit: str = "row"
    parts: tuple[Spec, ...] = ()
    threshold: float = 0.5
    labels: tuple[str, ...] = ()
    tokenizer: str = ""
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Given:
    """What an encoder gives of an input beside its vector: the width of tokens, (channels, stride) of each map.

    tokens: 0 = none. maps: finest first. shape: of the input's column, () where it does not matter.
    """

    tokens: int = 0
    maps: tuple[tuple[int, int], ...] = ()
    shape: tuple[int | None, ...] = ()


@dataclass
class Encoded:
    """A column as compact arrays, in memory or memory-mapped.

    data: (N, ...) or, if ragged, (total, ...) with row i at offsets[i]:offsets[i + 1].
    observed: (N,) bool, False where the value is missing; (N, C) for joined columns.
    offsets: (N + 1,) int64, or None.
    spans: (total, 2) int32, each element's start and end in the raw value's own units, or None.
    notes: sentences for the user about values that were repaired or not recognised.
    """

    data: np.ndarray
    observed: np.ndarray
    offsets: np.ndarray | None = None
    spans: np.ndarray | None = None
    notes: list[str] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def bounds(self) -> np.ndarray:
        """The offsets (N + 1,) of a ragged column. Raises ValueError for another."""
        if self.offsets is None:
            raise ValueError("rows of this column are all of one shape: it has no offsets")
        return self.offsets

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        arrays = (self.data, self.observed, self.offsets, self.spans)
        return sum(a.nbytes for a in arrays if a is not None)

    def rows(self, index: np.ndarray) -> Encoded:
        """The given rows, in the given order (index: (M,) integers)."""
        index = np.asarray(index)
        if self.offsets is None:
            return Encoded(self.data[index], self.observed[index])
        starts, lengths = self.offsets[:-1][index], np.diff(self.offsets)[index]
        offsets = np.zeros(len(index) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        take = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        spans = None if self.spans is None else self.spans[take]
        return Encoded(self.data[take], self.observed[index], offsets, spans)

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Ragged rows as (N, T, ...), 0 after each row's elements, and the mask (N, T) of these. Raises ValueError."""
        lengths = np.diff(self.bounds)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        wide = np.zeros((*mask.shape, *self.data.shape[1:]), self.data.dtype)
        wide[mask] = self.data
        return wide, mask
