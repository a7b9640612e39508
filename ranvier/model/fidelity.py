"""How near drawn rows are to true ones, by the vectors that a model makes of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from ranvier.core.errors import DataError, PlanError
from ranvier.core.unknown import strict
from ranvier.data.read import read
from ranvier.data.table import Table
from ranvier.data.together import ROW
from ranvier.model.frames import tell
from ranvier.model.model import Model, load
from ranvier.model.scripted import Scripted, pictures
from ranvier.ops.fidelity import frechet_distance, precision_recall

SIDES = ("true", "drawn")
NEIGHBOURS = 3  # as in the paper on precision and recall
MODEL = ".rv"


@strict
def fidelity(true: Any, drawn: Any, by: Model | str | os.PathLike[str]) -> dict[str, float | str]:
    """How near drawn rows are to true ones: {"fid", "precision", "recall", "features"}.

    true, drawn: whatever `predict` takes, with the columns that `by` reads. by: a model, or its file (.rv), best one
    that tells classes of such rows apart; the vectors that it makes of them (`embed`) are the features. Or any other
    file: a TorchScript network such as Inception v3, which is a program, to be trusted before it is used. It takes
    float32 RGB pictures (N, 3, 299, 299) from 0 to 1, into which the only column of pictures is brought, and gives (N,
    D), of Inception 2,048 numbers (`model.scripted`). "features" names what has judged. fid: the Fréchet distance of
    these (0 for alike, lower is better), which compares only with others by the same network and as many rows.
    precision, recall: by the 3 nearest neighbours. Sources and formulas: `ops.fidelity`. What was repaired in the rows
    is told in one RanvierWarning. Raises DataError for a column that is not there, or too few rows; FileError for a
    file that is none of these; PlanError if `by` is no model, makes no vectors, or does not read what is drawn.
    """
    if isinstance(by, str | os.PathLike):
        path = Path(by)
        by = load(path) if path.suffix == MODEL else Scripted(path)  # type: ignore[assignment]
    if isinstance(by, Scripted):
        judge, notes = by.name, list[str]()
        sides = _scripted([read(true), read(drawn)], by, notes)
        tell(notes)
    elif isinstance(by, Model):
        _check_looks(by, read(drawn).frame)
        judge, sides = repr(by), [torch.from_numpy(by.embed(rows)) for rows in (true, drawn)]
    else:
        raise PlanError(
            f"fidelity: by must be a model that reads these rows, or the path of one, got {type(by).__name__}"
        )
    for name, vectors in zip(SIDES, sides, strict=True):
        _check(vectors, name)
    precision, recall = precision_recall(sides[0], sides[1], NEIGHBOURS)
    return {
        "fid": frechet_distance(sides[0], sides[1]),
        "precision": precision,
        "recall": recall,
        "features": f"vectors of {judge}",
    }


def _check_looks(by: Model, drawn: pl.DataFrame) -> None:
    """Raises PlanError for a model that reads none of the pictures or vectors, or not what it draws itself."""
    encodes = by.networks[0].task.encoding  # whose vectors are made of the truth
    used = [*by.plan.inputs, *([encodes[0]] if encodes else [])]
    reads = {field for name in used for field in _fields(by, name)}
    own = {field for name, head in by.plan.heads().items() if head.draws for field in _fields(by, name)}
    unseen = sorted(own - reads)
    if not unseen and reads <= {*drawn.columns}:  # what lacks is told by the model itself
        large = [name for name, dtype in drawn.schema.items() if _large(dtype)]
        unseen = [] if reads & {*large} else large
    if unseen:
        raise PlanError(
            f"fidelity: {by!r} does not read {unseen[0]!r}, and its figures would be the same for any draws of it: by "
            f"must be a model with {unseen[0]!r} among its inputs, such as one that tells classes of it apart; if that "
            "column was given and not drawn, leave it out of the rows"
        )


def _large(dtype: pl.DataType) -> bool:
    """Whether a column holds pictures or vectors."""
    inner: Any = dtype
    while isinstance(inner, pl.List | pl.Array):
        inner = inner.inner
    return dtype in (pl.Binary, pl.Object) or (dtype.is_nested() and inner.is_numeric())


def _fields(by: Model, name: str) -> Sequence[str]:
    """The columns of the table that a column of the plan is made of."""
    return by.plan.data.together if name == ROW and by.plan.data.together else [name]


def _scripted(tables: Sequence[Table], by: Scripted, notes: list[str]) -> list[Tensor]:
    """Both sides' vectors (N, D); refused for too few rows as soon as their width is known."""
    sides: list[Tensor] = []
    for table, (column, values), name in zip(tables, pictures([t.frame for t in tables]), SIDES, strict=True):
        told, found = list(table.notes), list[Tensor]()
        for vectors in by(column, values, told):
            if not sides and not found:
                for each, side in zip(tables, SIDES, strict=True):
                    _check_count(each.frame.height, vectors.shape[1], side)
            found.append(vectors)
        notes += [f"{name} rows: {note}" for note in told]
        sides.append(torch.cat(found))
    return sides


def _check(vectors: Tensor, name: str) -> None:
    """Raises DataError for vectors (N, D) that are no numbers, or too few."""
    if not vectors.isfinite().all():
        raise DataError(f"fidelity: the vectors of {name} rows are not all finite numbers")
    _check_count(len(vectors), vectors.shape[1], name)


def _check_count(count: int, width: int, name: str) -> None:
    """Raises DataError for no more rows than numbers in their vectors, of which a covariance tells nothing."""
    needed = max(width, NEIGHBOURS) + 1
    if count < needed:
        raise DataError(
            f"fidelity: {count:,} {name} rows are too few for vectors of {width:,} numbers, whose covariance needs "
            f"{needed:,} rows or more: take more rows, or a model with a narrower vector"
        )
