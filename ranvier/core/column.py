"""The protocol of a column type: raw values to arrays and back. No torch here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import polars as pl

from ranvier.core.spec import Encoded, Spec


class Column(ABC):
    """A typed field: recognises raw values, learns from training rows, encodes to arrays, decodes back.

    A concrete column is `Type(name, *, <options>)`; the keyword-only options are its schema. Its methods see
    no other column. `learn` is called once, with training rows only; then `encode` may be called on any rows.
    carries: the options that decide what it learns, which one that takes over its state takes over too; none where a
    state is not to be taken over. only_target: nothing reads it as an input.
    """

    carries: ClassVar[tuple[str, ...]] = ()
    only_target: ClassVar[bool] = False

    def __init__(self, name: str, /) -> None:
        self.name = name
        self.spec: Spec | None = None  # set by learn and load_state
        self.notes: list[str] = []  # what learn had to repair or leave out, for the user
        self.raw = ""  # the polars type of the training rows; kept by the model, for reading later rows alike

    @classmethod
    @abstractmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """How well this type fits the values: a score from 0 to 1, and the reason in a few words."""

    @abstractmethod
    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """Learns the column's state from the training rows, given in chunks. Raises DataError if it cannot."""

    @abstractmethod
    def encode(self, values: pl.Series) -> Encoded:
        """Raw values (N) as arrays; never fails on a missing or unseen value, and says so in `notes`."""

    def settled(self, values: pl.Series) -> tuple[pl.Series, list[str]]:
        """All values (N) of a call, with what only they together tell read, and what is to be told of that.

        For rows are encoded in pieces, and no piece may be read otherwise than another. Gives the values themselves
        where there is nothing to read: always, unless they are texts, and of all if and only if of each piece.
        """
        return values, []

    @abstractmethod
    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """What a head predicted, (N, ...) arrays by name, as columns whose names start with this column's."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learnt, as JSON values and numpy arrays; `load_state` inverts it."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave, without having seen the training rows."""
