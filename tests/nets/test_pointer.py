"""Copying: chances by hand, the same token by token as all at once, and that nothing is pointed at where padding is."""

from __future__ import annotations

import torch

from ranvier.nets.pointer import Copying, Pointer

B, T, S, D, M, V = 2, 3, 4, 6, 5, 9
READ = torch.tensor([[4, 7, 4, 0], [8, -1, 3, 5]])
MASK = torch.tensor([[True, True, True, False], [True] * 4])


def made():
    pointer = Pointer(D, M).double()
    hidden, memory = torch.randn(B, T, D).double(), torch.randn(B, S, M).double()
    torch.nn.init.normal_(pointer.gate.weight)
    return pointer, hidden, pointer.key(memory)


def test_chances_are_those_of_the_definition():
    pointer, hidden, keys = made()
    log_p = torch.randn(B, T, V).double().log_softmax(2)
    got = pointer.spread(hidden, log_p, keys, MASK, READ).exp()
    for row in range(B):
        for t in range(T):
            h = hidden[row, t]
            energy = (keys[row] @ pointer.query(h)) / D**0.5
            looks = energy.masked_fill(~MASK[row], -torch.inf).softmax(0)
            gate = pointer.gate(h).sigmoid()[0]
            by_hand = (1 - gate) * log_p[row, t].exp()
            for s in range(S):
                if READ[row, s] >= 0:
                    by_hand[READ[row, s]] += gate * looks[s]
            torch.testing.assert_close(got[row, t], by_hand)


def test_what_is_learnt_is_what_is_written():
    pointer, hidden, keys = made()
    log_p, truth = torch.randn(B, T, V).double().log_softmax(2), torch.tensor([[4, 7, 1], [3, 3, 8]])
    copied = pointer.chances(hidden, keys, MASK, READ, truth)
    own = log_p.gather(2, truth[..., None])[..., 0]
    whole = pointer.spread(hidden, log_p, keys, MASK, READ).gather(2, truth[..., None])[..., 0]
    torch.testing.assert_close(pointer.mixed(hidden, own, copied), whole)
    assert copied[0, 2] == 0  # 1 is not read


def test_padding_and_what_cannot_be_copied_get_nothing():
    pointer, hidden, keys = made()
    assert (pointer.look(hidden, keys, MASK)[0, :, 3] == 0).all()
    nothing = torch.full((B, S), -1)
    log_p = torch.randn(B, T, V).double().log_softmax(2)
    got = pointer.spread(hidden, log_p, keys, MASK, nothing).exp().sum(2)
    torch.testing.assert_close(got, 1 - pointer.gate(hidden).sigmoid()[..., 0])


def test_rows_are_taken_with_what_they_copy_from():
    class Place:
        def take(self, rows, memory=None):
            self.rows = rows

    place = Copying(Place(), torch.randn(B, S, D), MASK, READ)
    place.take(torch.tensor([1, 1, 0]))
    assert place.read is READ
    place.take(torch.tensor([1, 1, 0]), torch.tensor([1, 1, 0]))
    assert place.read.tolist() == READ[[1, 1, 0]].tolist()
    assert place.place.rows.tolist() == [1, 1, 0]


def test_gradients_equal_finite_differences():
    pointer, hidden, keys = made()
    log_p, truth = torch.randn(B, T).double(), torch.tensor([[4, 7, 0], [3, 3, 8]])
    hidden, keys = hidden.requires_grad_(), keys.detach().requires_grad_()
    mixed = lambda h, k: pointer.mixed(h, log_p, pointer.chances(h, k, MASK, READ, truth))  # noqa: E731
    assert torch.autograd.gradcheck(mixed, (hidden, keys))
