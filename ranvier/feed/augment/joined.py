"""Augmentation of columns that travel as one matrix, each column as it was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ranvier.core.protocols import Augment, Value


class Joined(Augment):
    """Varies some columns of a joined value (B, C, ...) and leaves the others.

    parts: for columns that are varied alike, their places among the C and what varies them, given their values
    (B, places, ...) as one. They take turns with one generator. What the value says of missing rows stays.
    """

    def __init__(self, parts: Sequence[tuple[list[int], Augment]]) -> None:
        self.parts = [(torch.tensor(places), augment) for places, augment in parts]

    def __call__(self, value: Value, generator: torch.Generator) -> Value:
        """The value with those columns varied."""
        data, observed = value.data, value.observed
        for number, (places, augment) in enumerate(self.parts):
            at = places.to(data.device)
            self.parts[number] = (at, augment)
            some = Value(data.index_select(1, at), None, None if observed is None else observed.index_select(1, at))
            data = data.index_copy(1, at, augment(some, generator).data)
        return replace(value, data=data)
