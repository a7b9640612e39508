"""Sets of labels: lists, or strings with separators ("a|b|c", "a, b", "a;b")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.category import Tally, as_labels, in_natural_order, spaces_told
from ranvier.columns.stream import join, present
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

SEPARATORS = ("|", ";", ",")
LIST = "[,]"  # a list written as text: ['a', 'b']
LOOKED_AT = 10_000  # observed training rows that decide on the separator


class Set(Column):
    """Any number of labels out of those known from the training rows.

    An empty set ([] or "") is not a missing one (null). Repeats within a row count once. Labels not seen in training
    are counted in a place of their own, after those of the labels.

    separator: between the labels of a string, "auto" = the one of | ; , that most training rows hold; "" = none,
    the string is one label; "[,]" = a list written as text. threshold: a label is predicted when its probability
    reaches it. rare: labels in fewer training rows are treated as not seen. most: at most so many labels, the
    most frequent.
    """

    def __init__(
        self, name: str, /, *, separator: str = "auto", threshold: float = 0.5, rare: int = 1, most: int = 5_000
    ) -> None:
        super().__init__(name)
        self.separator = separator
        self.threshold = threshold
        self.rare = rare
        self.most = most
        self.splits_at = ""
        self.labels: list[str] = []
        self.dtype = "String"
        self.notes: list[str] = []  # what learn had to leave out

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for lists of few distinct labels without repeats and for strings of such; low for lists of words."""
        if isinstance(sample.dtype, pl.List | pl.Array):
            inner = sample.dtype.inner
            if not (inner == pl.String or (inner is not None and inner.is_integer())):  # type: ignore[union-attr]
                return 0.0, ""
            return _score(_as_lists(sample, "").drop_nulls(), 0, "lists")
        if sample.dtype != pl.String:
            return 0.0, ""
        known = sample.drop_nulls()
        separator = find_separator(known)
        if not separator:
            return 0.0, ""
        mark = "]" if separator == LIST else separator
        holding = float(known.str.contains(mark, literal=True).mean() or 0.0)  # type: ignore[arg-type]
        form = "written lists" if separator == LIST else f"strings split at {separator!r}"
        score, reason = _score(_as_lists(known, separator), known.n_unique(), form)
        return (score if holding >= 0.2 else 0.5 * score), reason

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Counts the labels of each row. Raises DataError when no label is observed."""
        stream = iter(chunks)
        first: list[pl.Series] = []
        if self.separator == "auto":
            first = _until(stream, LOOKED_AT)
            strings = [chunk.drop_nulls() for chunk in first if chunk.dtype == pl.String]
            self.splits_at = find_separator(join(strings).head(LOOKED_AT)) if strings else ""
        else:
            self.splits_at = self.separator
        tally, inner = Tally(self.name), []
        for chunk in chain(first, stream):
            lists = _as_lists(chunk, self.splits_at)
            inner.append(lists.dtype.inner)  # type: ignore[attr-defined]
            tally.add(as_labels, lists.list.unique().explode().drop_nulls())
        known = [dtype for dtype in inner if dtype != pl.Null]
        self.dtype = "Int64" if known and all(dtype.is_integer() for dtype in known) else "String"
        self.labels = in_natural_order(tally.kept(self.rare, self.most))
        self.notes = tally.left_out(self.name, self.labels)
        if self.splits_at and self.separator == "auto":
            self.notes.append(f"{self.name}: strings are split at {self.splits_at!r}; set `separator` to change this")
        return self._ready()

    def _ready(self) -> Spec:
        self._enum = pl.Enum(self.labels)
        size = len(self.labels)
        self.spec = Spec("khot", (size + 1,), size, threshold=self.threshold)
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """(N, size + 1) uint8, 1 where the row has the label; last how many of its labels training never saw."""
        split = self._split(values)
        lists = _as_lists(values, split)
        observed = present(lists)
        lengths = lists.list.len().fill_null(0).to_numpy()
        rows = np.repeat(np.arange(len(lists)), lengths)
        each = lists.filter(pl.Series(lengths > 0)).explode()
        labels = as_labels(each)
        exact = (each if each.dtype == pl.String else labels).cast(self._enum, strict=False)
        codes = exact.fill_null(labels.cast(self._enum, strict=False)).to_physical()
        known = present(codes)
        data = np.zeros((len(lists), len(self.labels) + 1), np.uint8)
        data[rows[known], codes.drop_nulls().to_numpy()] = 1
        if not known.all():
            data[:, -1] = _unseen(labels, rows, ~known & present(labels), len(lists))
        notes = (
            [] if split == self.splits_at else [f"{self.name}: strings are split at {split!r}, as training had lists"]
        )
        notes += spaces_told(self.name, each, labels, exact)
        return Encoded(data, observed, notes=notes + self._notes(labels, rows, known))

    def _split(self, values: pl.Series) -> str:
        """What strings are split at: as in training, or where it had lists, as lists are written (`joint`)."""
        if self.splits_at or self.separator != "auto" or values.dtype != pl.String:
            return self.splits_at
        found = find_separator(values.filter(~values.is_in(self.labels)).drop_nulls())
        return found if found == LIST or not any(found in label for label in self.labels) else ""

    def _notes(self, labels: pl.Series, rows: np.ndarray, known: np.ndarray) -> list[str]:
        missing = ~present(labels)
        unseen = ~known & ~missing
        notes = []
        if unseen.any():
            # the note names rows of the column, not places in the flattened labels
            found = pl.DataFrame({"label": labels.filter(pl.Series(unseen)), "row": rows[unseen]})
            firsts = found.unique("label", keep="first", maintain_order=True).head(3)
            told = ", ".join(f"{label!r} (row {row_number(row)})" for label, row in firsts.iter_rows())
            notes.append(f"{self.name}: {counted(int(unseen.sum()), 'label|labels')} not seen in training: {told}")
        if missing.any():
            notes.append(
                f"{self.name}: {counted(int(missing.sum()), 'missing label|labels inside lists is|are')} left out"
            )
        return notes

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"probs": (N, size or more)} as `name`, lists of labels at or above the threshold, and `name_p_<label>`."""
        probs = np.asarray(prediction["probs"], np.float32)[:, : len(self.labels)]
        rows, codes = np.nonzero(probs >= self.threshold)
        names = pl.Series(self.labels, dtype=pl.String)
        flat = (names.cast(pl.Int64) if self.dtype == "Int64" else names).gather(codes)
        grouped = pl.DataFrame({"row": rows, "label": flat}).group_by("row").agg("label")
        every = pl.DataFrame({"row": np.arange(len(probs))})
        lists = every.join(grouped, on="row", how="left", maintain_order="left")["label"].fill_null(
            pl.Series([[]], dtype=pl.List(flat.dtype))
        )
        columns = [lists.alias(self.name)]
        columns += [pl.Series(f"{self.name}_p_{label}", probs[:, i]) for i, label in enumerate(self.labels)]
        return pl.DataFrame(columns)

    def state(self) -> dict[str, Any]:
        """The labels in order, the separator that was found, and the labels' raw type."""
        return {"version": 1, "labels": list(self.labels), "splits_at": self.splits_at, "dtype": self.dtype}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.labels, self.splits_at, self.dtype = list(state["labels"]), str(state["splits_at"]), str(state["dtype"])
        self._ready()


