from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.nets import SkipGram

PARTS = (torch.tensor([0, 1, 1, 2, 3, 0]), torch.tensor([0, 2, 3, 3, 6]))  # of 4 words; the third has none


def filled(seed: int = 0) -> SkipGram:
    torch.manual_seed(seed)
    net = SkipGram(4, 5, parts=PARTS).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def test_loss_by_hand():
    net = filled()
    table, contexts = (p.detach().numpy() for p in (net.table, net.contexts))
    own = {
        0: (table[0] + table[4] + table[5]) / 3,
        1: (table[1] + table[5]) / 2,
        2: table[2],
        3: (table[3] + table[6] + table[7] + table[4]) / 4,
    }
    words, others, noise = [0, 1, 2, 3, 0], [1, 0, 3, 3, 2], [2, 2, 1]

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    expected = [
        -np.log(sigmoid(own[w] @ contexts[c])) - 4 * np.mean([np.log(sigmoid(-own[w] @ contexts[n])) for n in noise])
        for w, c in zip(words, others, strict=True)
    ]
    found = net(*(torch.tensor(x) for x in (words, others, noise)), negatives=4.0)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)


def test_slopes_are_those_of_autograd():
    net = filled()
    one, other, noise = torch.tensor([0, 3, 1, 0, 3, 0]), torch.tensor([1, 0, 3, 1, 2, 2]), torch.tensor([0, 2, 2])
    loss = net(one, other, noise, negatives=5.0).sum()
    loss.backward()
    words, others = torch.tensor([0, 1, 3]), torch.tensor([0, 1, 2, 3])
    near = torch.zeros(3, 4, dtype=torch.float64)
    for w, c in zip(one.tolist(), other.tolist(), strict=True):
        near[words.tolist().index(w), c] += 1
    far = torch.bincount(noise, minlength=4) * (5.0 / 3)
    total, (rows, of_rows), of_others = net.slopes(words, others, near, far.double())
    torch.testing.assert_close(total, loss.detach())
    assert len(rows.unique()) == len(rows)
    table = torch.zeros_like(net.table)
    table[rows] = of_rows
    torch.testing.assert_close(table, net.table.grad)
    torch.testing.assert_close(of_others, net.contexts.grad)


def test_without_parts_a_word_is_its_own_row():
    net = SkipGram(3, 4)
    torch.testing.assert_close(net.vectors(torch.tensor([2, 0])), net.table[[2, 0]])
    assert not net.contexts.any()
    assert net.table.abs().max() <= 0.125


def test_refused():
    with pytest.raises(ValueError, match="1 or more each"):
        SkipGram(0, 4)
    with pytest.raises(ValueError, match="need 4 starts, the last of them 2"):
        SkipGram(3, 4, parts=(torch.tensor([0, 1]), torch.tensor([0, 1, 2])))
