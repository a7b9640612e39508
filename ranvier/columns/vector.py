"""Vectors: lists of numbers, all of one length (embeddings, measurements that belong together)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.stream import blocks
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

BLOCK = 16_384  # rows looked at together: bounds memory, and makes sums independent of the chunks given
FINITE = float(np.finfo(np.float32).max)
NOTHING = ["nan", "null", "none", "na"]  # for an element that lacks, in lists written as text
WRITTEN = r"^\s*[\[(]\s*[-+]?[\d.][-+\d.eE,;\s]*[\])]\s*$"
EDGE = 1e6  # scaled elements beyond it could overflow in a network


class Vector(Column):
    """A list or array of F numbers in every row.

    standardise: each element is centred and scaled to unit variance over the training rows (a constant one is
    only centred). An element that is null, NaN, infinite or beyond float32 is encoded as the mean (0 when
    standardised) and noted; a row without any finite element is missing.
    """

    def __init__(self, name: str, /, *, standardise: bool = True) -> None:
        super().__init__(name)
        self.standardise = standardise
        self.mean = np.zeros(0, np.float64)
        self.scale = np.zeros(0, np.float64)

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for lists of numbers of one length greater than 1."""
        dtype = sample.dtype
        if dtype == pl.String:
            return _recognise_written(sample.drop_nulls())
        if not isinstance(dtype, pl.List | pl.Array) or dtype.inner is None or not dtype.inner.is_numeric():  # type: ignore[attr-defined]
            return 0.0, ""
        lengths = _as_lists(sample.drop_nulls()).list.len()
        if not len(lengths):
            return 0.2, "all values are missing"
        width = int(lengths[0])
        if lengths.n_unique() > 1 or width == 0:
            shortest, longest = np.quantile(lengths.to_numpy(), [0, 1]).astype(int)
            return 0.05, f"lists of {shortest} to {longest} numbers, not of one length"
        return 0.9, f"lists of {width} numbers"

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Means and scales in one pass (Chan, Golub & LeVeque 1983). Raises DataError for rows of unequal length."""
        row, width = 0, 0
        count = mean = square = np.zeros(0, np.float64)
        for block in blocks(chunks, BLOCK):
            lists = _as_lists(block)
            if not width:
                width = self._first_length(lists)
                count, mean, square = (np.zeros(width, np.float64) for _ in range(3))
            if width:
                count, mean, square = _combine(count, mean, square, self._matrix(lists, width, row))
            row += len(block)
        if not width or not count.any():
            raise DataError(f"column {self.name!r} has no observed vector in the training rows; set its role to ignore")
        deviation = np.sqrt(square / np.maximum(count, 1))
        # below float32's own rounding a spread is noise, not a signal to be blown up to unit variance
        constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
        self.mean = mean if self.standardise else np.zeros(width)
        self.scale = np.where(constant, 1.0, deviation) if self.standardise else np.ones(width)
        return self._ready()

    def _ready(self) -> Spec:
        self.spec = Spec("vector", (len(self.mean),))
        return self.spec

    def _first_length(self, lists: pl.Series) -> int:
        lengths = lists.list.len().drop_nulls()
        lengths = lengths.filter(lengths > 0)
        return int(lengths[0]) if len(lengths) else 0

    def _matrix(self, lists: pl.Series, width: int, first_row: int = 0) -> np.ndarray:
        """(N, F) float64, NaN where an element is missing or not finite. Raises DataError for a wrong length."""
        lengths = lists.list.len()
        present = lengths.fill_null(0).to_numpy() > 0
        wrong = np.flatnonzero(present & (lengths.fill_null(width).to_numpy() != width))
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"column {self.name!r}, row {row_number(first_row + row)}: expected a vector of {width} numbers, got "
                f"{lengths[row]} ({len(wrong):,} such rows); pad or drop them, or set the column's role to ignore"
            )
        matrix = np.full((len(lists), width), np.nan)
        flat = lists.filter(pl.Series(present)).explode().cast(pl.Float64).to_numpy()
        matrix[present] = flat.reshape(-1, width)
        matrix[~(np.abs(matrix) <= FINITE)] = np.nan
        return matrix

    def encode(self, values: pl.Series) -> Encoded:
        """(N, F) float32. Raises DataError for a row of another length."""
        width = len(self.mean)
        data, observed = np.zeros((len(values), width), np.float32), np.zeros(len(values), bool)
        repaired = beyond = 0
        for start in range(0, len(values), BLOCK):
            matrix = self._matrix(_as_lists(values.slice(start, BLOCK)), width, start)
            finite = np.isfinite(matrix)
            seen = finite.any(1)
            repaired += int((~finite[seen]).any(1).sum())
            filled = np.where(finite, (matrix - self.mean) / self.scale, 0.0)
            beyond += int((np.abs(filled) > EDGE).any(1).sum())
            data[start : start + BLOCK], observed[start : start + BLOCK] = filled.clip(-EDGE, EDGE), seen
        notes = []
        if repaired:
            notes.append(
                f"{self.name}: {counted(repaired, 'vector|vectors has|have')} missing or infinite "
                "elements, taken as the mean"
            )
        if beyond:
            notes.append(
                f"{self.name}: {counted(beyond, 'vector|vectors has|have')} elements more than "
                f"{EDGE:,.0f} spreads away, moved to there"
            )
        return Encoded(data, observed, notes=notes)

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"value": (N, F)} as one column `name` of arrays of F numbers in raw units."""
        raw = np.asarray(prediction["value"], np.float64) * self.scale + self.mean
        return pl.DataFrame([pl.Series(self.name, raw, dtype=pl.Array(pl.Float64, len(self.mean)))])

    def state(self) -> dict[str, Any]:
        """Mean and scale of each element."""
        return {"version": 1, "mean": self.mean, "scale": self.scale}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.mean, self.scale = (np.asarray(state[key], np.float64) for key in ("mean", "scale"))
        self._ready()