def find_separator(strings: pl.Series) -> str:
    """The separator that most of the strings (no nulls) hold, "" if none does; LIST for lists written as text."""
    if not len(strings):
        return ""
    if float(strings.str.contains(r"^\s*\[.*\]\s*$").mean()) >= 0.9:  # type: ignore[arg-type]
        return LIST
    holding = {separator: int(strings.str.contains(separator, literal=True).sum()) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: holding[separator])
    return best if holding[best] else ""


def joint(labels: Sequence[str], signs: Sequence[str] = SEPARATORS) -> str:
    """The first of | ; , that no label holds, so that labels joined with it come apart again; "" if there is none."""
    return next((sign for sign in signs if not any(sign in label for label in labels)), "")


def _unseen(labels: pl.Series, rows: np.ndarray, where: np.ndarray, size: int) -> np.ndarray:
    """(size,) how many different labels of each row the mask picks, at most 255."""
    picked = pl.DataFrame({"row": rows[where], "label": labels.filter(pl.Series(where))}).unique()
    return np.bincount(picked["row"].to_numpy(), minlength=size).clip(max=255)


def _until(stream: Iterator[pl.Series], rows: int) -> list[pl.Series]:
    """The first chunks, until they hold so many observed values."""
    taken: list[pl.Series] = []
    while rows > 0 and (chunk := next(stream, None)) is not None:
        taken.append(chunk)
        rows -= len(chunk) - chunk.null_count()
    return taken


def _as_lists(values: pl.Series, separator: str) -> pl.Series:
    """(N,) lists of labels; null where missing. Raises DataError for values that are neither lists nor plain."""
    if isinstance(values.dtype, pl.Array):
        return values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        return values
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise DataError(f"column {values.name!r}: expected lists of labels or strings, got {values.dtype}")
    strings = values.cast(pl.String)
    if separator == LIST:
        parts = strings.str.strip_chars(" \t[]").str.split(",")
    else:
        parts = strings.str.split(separator) if separator else strings.reshape((len(strings), 1)).arr.to_list()
    label = pl.element().str.strip_chars(" \t\n'\"" if separator == LIST else None)
    lists = parts.to_frame("labels").select(pl.col("labels").list.eval(label.filter(label != "")))["labels"]
    return lists.set(strings.is_null(), None).alias(values.name)


def _score(lists: pl.Series, distinct_rows: int, form: str) -> tuple[float, str]:
    """How well lists (no nulls) fit; `distinct_rows`: different strings they were split from, 0 for true lists."""
    lengths = lists.list.len()
    total = int(lengths.sum())
    if not total:
        return (0.3 if not distinct_rows else 0.0), "only empty lists"
    labels = lists.explode().drop_nulls().cast(pl.String)
    distinct = labels.n_unique()
    repeating = float((lists.list.n_unique() < lengths).mean() or 0.0)  # type: ignore[arg-type]
    reason = f"{form} of {distinct:,} distinct labels, {total / len(lists):.1f} a row"
    if repeating > 0.05:
        return 0.1, f"{reason}, but {repeating:.0%} of rows repeat one: rather a sequence"
    short = float(labels.str.len_chars().mean() or 0.0) <= 30  # type: ignore[arg-type]
    if not distinct_rows:
        return (0.9 if distinct <= max(10, total // 3) and short else 0.5), reason
    # labels that come in changing company are fewer than the strings that they make
    reused = distinct <= 0.7 * distinct_rows and distinct * 3 <= total
    return (0.97 if reused and short else 0.1), reason
