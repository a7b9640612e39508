"""Streams of chunks as blocks of a fixed size, so that what is learnt does not depend on the chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl


def blocks(chunks: Iterable[pl.Series], rows: int) -> Iterator[pl.Series]:
    """The same values in blocks of exactly `rows` (the last may be shorter), however they were chunked."""
    waiting: list[pl.Series] = []
    held = 0
    for chunk in chunks:
        waiting.append(chunk)
        held += len(chunk)
        if held < rows:
            continue
        whole = join(waiting)
        for start in range(0, held - rows + 1, rows):
            yield whole.slice(start, rows)
        rest = whole.slice(held - held % rows)
        waiting, held = [rest], len(rest)
    if held:
        yield join(waiting)


def join(chunks: list[pl.Series]) -> pl.Series:
    """Series one after another, in the type that holds them all."""
    if len(chunks) == 1:
        return chunks[0]
    frames = [chunk.alias("value").to_frame() for chunk in chunks]
    return pl.concat(frames, how="vertical_relaxed")["value"].alias(chunks[0].name)


def present(values: pl.Series) -> np.ndarray:
    """(N,) bool, False where null; quick for the one row of a live request."""
    return values.is_not_null().to_numpy() if values.null_count() else np.ones(len(values), bool)
