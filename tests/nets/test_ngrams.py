"""Vectors of n-grams: against the definition, cut anywhere, and in a network that writes."""

from __future__ import annotations

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.nets.ngrams import NGrams
from ranvier.nets.writer import Writer

B, T, V, D = 3, 12, 20, 8


def filled(net):
    for p in net.parameters():
        torch.nn.init.normal_(p)
    return net


@pytest.mark.parametrize("longest", [2, 3, 4])
def test_equal_ends_have_equal_vectors_and_others_others(longest):
    net = filled(NGrams(D, longest=longest, rows=10_007))
    tokens = torch.arange(4, 4 + T).repeat(2, 1)
    tokens[1, : T - longest] += 50  # all but the last n-gram is another
    one, other = net(tokens)
    same = (one == other).all(1).tolist()
    assert same == [False] * (T - 1) + [True]
    assert not torch.equal(net(tokens.flip(1))[0, -1], one[-1])  # order counts


def test_each_length_has_its_table():
    net = filled(NGrams(D, longest=3, rows=10_007))
    tokens = torch.tensor([[5, 6, 7], [9, 6, 7]])
    both = net(tokens)[:, 2]
    torch.nn.init.zeros_(net.tables[1].weight)
    pairs = net(tokens)[:, 2]
    assert torch.equal(pairs[0], pairs[1])
    assert not torch.equal(both[0], both[1])


def test_rows_are_used_evenly():
    rows = 64
    net = NGrams(rows, longest=2, rows=rows)
    net.tables[0].weight.data = torch.eye(rows)
    pairs = torch.cartesian_prod(torch.arange(4, 100), torch.arange(4, 100))
    used = net(pairs)[:, 1].sum(0)
    assert used.sum() == 96**2
    assert (used - 144).abs().max() < 60  # five standard deviations of a fair draw


def test_nothing_is_added_at_first_and_every_table_learns():
    net = NGrams(D, longest=4, rows=50)
    out = net(torch.randint(V, (B, T)))
    assert not out.any()
    out.sum().backward()
    assert all(table.weight.grad.any() for table in net.tables)


@pytest.mark.parametrize("given", [{"longest": 1}, {"longest": 9}, {"rows": 0}])
def test_what_cannot_be_is_refused(given):
    with pytest.raises(PlanError):
        NGrams(D, **given)


# ---- in a writer


def writer(kind="transformer", grams=3):
    net = Writer(V, D, kind=kind, depth=1, heads=2, grams=grams).double().eval()
    filled(net.grams)
    return net


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@pytest.mark.parametrize("at", [0, 4, T - 1])
def test_no_token_bears_on_earlier_ones(kind, at):
    net, tokens = writer(kind), torch.randint(4, V, (B, T))
    changed = tokens.clone()
    changed[:, at] = (tokens[:, at] + 1) % V
    before, after = net(tokens), net(changed)
    assert torch.equal(before[:, :at], after[:, :at])
    assert ((before - after).abs().amax(2)[:, at:] > 0).all()


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@pytest.mark.parametrize("cuts", [[1] * T, [5, 1, 6], [1, 11]])
def test_reading_on_is_reading_all_at_once(kind, cuts):
    net, tokens = writer(kind, grams=4), torch.randint(4, V, (B, T))
    place, start, whole = net.start(rows=B), 0, net(tokens)
    for size in cuts:
        scores = net.next(tokens[:, start : start + size], place, None)
        start += size
        torch.testing.assert_close(scores, whole[:, start - 1])


@pytest.mark.parametrize("kind", ["transformer", "gru"])
def test_padding_before_is_as_nothing(kind):
    net, tokens = writer(kind), torch.randint(4, V, (B, T))
    mask = torch.ones(B, T, dtype=torch.bool)
    mask[1, :5] = False
    place = net.start(rows=B)
    net.next(tokens, place, mask)
    after = torch.randint(4, V, (B, 1))
    said = net.next(after, place, None)
    alone = net(torch.cat([tokens[1:2, 5:], after[1:2]], 1))
    torch.testing.assert_close(said[1], alone[0, -1])


def test_rows_take_their_last_tokens_along():
    net, tokens = writer(), torch.randint(4, V, (B, T))
    place, rows, more = net.start(rows=B), torch.tensor([2, 2, 0]), torch.randint(4, V, (B, 1))
    net.next(tokens, place, None)
    place.take(rows)
    said = net.next(more, place, None)
    torch.testing.assert_close(said, net(torch.cat([tokens[rows], more], 1))[:, -1])


def test_tables_are_as_many_numbers_as_a_block():
    def count(**given):
        return sum(p.numel() for p in Writer(V, 128, heads=2, **given).parameters())

    assert count(depth=1, grams=3) == pytest.approx(count(depth=2), rel=0.01)
