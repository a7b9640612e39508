"""An encoded column as tensors that a batch is gathered from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ranvier.columns.text import END, START
from ranvier.core.protocols import Value
from ranvier.core.room import let_go, on_disk
from ranvier.core.spec import Encoded, Spec


def join(columns: Sequence[Encoded]) -> Encoded:
    """Columns side by side: data (N, C, ...), observed (N, C). For encoders that join (see `Encoder.joins`)."""
    return Encoded(np.stack([c.data for c in columns], 1), np.stack([c.observed for c in columns], 1))


def framed(encoded: Encoded) -> Encoded:
    """Texts between START and END, as a network that writes them sees them: which token begins, and when to stop."""
    starts, ends = encoded.bounds[:-1], encoded.bounds[1:]
    places = np.stack([starts, ends], 1).flatten()  # in order, and before one another where they are equal
    data = np.insert(encoded.data, places, np.tile(np.array([START, END], encoded.data.dtype), len(encoded)))
    return Encoded(data, encoded.observed, encoded.bounds + 2 * np.arange(len(encoded.bounds)))


class Store:
    """One input or target of all rows; `rows(index)` is one gather.

    Values of a target that its spec does not know (index == size) count as missing, and texts stand between START and
    END there. What is kept on disk stays there, and its rows go to the device when they are asked for.
    """

    def __init__(
        self, encoded: Encoded, spec: Spec, *, target: bool = False, device: torch.device | None = None
    ) -> None:
        if target and spec.kind == "tokens":
            encoded = framed(encoded)
        observed = encoded.observed
        if target and spec.kind == "index":
            observed = observed & (encoded.data < spec.size)
        self.integers = encoded.data.dtype.kind in "iu" and spec.kind not in ("pixels", "mask", "khot")
        self.kept = encoded.data if on_disk(encoded.data) else None
        self.data = tensor(encoded.data).to(device if self.kept is None else None)
        self.observed = None if observed.all() else torch.from_numpy(observed).to(device)
        self.offsets = None if encoded.offsets is None else torch.from_numpy(encoded.offsets).to(device)
        self.spans = None if encoded.spans is None else torch.from_numpy(encoded.spans).to(device)

    def rows(self, index: Tensor) -> Value:
        """The rows (B,) of the index, ragged ones padded with 0 to the longest of them."""
        observed = None if self.observed is None else self.observed.index_select(0, index)
        if self.offsets is None:
            data = self.data.index_select(0, index) if self.kept is None else self._fetched(index)
            return Value(data.long() if self.integers else data, None, observed)
        start = self.offsets[index]
        length = self.offsets[index + 1] - start
        place = torch.arange(int(length.max()) if len(index) else 0, device=start.device)
        mask = place[None] < length[:, None]
        flat = (start[:, None] + place[None]).masked_fill_(~mask, 0).flatten()
        data = _take(self.data, flat, mask)
        spans = None if self.spans is None else _take(self.spans, flat, mask)
        return Value(data.long() if self.integers else data, mask, observed, spans)

    def _fetched(self, index: Tensor) -> Tensor:
        """Rows of what is on disk, on the index's device."""
        assert self.kept is not None
        data = self.data.index_select(0, index.cpu())
        let_go(self.kept)
        return data.to(index.device)


def _take(data: Tensor, flat: Tensor, mask: Tensor) -> Tensor:
    """data[flat] shaped (B, T, ...), 0 where the mask is False."""
    if not len(data):
        return data.new_zeros(*mask.shape, *data.shape[1:])
    taken = data.index_select(0, flat).view(*mask.shape, *data.shape[1:])
    return taken * mask.view(*mask.shape, *[1] * (data.ndim - 1))


def tensor(array: np.ndarray) -> Tensor:
    """The array as a tensor, of a type that torch computes with."""
    if array.dtype in (np.uint16, np.uint32):
        array = array.astype(np.int32 if array.dtype == np.uint16 else np.int64)
    return torch.from_numpy(np.ascontiguousarray(array))
