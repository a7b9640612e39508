"""Identities: faces, products, signatures; a category of which new values are to be expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl

from ranvier.columns.category import Category, as_labels
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.core.spec import Encoded, Spec

BITS = 62  # of the number of an identity that training never saw


class Identity(Column):
    """Who or what a row shows: a category whose classes are open. Only where it is asked for, and as a target.

    Codes of those seen in training are 0 .. size - 1, in natural order; one that was not has a number from `size` on
    that follows from its value alone, so that any two rows can be compared. Missing values are as of a category.
    rare: identities seen in fewer training rows are taken for not seen.
    """

    only_target = True

    def __init__(self, name: str, /, *, rare: int = 1) -> None:
        super().__init__(name)
        self._seen = Category(name, rare=rare)

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """Never by itself: a category of few classes looks the same."""
        return 0.0, ""

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Counts the values, as a category does. Raises DataError when none is observed."""
        self._seen.learn(chunks)
        self.notes = self._seen.notes
        return self._ready()

    def _ready(self) -> Spec:
        self.spec = Spec("identity", (), len(self._seen.labels))
        return self.spec

    @property
    def names(self) -> list[str]:
        """(size,) the identities seen in training."""
        return list(self._seen.labels)

    @property
    def texts(self) -> bool:
        """Whether the names are texts, as those of training were: then all names are."""
        return self._seen.dtype == "String"

    def encode(self, values: pl.Series) -> Encoded:
        """(N,) int64 codes; those not seen in training are no cause for notes."""
        known = self._seen.encode(values)
        data = known.data.astype(np.int64)
        new = known.observed & (data == len(self._seen.labels))
        if new.any():
            labels = as_labels(values).filter(pl.Series(new)).to_list()
            number = {label: _number(label) for label in dict.fromkeys(labels)}
            data[new] += [number[label] for label in labels]
        return Encoded(data, known.observed, notes=[note for note in known.notes if "not seen" not in note])

    def label(self, name: Any) -> str:
        """The name of an identity as text, such as a gallery has it. Raises DataError for none, or one of another type.

        What training held decides the type: of numbers "7" is 7.
        """
        label = as_labels(pl.Series(self.name, [name]))[0]
        if label is None:
            raise DataError(f"{name!r} is no name of an identity")
        self.values([label])
        return str(label)

    def as_names(self, values: pl.Series) -> pl.Series:
        """The names of identities (N,) as text; null where missing."""
        return as_labels(values)

    def values(self, labels: list[str | None]) -> pl.Series:
        """Names (N,) in the raw type, null for none. Raises DataError for one that is not of it."""
        texts = pl.Series(self.name, labels, dtype=pl.String)
        if self.texts:
            return texts
        if self._seen.dtype == "Boolean":
            raw = texts.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
        else:
            raw = texts.cast(getattr(pl, self._seen.dtype), strict=False)
        if raw.null_count() > texts.null_count():
            wrong = texts.filter(raw.is_null() & texts.is_not_null())[0]
            raise DataError(f"identities of {self.name!r} are {self._seen.dtype} values, and {wrong!r} is none")
        return raw

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"name": (N,) texts or None, "similarity": (N,)} as `name` in the raw type, and `name_similarity`."""
        similarity = np.asarray(prediction["similarity"], np.float32)
        return pl.DataFrame(
            [self.values(list(prediction["name"])), pl.Series(f"{self.name}_similarity", similarity)],
        )

    def state(self) -> dict[str, Any]:
        """The identities in order and the raw type."""
        return self._seen.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self._seen.load_state(state)
        self._ready()


def too_few(counts: np.ndarray, rows: int) -> str:
    """Why nothing can be learnt of identities of so many rows each (K,), among all rows; "" if it can."""
    if len(counts) < 2:
        named = "no identity" if not len(counts) else "1 identity"
        return f"{named} in {rows:,} rows; two are needed to tell them apart"
    if int(counts.max()) < 2:
        return (
            f"all {len(counts):,} identities have a single row each, so that nothing is known of how rows of one "
            "differ; give several rows of some (a column that numbers the rows is no identity)"
        )
    return ""


def _number(label: str) -> int:
    """A number below 2^62 that follows from the text alone, in every process."""
    return int.from_bytes(blake2b(label.encode(), digest_size=8).digest()) >> (64 - BITS)
