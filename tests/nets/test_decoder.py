"""Reading on token by token is the same as reading all at once; nobody looks ahead; attention against its formula."""

from __future__ import annotations

import pytest
import torch

from ranvier.nets.attention import GRAIN, Cache
from ranvier.nets.decoder import Look, RecurrentDecoder
from ranvier.nets.transformer import Transformer

B, T, S, D, M = 3, 6, 4, 8, 5
RECURRENT = [(cell, look) for cell in ("rnn", "lstm", "gru") for look in ("dot", "additive")]
KINDS = ["transformer", *RECURRENT]


def made(kind, memory=M):
    if kind == "transformer":
        net = Transformer(D, depth=2, heads=2, causal=True, memory=memory)
    else:
        net = RecurrentDecoder(D, cell=kind[0], layers=2, attention=kind[1], memory=memory)
    return net.double().eval()


def seen(memory=M):
    if not memory:
        return {}
    mask = torch.arange(S) < torch.tensor([4, 2, 1])[:, None]
    return {"memory": torch.randn(B, S, memory, dtype=torch.float64), "memory_mask": mask}


def start(net, given):
    if isinstance(net, RecurrentDecoder):
        return net.start(*given.values(), rows=B) if given else net.start(rows=B)
    return net.start(*given.values())


@pytest.mark.parametrize("memory", [M, 0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [[1] * T, [3, 1, 2], [T]])
def test_reading_on_is_reading_all_at_once(kind, memory, cuts):
    net, given, x = made(kind, memory), seen(memory), torch.randn(B, T, D, dtype=torch.float64)
    whole, place = net(x, **given), start(net, given)
    parts = [net.read(part, place) for part in x.split(cuts, 1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_before_changes_nothing(kind):
    net, given, x = made(kind), seen(), torch.randn(B, T, D, dtype=torch.float64)
    lengths = torch.tensor([6, 3, 1])
    mask = torch.arange(T) >= T - lengths[:, None]
    place = start(net, given)
    first = net.read(x, place, mask)
    more = torch.randn(B, 2, D, dtype=torch.float64)
    later = torch.cat([net.read(more[:, :1], place), net.read(more[:, 1:], place)], 1)
    for row, length in enumerate(lengths.tolist()):
        own = {k: v[row : row + 1] for k, v in given.items()}
        alone = net(torch.cat([x[row : row + 1, T - length :], more[row : row + 1]], 1), **own)
        torch.testing.assert_close(first[row, T - length :], alone[0, :length])
        torch.testing.assert_close(later[row], alone[0, length:])


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_with_some_rows(kind):
    net, given, x = made(kind), seen(), torch.randn(B, T, D, dtype=torch.float64)
    place, rows = start(net, given), torch.tensor([2, 2, 0, 1])
    net.read(x[:, :3], place)
    place.take(rows, rows)
    after = net.read(x[rows, 3:4], place)
    torch.testing.assert_close(after[:, 0], net(x, **given)[rows, 3])


@pytest.mark.parametrize("kind", KINDS)
def test_ways_share_their_rows_memory_and_change_places(kind):
    net, given, x = made(kind), seen(), torch.randn(B, T, D, dtype=torch.float64)
    place, ways = start(net, given), torch.arange(B).repeat_interleave(2)
    net.read(x[:, :3], place)
    place.take(ways)
    asked, true = torch.randn(2 * B, 3, D, dtype=torch.float64), {k: v[ways] for k, v in given.items()}
    first = net.read(asked[:, :1], place)
    whole = torch.cat([x[ways, :3], asked], 1)
    torch.testing.assert_close(first[:, 0], net(whole, **true)[:, 3])
    kept = torch.tensor([1, 1, 5, 4])  # of the first row and the last
    place.take(kept, torch.tensor([0, B - 1]))
    more = net.read(asked[kept, 1:], place)
    torch.testing.assert_close(more, net(whole, **true)[kept, 4:])


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_sees_a_later_one(kind):
    net, given, x = made(kind), seen(), torch.randn(B, T, D, dtype=torch.float64)
    other = x.clone()
    other[:, 4:] = torch.randn(B, 2, D)
    one, two = net(x, **given), net(other, **given)
    torch.testing.assert_close(one[:, :4], two[:, :4])
    assert not torch.allclose(one[:, 4:], two[:, 4:])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_masked_of_the_memory_is_not_seen(kind):
    net, given, x = made(kind), seen(), torch.randn(B, T, D, dtype=torch.float64)
    noise = torch.where(given["memory_mask"][..., None], given["memory"], 9.0)
    torch.testing.assert_close(net(x, memory=noise, memory_mask=given["memory_mask"]), net(x, **given))
    assert net(x, memory=given["memory"], memory_mask=torch.zeros(B, S, dtype=torch.bool)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    net, given = made(kind), seen()
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    memory = given["memory"].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, m: net(x[:1, :3], memory=m[:1], memory_mask=given["memory_mask"][:1]).sum(2),
        (x, memory),
        fast_mode=True,
    )


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_attention_against_its_formula(kind):
    look = Look(D, M, kind=kind).double()
    h, memory = torch.randn(1, 2, D, dtype=torch.float64), torch.randn(1, 3, M, dtype=torch.float64)
    mask = torch.tensor([[True, True, False]])
    said = look(h, look.key(memory), memory, mask)
    for t in range(2):
        energies = []
        for s in range(2):
            q, k = look.query.weight @ h[0, t], look.key.weight @ memory[0, s]
            energies.append(q @ k / D**0.5 if kind == "dot" else look.energy.weight[0] @ torch.tanh(q + k))
        shares = torch.stack(energies).softmax(0)
        torch.testing.assert_close(said[0, t], shares @ memory[0, :2])


def test_memories_that_were_not_foreseen():
    x = torch.randn(B, T, D, dtype=torch.float64)
    for kind in ("transformer", ("gru", "dot")):
        with pytest.raises(ValueError, match="expected"):
            made(kind)(x)
        with pytest.raises(ValueError, match="not foreseen"):
            made(kind, 0)(x, **seen())
    with pytest.raises(ValueError, match="causal"):
        Transformer(D, heads=2).read(x.float(), Transformer(D, heads=2).start())


def test_a_cache_grows_and_keeps_what_it_holds():
    cache, parts = Cache(), [torch.randn(2, 1, n, 4) for n in (3, 1, 1, GRAIN - 5, 5)]
    for part in parts:
        keys, values = cache.add(part, -part)
    assert cache.length == GRAIN + 5
    assert keys.is_contiguous()
    assert torch.equal(keys[:, :, : cache.length], torch.cat(parts, 2))
    assert torch.equal(values, -keys)
    assert not keys[:, :, cache.length :].any()  # room, whose values count for nothing and must not be NaN
    cache.take(torch.tensor([1]))
    assert torch.equal(cache.room()[0][:, :, : cache.length], keys[1:, :, : cache.length])


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 0, 1, 2], [2, 1, 2, 0], [1], [0, 0, 1, 1, 3, 2]])
@pytest.mark.parametrize("room", [False, True])
def test_a_cache_goes_on_with_the_rows_that_are_taken(rows, room):
    cache, parts = Cache(), [torch.randn(4, 1, n, 2) for n in (3, 1, 2)[: 3 if room else 1]]
    for part in parts:
        cache.add(part, -part)
    before = torch.cat(parts, 2)
    cache.take(torch.tensor(rows))
    after = torch.randn(len(rows), 1, 1, 2)
    keys, values = (part[:, :, : cache.length] for part in cache.add(after, -after))
    assert torch.equal(keys, torch.cat([before[rows], after], 2))
    assert torch.equal(values, -keys)