def _recognise_written(texts: pl.Series) -> tuple[float, str]:
    """High for lists of numbers with decimals in brackets, all of one length greater than 1."""
    if not len(texts) or not texts.str.contains(WRITTEN).all() or not texts.str.contains(".", literal=True).any():
        return 0.0, ""
    words = texts.str.extract_all(r"[^\s,;\[\]()]+")
    lengths = words.list.len()
    if lengths.n_unique() > 1 or lengths[0] < 2 or words.explode().cast(pl.Float64, strict=False).null_count():
        return 0.0, ""
    return 0.98, f"lists of {lengths[0]} numbers, written as text"


def _as_lists(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Array):
        return values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        return values
    if values.null_count() == len(values):
        return pl.Series(values.name, [None] * len(values), dtype=pl.List(pl.Float64))
    if values.dtype == pl.String:
        return _written(values)
    row = int(values.is_not_null().arg_true()[0])
    raise DataError(
        f"column {values.name!r}, row {row_number(row)}: expected a list of numbers, got {values[row]!r:.60} "
        f"({values.dtype}); give lists, arrays, or texts such as '[0.5, 2]'"
    )


def _written(texts: pl.Series) -> pl.Series:
    """Lists written as text, [0.5, 2] or as numpy prints them, [0.5 2.]. Raises DataError naming what is no number."""
    words = texts.str.extract_all(r"[^\s,;\[\]()]+")
    lists = words.list.eval(pl.element().str.to_lowercase().replace(NOTHING, None).cast(pl.Float64, strict=False))
    asked = words.list.eval(pl.element().str.to_lowercase().is_in(NOTHING).not_()).list.sum()
    odd = (asked != lists.list.drop_nulls().list.len()).fill_null(False).arg_true()
    if len(odd):
        row = int(odd[0])
        raise DataError(
            f"column {texts.name!r}, row {row_number(row)}: expected a list of numbers such as '[0.5, 2]', "
            f"got {texts[row]!r:.60}"
        )
    return lists


def _combine(count: np.ndarray, mean: np.ndarray, square: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, ...]:
    """Count, mean and sum of squared deviations (F,) after adding the finite elements of a matrix (N, F)."""
    finite = np.isfinite(matrix)
    added = finite.sum(0).astype(np.float64)
    total = np.maximum(count + added, 1)
    some = np.maximum(added, 1)
    new_mean = np.where(finite, matrix, 0.0).sum(0) / some
    new_square = np.where(finite, (matrix - new_mean) ** 2, 0.0).sum(0)
    delta = new_mean - mean
    return count + added, mean + delta * added / total, square + new_square + delta**2 * count * added / total
