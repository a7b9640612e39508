"""Random filters."""

from __future__ import annotations

import pytest
import torch

from ranvier.nets.filters import RandomFilters


def pictures(*sizes):
    draw = torch.Generator().manual_seed(2)
    return [torch.rand(1, 3, *size, generator=draw).square() for size in sizes]


def made(seen, seed=0, widths=(6, 8)):
    return RandomFilters(widths, seen, torch.Generator().manual_seed(seed))


def test_what_they_say_of_the_pictures_has_one_scale():
    seen = pictures((20, 16), (9, 11))
    net = made(seen)
    maps = [net(each) for each in seen]
    assert [tuple(each.shape[1:]) for each in maps[1]] == [(3, 9, 11), (6, 9, 11), (8, 5, 6)]
    colours, first = (torch.cat([each[k][0].flatten(1) for each in maps], 1) for k in (0, 1))
    torch.testing.assert_close(colours.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    assert (colours.std(1) > 0.8).all()
    assert first.min() == 0  # after ReLU of mean 0 and variance 1
    assert 0.3 < first.square().mean() < 0.7
    assert not any(p.requires_grad for p in net.parameters())


def test_the_seed_alone_draws_them_and_gradients_reach_the_picture():
    seen = pictures((12, 12))
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one, same, other = made(seen), made(seen), made(seen, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b, c in zip(one(seen[0])[1:], same(seen[0])[1:], other(seen[0])[1:], strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    x = seen[0].requires_grad_()
    one(x)[-1].sum().backward()
    assert x.grad.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (8, 8)])
def test_pictures_of_any_size_and_of_one_colour(size):
    net = made([torch.full((1, 3, *size), 0.4)])
    assert all(each.isfinite().all() for each in net(torch.rand(1, 3, *size)))


def test_widths_are_positive():
    with pytest.raises(ValueError, match="positive widths"):
        made(pictures((8, 8)), widths=(4, 0))
