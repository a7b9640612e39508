"""What can be done with the few numbers that a model passes rows through: walk, and compress."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ranvier.core import check
from ranvier.core.column import Column
from ranvier.core.errors import DataError, PlanError
from ranvier.data.table import Table
from ranvier.model.judge import Judge
from ranvier.model.layout import weights
from ranvier.model.network import Network

MOST_BITS = 16
TINY = 1e-12
REACH = 4.0  # deviations of a code's number that its bytes span, on each side


def code_of(network: Network, table: Table, notes: list[str]) -> np.ndarray:
    """(N, K) the codes of the table's rows. Raises PlanError for a network that has none."""
    if network.task.encoding is None and not network.task.fuse.narrows:
        raise PlanError("this model passes rows through no few numbers; fuse = 'bottleneck' and head 'vae' do")
    notes += table.notes
    return network.embed(table.frame, notes)


def coded(
    network: Network, read: Callable[[Any], Table], rows: Sequence[Any], notes: list[str]
) -> tuple[list[pl.DataFrame], np.ndarray]:
    """Single rows, dicts or tables, as frames, and their codes (N, K). Raises DataError for none or several rows."""
    tables = [read({k: [v] for k, v in row.items()} if isinstance(row, Mapping) else row) for row in rows]
    made = [code_of(network, single(table), notes) for table in tables]
    return [table.frame for table in tables], np.concatenate(made)


def whole_code_of(network: Network, table: Table, notes: list[str]) -> np.ndarray:
    """As `code_of`. Raises PlanError for a network that makes rows of more than their codes."""
    _check_whole(network)
    return code_of(network, table, notes)


def whole_codes_in(network: Network, content: bytes) -> np.ndarray:
    """(N, K) the codes that `packed` gave, of a network as for `whole_code_of`. Raises DataError for another's."""
    _check_whole(network)
    (codes, by), width = unpacked(content), network.plan.fuse["code"]
    if codes.shape[1] != width:
        raise DataError(f"these rows were compressed to {codes.shape[1]} numbers, and this model's codes have {width}")
    if by != (own := fingerprint(network)):
        raise DataError(f"another model has compressed these rows, of the fingerprint {by}; that of this one is {own}")
    return codes


def fingerprint(network: Network) -> str:
    """16 digits by which a network is told from others: of the SHA-256 of its weights, by name, wherever they are."""
    told = hashlib.sha256()
    for name, weight in sorted(network.task.state_dict().items()):
        told.update(f"{name} {weight.dtype} {list(weight.shape)}".encode())
        told.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return told.hexdigest()[:16]


def _check_whole(network: Network) -> None:
    if not network.task.fuse.narrows:
        raise PlanError(
            "only a model whose fuse is 'bottleneck' can compress, and this one makes rows of more than their codes: "
            "fit one whose targets are its inputs, as rv.fit(rows, target='image', inputs=['image'])"
        )


def _bits(name: str, value: Any) -> int:
    return check.whole(name, value, 1, MOST_BITS)


def single(table: Table) -> Table:
    """The table. Raises DataError for none or several rows."""
    if table.frame.height != 1:
        raise DataError(f"expected a single row, got {table.frame.height}")
    return table


def costs(
    network: Network, shared: Mapping[str, Column], table: Table, bits: Sequence[int], notes: list[str]
) -> pl.DataFrame:
    """For each number of bits: bits, bytes of a row, and figures of the rows that come back by so many."""
    bits = check.several("bits", bits, _bits)
    codes, frame = whole_code_of(network, table, notes), table.frame
    weight = weights(network.plan, frame, notes)
    truths = {name: shared[name].encode(frame[name]) for name in network.plan.targets}
    notes += [note for truth in truths.values() for note in truth.notes]
    lines = []
    for each in bits:
        judge = Judge(network.plan, shared, weight)
        judge.add(frame, network.decoded(unpacked(packed(codes, each, ""))[0]), truths)
        lines.append({"bits": each, "bytes": codes.shape[1] * each / 8, **judge.report("test", []).headline})
    return pl.DataFrame(lines)


def between(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """(steps, K) from one code (K,) to another in equal steps, both ends among them. Raises PlanError below two."""
    share = np.linspace(0, 1, check.whole("steps", steps, 2))[:, None]
    return ((1 - share) * a + share * b).astype(np.float32)


def along(code: np.ndarray, number: int, values: Sequence[float]) -> np.ndarray:
    """(len(values), K) a code (K,) with one of its numbers at each of the values. Raises PlanError for no such one."""
    place, at = check.whole("number", number, 0, len(code) - 1), check.several("values", values, check.number)
    walked = np.repeat(code[None].astype(np.float32), len(at), 0)
    walked[:, place] = at
    return walked


def packed(codes: np.ndarray, bits: int, by: str) -> bytes:
    """Codes (N, K) as whole numbers of so many bits each, between REACH deviations on both sides of their means.

    by: the fingerprint of the network that made them. Raises PlanError for bits outside 1 to 16.
    """
    bits = _bits("bits", bits)
    mean, deviation = codes.mean(0), codes.std(0)
    low, span = mean - REACH * deviation, np.maximum(2 * REACH * deviation, TINY)
    steps = np.rint((codes - low) / span * ((1 << bits) - 1)).clip(0, (1 << bits) - 1).astype(np.uint16)
    bare = np.unpackbits(steps.astype(">u2").view(np.uint8).reshape(*codes.shape, 2), axis=2)[:, :, -bits:]
    held = {
        "shape": np.array([*codes.shape, bits], np.int64),
        "low": low.astype(np.float32),
        "span": span.astype(np.float32),
        "bits": np.packbits(bare.reshape(len(codes), -1), axis=1),
        "by": np.frombuffer(by.encode(), np.uint8),
    }
    return save(held)


def unpacked(content: bytes) -> tuple[np.ndarray, str]:
    """((N, K) float32, by): what `packed` was given, codes to half a step. Raises DataError for anything else."""
    try:
        held = load(content)
        rows, width, bits = (int(x) for x in held["shape"])
        flat = np.unpackbits(held["bits"], axis=1)[:, : width * bits].reshape(rows, width, bits)
        steps = flat @ (1 << np.arange(bits)[::-1])
        codes = (held["low"] + steps / ((1 << bits) - 1) * held["span"]).astype(np.float32)
        return codes, held["by"].tobytes().decode()
    except (SafetensorError, LookupError, ValueError, TypeError) as error:
        raise DataError(f"these are no rows that a model has compressed: {error}") from None
