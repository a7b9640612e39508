"""Kinds of dropout. What is kept is scaled up, so that the expected value stays; in evaluation they do nothing."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CHANCES = 2**16  # a CPU's chance of dropping a unit is a multiple of one over this


class Dropout(nn.Dropout):
    """y_i = m_i / (1 - p) * x_i, m_i being 0 with chance p, else 1: single units vanish. (...) to the same.

    As `torch.nn.Dropout`, but on a CPU, which draws one number after another, four units share a draw of 64 bits; p is
    rounded to 16 bits there. Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014. Raises ValueError for a p outside [0, 1].
    """

    def __init__(self, p: float, /) -> None:
        super().__init__(p)

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Some units at 0, others scaled up."""
        dropped = round(self.p * CHANCES)
        if not self.training or not dropped:
            return x
        if x.device.type != "cpu" or dropped == CHANCES:
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - CHANCES // 2
        return x * kept.to(x.dtype).mul_(CHANCES / (CHANCES - dropped))

    def extra_repr(self) -> str:
        """What printing shows in the brackets."""
        return f"{self.p}"


class SpatialDropout(nn.Module):
    """y_bc = m_bc / (1 - p) * x_bc, m_bc being 0 with chance p, else 1: whole channels of a map (B, C, H, W) vanish.

    Neighbouring places are alike, so that plain dropout of single places takes nothing away. Source: Tompson, Goroshin,
    Jain, LeCun & Bregler, "Efficient object localization using convolutional networks", arXiv:1411.4280.
    Raises ValueError for a p outside [0, 1).
    """

    def __init__(self, p: float, /) -> None:
        super().__init__()
        self.p = _chance("spatial dropout", p)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Maps with some channels at 0, others scaled up."""
        return F.dropout2d(x, self.p, self.training) if self.p else x

    def extra_repr(self) -> str:
        """What printing shows in the brackets."""
        return f"{self.p}"


class DropPath(nn.Module):
    """Stochastic depth: y_b = m_b / (1 - p) * x_b, m_b being 0 with chance p, else 1.

    On what a residual branch adds, x (B, ...): the whole branch vanishes for some rows, which then take a shorter way
    through the network. Source: Huang, Sun, Liu, Sedra & Weinberger, "Deep networks with stochastic depth",
    arXiv:1603.09382, eq. 2; they scale by 1 - p in evaluation instead (eq. 5), which has the same expected value.
    Raises ValueError for a p outside [0, 1).
    """

    def __init__(self, p: float, /) -> None:
        super().__init__()
        self.p = _chance("drop_path", p)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """The branch's output, zeros for some rows, scaled up for others."""
        if not self.p or not self.training:
            return x
        kept = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(1 - self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """What printing shows in the brackets."""
        return f"{self.p}"


def rising(p: float, blocks: int) -> list[float]:
    """The chances for blocks 1 ... L that rise in a line to p at the last: p * l / L (Huang et al. 2016, eq. 4).

    Early blocks, which all later ones build on, are dropped least.
    """
    return [p * block / blocks for block in range(1, blocks + 1)]


def _chance(what: str, p: float) -> float:
    if not 0 <= p < 1:
        raise ValueError(f"{what}: expected a chance from 0 to below 1, got {p}")
    return p
