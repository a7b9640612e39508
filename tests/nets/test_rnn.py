from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.nets.rnn import GRU, LSTM, RNN, reversal

CELLS = [RNN, LSTM, GRU]


def masked(lengths: list[int], steps: int) -> torch.Tensor:
    return torch.arange(steps) < torch.tensor(lengths)[:, None]


def by_hand(cell: nn.RNNBase, x: torch.Tensor) -> torch.Tensor:
    """The cell's equations, step by step, for one row (T, D)."""
    w, u, b, c = (getattr(cell, f"{name}_l0").detach() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = state = torch.zeros(cell.hidden_size, dtype=x.dtype)
    outputs = []
    for x_t in x:
        a, r = w @ x_t + b, u @ h + c
        if isinstance(cell, nn.LSTM):
            i, f, g, o = (a + r).chunk(4)
            state = f.sigmoid() * state + i.sigmoid() * g.tanh()
            h = o.sigmoid() * state.tanh()
        elif isinstance(cell, nn.GRU):
            (a_r, a_z, a_n), (r_r, r_z, r_n) = a.chunk(3), r.chunk(3)
            z = (a_z + r_z).sigmoid()
            h = (1 - z) * (a_n + (a_r + r_r).sigmoid() * r_n).tanh() + z * h
        else:
            h = (a + r).tanh()
        outputs.append(h)
    return torch.stack(outputs)


def test_reversal_is_its_own_inverse():
    index = reversal(masked([3, 0, 4], 4))
    assert index.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3], [3, 2, 1, 0]]
    assert torch.equal(index.gather(1, index), torch.arange(4).expand(3, 4))


@pytest.mark.parametrize("kind", CELLS)
def test_equations(kind):
    net = kind(3, 8, bidirectional=True).double()
    x = torch.randn(1, 5, 3, dtype=torch.float64)
    outputs, last = net(x)
    ahead, behind = net.layers[0]
    want = torch.cat([by_hand(ahead, x[0]), by_hand(behind, x[0].flip(0)).flip(0)], -1)
    torch.testing.assert_close(outputs[0], want)
    torch.testing.assert_close(last[0], torch.cat([want[-1, :4], want[0, 4:]]))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_padding_changes_nothing(kind, bidirectional):
    net = kind(4, 6, layers=2, bidirectional=bidirectional).double()
    lengths = [5, 1, 3]
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    mask = masked(lengths, 5)
    outputs, last = net(x, mask)
    other, other_last = net(x.masked_fill(~mask[..., None], 1e3), mask)
    torch.testing.assert_close(outputs, other)
    torch.testing.assert_close(last, other_last)
    for row, length in enumerate(lengths):
        alone, alone_last = net(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0])
        torch.testing.assert_close(last[row], alone_last[0])
        assert not outputs[row, length:].any()


@pytest.mark.parametrize("kind", CELLS)
def test_empty_rows_are_zero_and_finite(kind):
    net = kind(4, 6, bidirectional=True)
    outputs, last = net(torch.randn(2, 3, 4), masked([0, 3], 3))
    assert not outputs[0].any()
    assert not last[0].any()
    assert last[1].all()
    (outputs.sum() + last.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    outputs, last = net(torch.randn(2, 0, 4))
    assert outputs.shape == (2, 0, 6)
    assert last.shape == (2, 6)


def test_forget_gate_starts_open():
    cell = LSTM(3, 4).layers[0][0]
    assert (cell.bias_ih_l0 + cell.bias_hh_l0).tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


@pytest.mark.parametrize("kind", CELLS)
def test_descriptors(kind):
    net = kind(4, 8, layers=2, bidirectional=True, dropout=0.2)
    mask = masked([6, 2, 4], 6)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, last = net(torch.randn(3, 6, 4), mask)
    assert outputs.isfinite().all()
    assert last.isfinite().all()
    net(torch.randn(3, 6, 4), mask)[1].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
    twin = kind(4, 8, layers=2, bidirectional=True, dropout=0.2)
    twin.load_state_dict(copy.deepcopy(net.state_dict()))
    x = torch.randn(3, 6, 4)
    assert torch.equal(net.eval()(x, mask)[0], twin.eval()(x, mask)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_overfits_which_step_came_first(kind):
    """The answer stands in the first of five steps: the last state must remember it."""
    net, out = kind(4, 16), nn.Linear(16, 2)
    x = torch.randn(8, 5, 4)
    y = (x[:, 0, 0] > 0).long()
    optimizer = torch.optim.Adam([*net.parameters(), *out.parameters()], 0.02)
    for _ in range(50):
        loss = nn.functional.cross_entropy(out(net(x)[1]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2


def test_refuses_what_cannot_be():
    with pytest.raises(PlanError, match="even width; try 8"):
        LSTM(4, 7, bidirectional=True)
    with pytest.raises(PlanError, match="at least one layer"):
        GRU(4, 8, layers=0)
