"""What a word's letters say of it."""

from __future__ import annotations

import torch

from ranvier.nets.letters import Letters


def test_equal_words_say_the_same_wherever_they_stand():
    net = Letters(7)
    letters = torch.randint(0, 257, (3, 4, 6))
    letters[2, 3] = letters[0, 1]
    said = net(letters)
    assert said.shape == (3, 4, 7)
    assert torch.equal(said[2, 3], said[0, 1])
    torch.testing.assert_close(net(letters[1:2, 2:3])[0, 0], said[1, 2])
    said.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
    assert net(torch.zeros(2, 0, 6, dtype=torch.long)).shape == (2, 0, 7)
