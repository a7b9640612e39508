"""A label for every word of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.category import Tally, in_natural_order, index_dtype
from ranvier.columns.sequence import REPEATING, as_lists, looked_at
from ranvier.columns.stream import present
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.spec import Encoded, Spec

FEW, SHARE = 50, 20  # labels, at most so many or one in so many words


class Tags(Column):
    """Lists of labels, or strings with spaces between them: one for each word of a column of words.

    Data are codes 0 .. size - 1 in natural order, ragged; the code `size` stands for a label not seen in training, or
    left out. rare: labels seen fewer times in training are treated as not seen.
    """

    def __init__(self, name: str, /, *, rare: int = 1) -> None:
        super().__init__(name)
        self.rare = rare
        self.labels: list[str] = []

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for lists of few different strings that repeat within a row; as an input, these are rather words."""
        repeating, distinct, total = looked_at(sample)
        if repeating <= REPEATING or distinct > max(FEW, total // SHARE):
            return 0.0, ""
        return 0.65, f"lists of {distinct:,} labels, {total / len(sample):.1f} a row"

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Counts the labels. Raises DataError when none is observed."""
        tally = Tally(self.name)
        for chunk in chunks:
            tally.add(_named, as_lists(chunk).explode().drop_nulls())
        self.labels = in_natural_order(tally.kept(self.rare, len(tally.merged())))
        self.notes = tally.left_out(self.name, self.labels)
        return self._ready()

    def _ready(self) -> Spec:
        self._enum = pl.Enum(self.labels)
        self.spec = Spec("tags", (None,), len(self.labels), "word", labels=tuple(self.labels))
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """(N,) ragged codes; a note tells of labels not seen in training."""
        lists = as_lists(values)
        lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = lists.filter(pl.Series(lengths > 0)).explode()
        codes = flat.cast(self._enum, strict=False).to_physical()
        unseen = flat.filter(codes.is_null() & (flat != ""))
        notes = []
        if len(unseen):
            told = ", ".join(map(repr, unseen.unique(maintain_order=True).head(3)))
            notes.append(f"{self.name}: {counted(len(unseen), 'label|labels')} not seen in training: {told}")
        data = codes.fill_null(len(self.labels)).to_numpy().astype(index_dtype(len(self.labels)))
        return Encoded(data, present(lists), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), None, notes)

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"tags", "confidence", "mask": (N, T)} as `name`, lists of labels, and `name_confidence`, of numbers."""
        mask = np.asarray(prediction["mask"], bool)
        lengths = mask.sum(1)
        names = pl.Series(self.labels, dtype=pl.String).gather(np.asarray(prediction["tags"])[mask].astype(np.int64))
        sure = pl.Series(np.asarray(prediction["confidence"], np.float32)[mask])
        flat = pl.DataFrame(
            {self.name: names, f"{self.name}_confidence": sure, "row": np.repeat(np.arange(len(mask)), lengths)}
        )
        every = pl.DataFrame({"row": np.arange(len(mask))}, schema={"row": pl.Int64})
        grouped = flat.with_columns(pl.col("row").cast(pl.Int64)).group_by("row").agg(pl.all())
        joined = every.join(grouped, on="row", how="left", maintain_order="left").drop("row")
        return joined.with_columns(
            pl.col(name).fill_null(pl.lit([], dtype=joined.schema[name])) for name in joined.columns
        )

    def state(self) -> dict[str, Any]:
        """The labels in order."""
        return {"version": 1, "labels": list(self.labels)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.labels = list(state["labels"])
        self._ready()


def _named(labels: pl.Series) -> pl.Series:
    """The labels, null for those left out."""
    return labels.set(labels == "", None)
