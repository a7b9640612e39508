"""A recurrent network that writes with its eyes on what it reads: attention by sums or by products.

Shapes: B rows, T tokens written, S tokens of the memory, D features.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.nets.attention import allowed_keys, check_memory
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import masked_mean
from ranvier.nets.rnn import initialise_cells

CellName = Literal["rnn", "lstm", "gru"]
LookName = Literal["additive", "dot"]
CELLS: dict[str, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Look(nn.Module):
    """c_t = sum_s softmax_s(e_ts) m_s: what is seen of a memory from each place that is written.

    kind "dot": e_ts = (W h_t) . (U m_s) / sqrt(width) (Luong, Pham & Manning, EMNLP 2015, "general", scaled).
    "additive": e_ts = v . tanh(W h_t + U m_s) (Bahdanau, Cho & Bengio, ICLR 2015), whose memory grows with T * S *
    width.
    """

    def __init__(self, width: int, memory: int, /, *, kind: LookName = "dot") -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(memory, width, bias=False)
        self.energy = nn.Linear(width, 1, bias=False) if kind == "additive" else None
        self.scale = width**-0.5

    def forward(
        self,
        h: Float[Tensor, "b t d"],
        keys: Float[Tensor, "b s d"],
        memory: Float[Tensor, "b s m"],
        mask: Bool[Tensor, "b s"],
    ) -> Float[Tensor, "b t m"]:
        """keys: the memory through `key`, which is the same for all T."""
        q = self.query(h)
        if self.energy is None:
            scores = (q * self.scale) @ keys.mT
        else:
            scores = self.energy(torch.tanh(q[:, :, None] + keys[:, None]))[..., 0]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # bf16 is too coarse to add up in
        scores = scores.masked_fill(~allowed_keys(mask)[:, 0], -torch.inf)
        return scores.softmax(-1).to(memory.dtype) @ memory


class Written:
    """How far a recurrent decoder has written: its state, and what it looks at."""

    def __init__(
        self, state: tuple[Tensor, ...], memory: Tensor | None, keys: Tensor | None, mask: Tensor | None
    ) -> None:
        self.state, self.memory, self.keys, self.mask = state, memory, keys, mask

    def take(self, rows: Tensor, memory: Tensor | None = None) -> None:
        """Goes on with these rows (B',) of those so far (see `generate.Place`)."""
        self.state = tuple(part.index_select(1, rows) for part in self.state)
        if memory is None:
            return
        self.memory, self.keys, self.mask = (
            None if part is None else part.index_select(0, memory) for part in (self.memory, self.keys, self.mask)
        )


class RecurrentDecoder(nn.Module):
    """h_t = cell(x_t, h_t-1), then tanh(W [h_t; c_t]), c_t what `Look` sees of the memory from h_t (Luong et al. 2015,
    eq. 5).

    Tokens (B, T, width) to (B, T, width), none seeing a later one. The first state is made of the mean of the memory;
    without a memory (memory = 0) it is zero, and h_t is the answer. What was seen does not enter the next state, so
    that a whole text is learnt in one call of the fused kernel. layers: cells one above the other. dropout: between
    layers and on the answer. Raises PlanError for no layers.
    """

    def __init__(
        self,
        width: int,
        /,
        *,
        cell: CellName = "gru",
        layers: int = 1,
        attention: LookName = "dot",
        dropout: float = 0.0,
        memory: int = 0,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise PlanError(f"layers = {layers}: at least one layer is needed")
        self.width, self.layers, self.memory, self.parts = width, layers, memory, 2 if cell == "lstm" else 1
        self.cells = CELLS[cell](
            width, width, num_layers=layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        initialise_cells(self.cells)
        self.first = nn.Linear(memory, width * layers * self.parts) if memory else None
        self.look = Look(width, memory, kind=attention) if memory else None
        self.join = nn.Linear(width + memory, width) if memory else None
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"] | None = None,
        *,
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """Tokens (B, T, width), padding after the real ones, to (B, T, width)."""
        return self._run(x, self.start(memory, memory_mask, rows=len(x)))

    def start(
        self,
        memory: Float[Tensor, "b s m"] | None = None,
        memory_mask: Bool[Tensor, "b s"] | None = None,
        *,
        rows: int = 0,
    ) -> Written:
        """Nothing written yet. rows: B, where no memory tells. Raises ValueError for a memory not foreseen."""
        check_memory(memory, self.memory)
        if memory is None or self.first is None or self.look is None:
            zeros = next(self.parameters()).new_zeros(self.layers, rows, self.width)
            return Written((zeros,) * self.parts, None, None, None)
        mask = memory.new_ones(memory.shape[:2], dtype=torch.bool) if memory_mask is None else memory_mask
        first = torch.tanh(self.first(masked_mean(memory, mask))).unflatten(1, (self.parts, self.layers, self.width))
        state = tuple(part.transpose(0, 1).contiguous() for part in first.unbind(1))
        return Written(state, memory, self.look.key(memory), mask)

    def read(
        self, x: Float[Tensor, "b t d"], written: Written, mask: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t d"]:
        """T more tokens (B, T, width) to (B, T, width); mask: padding stands before the real ones, without effect."""
        if mask is None or x.shape[1] == 1:
            return self._run(x, written)
        lengths, (b, t) = mask.sum(1), mask.shape
        place = torch.arange(t, device=x.device)
        turn = (place + (t - lengths)[:, None]) % t  # real tokens first
        real = x.gather(1, turn[..., None].expand_as(x))
        packed = nn.utils.rnn.pack_padded_sequence(real, lengths.cpu(), batch_first=True, enforce_sorted=False)
        said, state = self.cells(packed, self._state(written, x.dtype))
        written.state = state if isinstance(state, tuple) else (state,)
        h, _ = nn.utils.rnn.pad_packed_sequence(said, batch_first=True, total_length=t)
        back = (place - (t - lengths)[:, None]) % t
        return self._answer(h.gather(1, back[..., None].expand(b, t, h.shape[2])), written)

    def _run(self, x: Tensor, written: Written) -> Tensor:
        h, state = self.cells(x, self._state(written, x.dtype))
        written.state = state if isinstance(state, tuple) else (state,)
        return self._answer(h, written)

    def _state(self, written: Written, dtype: torch.dtype) -> Tensor | tuple[Tensor, ...]:
        state = tuple(part.to(dtype) for part in written.state)
        return state if self.parts == 2 else state[0]

    def _answer(self, h: Tensor, written: Written) -> Tensor:
        if self.look is not None and self.join is not None:
            assert written.memory is not None
            assert written.keys is not None
            assert written.mask is not None
            asked = h.reshape(len(written.memory), -1, self.width)  # rows of one memory look at it together
            seen = self.look(asked, written.keys, written.memory, written.mask).view(*h.shape[:2], self.memory)
            h = torch.tanh(self.join(torch.cat([h, seen], -1)))
        return self.dropout(h)
