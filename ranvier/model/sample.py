"""Rows that a model draws, alone or for what is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl
import torch

from ranvier.columns.row import Kinds, Row
from ranvier.core.check import whole
from ranvier.core.column import Column
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.plan import NotNegative, Plan
from ranvier.core.rows import row_number
from ranvier.core.schema import AUTO, Option, options_of
from ranvier.core.spec import Spec
from ranvier.data.table import Table
from ranvier.data.together import ROW
from ranvier.model.frames import completed
from ranvier.model.generate import generator
from ranvier.model.network import Answers, Network
from ranvier.model.reading import Reader, is_missing

NUMBER = "number"  # the only column of a frame of rows of which nothing is given
NUMBERS = Spec("scalar", (2,))
CHANNELS = (1, 3, 4)  # that pictures may have
FREE = Option(NotNegative, 1.0)  # a way to draw that is no option of the head


def drawn(
    network: Network,
    count: int,
    given: Any,
    seed: int,
    how: Mapping[str, Any],
    read: Reader,
    decode: Callable[[Answers], pl.DataFrame],
) -> tuple[pl.DataFrame, list[str]]:
    """The given rows, each as often as is drawn for it, beside what is drawn; and notes. Raises PlanError, DataError.

    Where rows are drawn field by field some fields may be given, and the others are drawn for these. What is drawn
    becomes raw values batch by batch, so that no more than these are held of all rows.
    """
    plan = network.plan
    check_draws(plan)
    count = whole("sample: n", count, 1)
    how = _ways(plan, how)
    rows, notes = _rows(network, count, given, read)
    begun, known = _begun(network, rows, notes)
    batches = network.drawn(rows, notes, begun, generator=generator(seed, torch.device("cpu")), **how)
    made = pl.concat([decode(answers) for answers in batches])
    if known is not None:
        made = made.select(
            pl.when(known[name].is_null()).then(name).otherwise(known[name]).alias(name) for name in made.columns
        )
    return pl.concat([rows.select(*plan.inputs), made], how="horizontal") if plan.inputs else made, notes


def at_random(plan: Plan) -> list[str]:
    """A note where what is predicted has nothing to do with the rows it is predicted for."""
    if plan.inputs or not all(head.draws for head in plan.heads().values()):
        return []
    gaps = "; sample(given=rows) draws what these lack" if fields_of(plan) else ""
    return [f"this model draws of nothing, and so not for the rows given: sample(n) draws as many as wanted{gaps}"]


def check_draws(plan: Plan) -> None:
    """Raises PlanError for a plan whose models draw nothing."""
    idle = [name for name, head in plan.heads().items() if not head.draws]
    if idle:
        head = plan.targets[idle[0]].head["name"]
        one = "autoregressive" if idle[0] == ROW else "vae"
        other = "use generate" if head == "text" else f"train with a head that draws, such as {one!r} or 'diffusion'"
        raise PlanError(f"sample: head {head!r} of {idle[0]!r} draws nothing; {other}")


def _ways(plan: Plan, how: Mapping[str, Any]) -> dict[str, Any]:
    """How it is drawn, checked, without what is as planned. Raises PlanError for what no head draws by."""
    heads = [*plan.heads().values()]
    known = [way for head in heads for way in head.ways]
    for name, value in how.items():
        if name not in known:
            raise PlanError(f"sample: unknown {name!r}; {did_you_mean(name, known)}")
        for head in heads:
            if name in head.ways:
                options_of(head).get(name, FREE).check(value, f"sample: {name}")
    return {name: value for name, value in how.items() if value != AUTO}


def _rows(network: Network, count: int, given: Any, read: Reader) -> tuple[pl.DataFrame, list[str]]:
    """Every given row `count` times; without any, rows of nothing."""
    plan, inputs, fields = network.plan, list(network.plan.inputs), fields_of(network.plan)
    if given is None:
        if inputs:
            raise PlanError(f"sample: this model draws for given {', '.join(inputs)}; give them, as given={{...}}")
        return pl.DataFrame({NUMBER: range(count)}), []
    if not inputs and not fields:
        rows = "; columns of rows may be given where head 'autoregressive' draws them" if plan.data.together else ""
        raise PlanError(f"sample: this model was trained without inputs, so that nothing can be given{rows}")
    if isinstance(given, Mapping):
        strange = [name for name in given if name not in [*inputs, *fields]]
        if strange:
            near = did_you_mean(strange[0], [*inputs, *fields])
            raise PlanError(f"sample: given {strange[0]!r} is no {'column' if fields else 'input'}; {near}")
        given = {name: _several(value, network.layout.specs.get(name, NUMBERS)) for name, value in given.items()}
        most = max(map(len, given.values()), default=0)
        given = {name: [*value] * most if len(value) == 1 else value for name, value in given.items()}
    table = read.unpacked(given)
    known = [name for name in table.frame.columns if name in [*inputs, *fields]]
    if isinstance(given, Mapping):
        _check_read(network, [name for name in known if name in fields], table, given)
    if fields and not known:
        raise DataError(f"sample: none of the given columns is known; known: {', '.join([*inputs, *fields])}")
    if any(name in fields for name in known):
        absent = [pl.lit(None).alias(name) for name in fields if name not in known]
        table = Table(table.frame.select(*known, *absent), table.notes)
    table = completed(read.packed(table), plan)
    frame = table.frame.select(name for name in table.frame.columns if name in inputs or (fields and name == ROW))
    for name in inputs:
        if name in frame.columns:
            _check_seen(network.columns[name], frame[name])
    if fields and ROW in frame.columns:
        for name, field in cast(Row, network.columns[ROW]).fields.items():
            if isinstance(field, Kinds):
                _check_seen(field.column, frame[ROW].struct.field(name), "; where it is missing it is drawn")
    return frame[np.repeat(np.arange(frame.height), count)], list(table.notes)


def readable(network: Network, values: pl.Series) -> np.ndarray:
    """(N,) which of the values of an input, or of a field that may be given, can be read."""
    if values.name in network.columns:
        return network.columns[values.name].encode(values).observed
    return np.isfinite(cast(Row, network.columns[ROW]).fields[values.name].numbers(values, []))


def fields_of(plan: Plan) -> list[str]:
    """The columns drawn together of which some may be given."""
    return list(plan.data.together) if all(head.completes for head in plan.heads().values()) else []


def _begun(network: Network, rows: pl.DataFrame, notes: list[str]) -> tuple[list[np.ndarray], pl.DataFrame | None]:
    """What is given of fields that are drawn together, for the network and as values; nothing where none is."""
    if not fields_of(network.plan) or ROW not in rows.columns:
        return [], None
    vectors, there, known = cast(Row, network.columns[ROW]).begun(rows[ROW].struct.unnest(), notes)
    return [vectors, there], known


def _check_read(network: Network, names: Sequence[str], table: Table, given: Mapping[str, Any]) -> None:
    """Raises DataError for a given value of a field from which nothing can be read, unless it is missing."""
    for name in names:
        for value, able in zip(given[name], readable(network, table.frame[name]), strict=True):
            if not (able or is_missing(value)):
                raise DataError(
                    "; ".join([f"sample: given {name} = {value!r}: no number can be read from it", *table.notes])
                )


def _check_seen(column: Column, values: pl.Series, remedy: str = "") -> None:
    """Raises DataError for a category that was not seen in training, of which nothing can be drawn."""
    spec = column.spec
    if spec is None or spec.kind != "index":
        return
    encoded = column.encode(values)
    unseen = np.flatnonzero(encoded.observed & (encoded.data == spec.size))
    if len(unseen):
        value = values[int(unseen[0])]
        known = did_you_mean(str(value), getattr(column, "labels", []))
        where = f" (row {row_number(int(unseen[0]))})" if len(values) > 1 else ""
        raise DataError(f"sample: given {column.name} = {value!r}{where} was not seen in training; {known}{remedy}")


def _several(value: Any, spec: Spec) -> Any:
    """Values of a column as they are, a single one as a list of it: an array may be one vector or picture."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return [value] if _single(tuple(value.shape), spec) else value
    series = hasattr(value, "to_list")  # of polars or pandas
    return value if series else list(value) if isinstance(value, list | tuple) else [value]


def _single(shape: tuple[int, ...], spec: Spec) -> bool:
    """Whether an array of this shape is a single value.

    Of three axes it is a picture (H, W, C) or (C, H, W), else pictures (N, H, W): of a grey column (3, H, W) are three.
    """
    if spec.kind != "pixels":
        return len(shape) <= (1 if spec.kind == "vector" and spec.unit != "time" else 0)
    if len(shape) != 3:
        return len(shape) < 3
    return shape[2] in CHANNELS or shape[0] in (CHANNELS if spec.size > 1 else CHANNELS[:1])
