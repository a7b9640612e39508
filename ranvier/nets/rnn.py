"""Recurrent networks over padded sequences: the simple network of Elman, the LSTM, the GRU.

Every direction of every layer runs over the whole padded batch, because fused kernels on dense tensors are two to
three times as fast on a CPU as on packed sequences. Padding stands after the real steps and changes nothing: forward
it comes after all that counts, and for the backward direction each row's real steps are reversed in place by a gather.
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import last_token


def reversal(mask: Bool[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """(B, T) the index that reverses each row's real steps and leaves its padding in place; its own inverse."""
    place = torch.arange(mask.shape[1], device=mask.device)
    lengths = mask.sum(1, keepdim=True)
    return torch.where(place < lengths, lengths - 1 - place, place)


def _reversed(x: Float[Tensor, "b t d"], index: Int[Tensor, "b t"] | None) -> Float[Tensor, "b t d"]:
    if index is None:
        return x.flip(1)
    return x.gather(1, index[..., None].expand_as(x))


class _Recurrent(nn.Module):
    """Layers of one kind of cell, in one direction or both, with dropout between the layers.

    inputs: features of a step. width: features of an output; with two directions each gives one half.
    Raises PlanError if two directions cannot share the width evenly.
    """

    cell: ClassVar[type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]]

    def __init__(
        self, inputs: int, width: int, /, *, layers: int = 1, bidirectional: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        if width % directions:
            raise PlanError(f"width = {width}: two directions need an even width; try {width + 1}")
        if layers < 1:
            raise PlanError(f"layers = {layers}: at least one layer is needed")
        self.inputs, self.width, self.bidirectional = inputs, width, bidirectional
        self.layers = nn.ModuleList(
            nn.ModuleList(
                self.cell(width if depth else inputs, width // directions, batch_first=True) for _ in range(directions)
            )
            for depth in range(layers)
        )
        self.dropout = Dropout(dropout)
        self.apply(initialise_cells)

    def forward(
        self, x: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None = None
    ) -> tuple[Float[Tensor, "b t h"], Float[Tensor, "b h"]]:
        """Steps (B, T, inputs) and a mask (B, T) to outputs (B, T, width) and the last state (B, width).

        The last state is the forward direction's at a row's last real step, beside the backward direction's at its
        first. Outputs at padding, and the last state of a row that is all padding, are zeros.
        """
        if x.shape[1] == 0:
            return x.new_zeros(x.shape[0], 0, self.width), x.new_zeros(x.shape[0], self.width)
        index = None if mask is None or not self.bidirectional else reversal(mask)
        for depth, cells in enumerate(self.layers):
            x = _layer(self.dropout(x) if depth else x, list(cells.children()), index)
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0)
        ahead, *behind = x.chunk(2, -1) if self.bidirectional else (x,)
        return x, torch.cat([last_token(ahead, mask), *(side[:, 0] for side in behind)], -1)


def _layer(x: Tensor, cells: list[nn.Module], index: Tensor | None) -> Tensor:
    """One cell over the steps as they are; a second one over the reversed steps, its outputs put back in order."""
    ahead = _steps(cells[0], x)
    if len(cells) == 1:
        return ahead
    behind = _steps(cells[1], _reversed(x, index))
    return torch.cat([ahead, _reversed(behind, index)], -1)


def _steps(cell: nn.Module, x: Tensor) -> Tensor:
    """The cell's outputs; in fp32 where the processor has no LSTM in half precision, for which torch has no other."""
    if not isinstance(cell, nn.LSTM) or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or _half():
        return cell(x)[0]
    with torch.autocast("cpu", enabled=False):
        return cell(x.float())[0]


@cache
def _half() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def initialise_cells(module: nn.Module) -> None:
    """Xavier for inputs, orthogonal for the recurrence (Saxe et al. 2014); zero biases, but 1 for an LSTM's forget
    gate, so that it remembers at first (Gers et al. 2000; Jozefowicz et al. 2015)."""
    if not isinstance(module, nn.RNNBase):
        return
    for name, parameter in module.named_parameters():
        if name.startswith("weight"):
            set_ = nn.init.xavier_uniform_ if name.startswith("weight_ih") else nn.init.orthogonal_
            for gate in parameter.data.split(module.hidden_size):
                set_(gate)
        else:
            nn.init.zeros_(parameter)
        if isinstance(module, nn.LSTM) and name.startswith("bias_ih"):
            parameter.data[module.hidden_size : 2 * module.hidden_size] = 1.0  # gates: i, f, g, o


class RNN(_Recurrent):
    """The simple recurrent network: h_t = tanh(W x_t + b + U h_{t-1} + c), h_0 = 0.

    `RNN(inputs, width, *, layers, bidirectional, dropout)`: (B, T, inputs), mask (B, T) to outputs (B, T, width) and
    the last state (B, width). Source: Elman, "Finding Structure in Time", Cognitive Science 14, 1990.
    """

    cell = nn.RNN


class LSTM(_Recurrent):
    """Long short-term memory: i, f, o = sigmoid(W x_t + b + U h_{t-1} + c), g likewise through tanh;
    c_t = f c_{t-1} + i g; h_t = o tanh(c_t).

    `LSTM(inputs, width, *, layers, bidirectional, dropout)`: (B, T, inputs), mask (B, T) to outputs (B, T, width) and
    the last state (B, width). Sources: Hochreiter & Schmidhuber, Neural Computation 9, 1997; the forget gate f: Gers,
    Schmidhuber & Cummins, Neural Computation 12, 2000.
    """

    cell = nn.LSTM


class GRU(_Recurrent):
    """Gated recurrent units: r, z = sigmoid(W x_t + b + U h_{t-1} + c);
    n = tanh(W_n x_t + b_n + r (U_n h_{t-1} + c_n)); h_t = (1 - z) n + z h_{t-1}.

    `GRU(inputs, width, *, layers, bidirectional, dropout)`: (B, T, inputs), mask (B, T) to outputs (B, T, width) and
    the last state (B, width). Source: Cho et al., EMNLP 2014; with the reset gate after the product, as fused kernels
    have it (so in version 1 of the paper, arXiv:1406.1078v1).
    """

    cell = nn.GRU
