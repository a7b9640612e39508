"""The hashed bag against a dictionary of n-grams, and its laws."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from ranvier.nets.bag import HashedBag


def filled(*sizes: int, **options: int) -> HashedBag:
    """A bag with a random table; the padding row stays zero."""
    bag = HashedBag(*sizes, **options)
    torch.nn.init.normal_(bag.table.weight)
    return bag


def rows_of(bag: HashedBag, tokens: list[int]) -> Counter:
    return Counter(i for i in bag.grams(torch.tensor([tokens]))[0].tolist() if i != bag.padding)


def test_sum_of_all_ngrams_over_the_root_of_their_number():
    bag = filled(50, 6, order=3, buckets=1_000_000)
    text = [7, 3, 7, 9, 7, 3]
    alone = {n: {} for n in (2, 3)}  # the row of each n-gram, met on its own
    for n in (2, 3):
        for i in range(len(text) - n + 1):
            gram = tuple(text[i : i + n])
            alone[n][gram] = bag.grams(torch.tensor([gram]))[0, -1].item()
    assert len({row for n in alone for row in alone[n].values()}) == 4 + 4
    total = bag.table.weight[torch.tensor(text)].sum(0)
    for n in (2, 3):
        for i in range(len(text) - n + 1):
            total = total + bag.table.weight[alone[n][tuple(text[i : i + n])]]
    torch.testing.assert_close(bag(torch.tensor([text]))[0], total / math.sqrt(6 + 5 + 4))


def test_order_counts_inside_an_ngram_only():
    one, two = filled(20, 4, order=1), filled(20, 4, order=2, buckets=10_000)
    a, b = torch.tensor([[1, 2, 3]]), torch.tensor([[3, 2, 1]])
    torch.testing.assert_close(one(a), one(b))
    assert not torch.allclose(two(a), two(b))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_padding_changes_nothing_whatever_it_holds(dtype):
    bag = filled(20, 4, order=3, buckets=64)
    tokens = torch.randint(0, 20, (3, 7)).to(dtype)
    mask = torch.arange(7) < torch.tensor([[7], [2], [0]])
    out = bag(tokens, mask)
    torch.testing.assert_close(out[0], bag(tokens[:1])[0])
    torch.testing.assert_close(out[1], bag(tokens[1:2, :2])[0])
    assert out[2].tolist() == [0] * 4
    other = torch.where(mask, tokens, 19)
    torch.testing.assert_close(bag(other, mask), out)
    assert bag(tokens[:, :0]).tolist() == [[0] * 4] * 3


def test_no_ngram_reaches_over_a_hole():
    bag = filled(20, 4, order=3, buckets=10_000)
    mask = torch.tensor([[True, True, False, True, True]])
    grams = bag.grams(torch.tensor([[1, 2, 3, 4, 5]]), mask)[0]
    real = grams[grams != bag.padding].tolist()
    pair = [bag.grams(torch.tensor([p]))[0, -1].item() for p in ([1, 2], [4, 5])]
    assert sorted(real) == sorted([1, 2, 4, 5, *pair])


def test_compiled_shapes_give_the_same(monkeypatch):
    bag = filled(20, 4, order=2, buckets=64)
    tokens, mask = torch.randint(0, 20, (3, 7)), torch.arange(7) < torch.tensor([[7], [2], [0]])
    out = bag(tokens, mask)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(bag(tokens, mask), out)


def test_hashes_are_spread_and_stay_as_they_are():
    bag = HashedBag(1000, 1, order=2, buckets=512)
    a, b = torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij")
    rows = bag.grams(torch.stack([a, b], -1).reshape(-1, 2))[:, 2] - 1000
    counts = torch.bincount(rows, minlength=512).double()
    assert len(counts) == 512
    expected = 40_000 / 512
    assert ((counts - expected) ** 2 / expected).sum() < 700  # chi-squared with 511 degrees of freedom
    big = HashedBag(2**20, 1, order=3, buckets=1 << 20)
    assert big.grams(torch.tensor([[2**20 - 1, 5, 77]]))[0, 3:].tolist() == GOLD


GOLD = [1392519, 1144788, 1387782]  # models are saved with the table that these point into


def test_gradient_reaches_what_was_met_and_nothing_else():
    bag = HashedBag(10, 3, order=2, buckets=16)
    assert bag(torch.tensor([[1, 2]])).abs().sum() == 0
    bag(torch.tensor([[1, 2]]), torch.tensor([[True, True]])).sum().backward()
    touched = bag.table.weight.grad.abs().sum(1).nonzero()[:, 0].tolist()
    assert touched == sorted(rows_of(bag, [1, 2]))


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="buckets 0"):
        HashedBag(10, 3, order=2, buckets=0)
    with pytest.raises(ValueError, match="order 0"):
        HashedBag(10, 3, order=0)
    assert HashedBag(10, 3, order=1).table.weight.shape == (11, 3)
