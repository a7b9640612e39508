"""Kinds of dropout: what vanishes together, the expected value, and that evaluation is the identity."""

from __future__ import annotations

import pytest
import torch

from ranvier.nets.dropout import Dropout, DropPath, SpatialDropout, rising

ROWS, CHANNELS = 400, 50


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_single_units_vanish(p, dtype):
    x = (torch.rand(501, 203) + 1).to(dtype).requires_grad_()
    y = Dropout(p)(x)
    gone = y == 0
    chance = gone.float()
    assert chance.mean().item() == pytest.approx(p, abs=0.01)
    assert chance.mean(0).std().item() == pytest.approx((p * (1 - p) / 501) ** 0.5, rel=0.2)  # no column stands out
    assert chance.mean(1).std().item() == pytest.approx((p * (1 - p) / 203) ** 0.5, rel=0.2)
    neighbours = (chance[:, 1:] - p) * (chance[:, :-1] - p)
    assert neighbours.mean().item() == pytest.approx(0, abs=0.01)
    torch.testing.assert_close(y[~gone], (x / (1 - p))[~gone], rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=0)
    y.sum().backward()
    assert torch.equal(x.grad == 0, gone)
    assert y.dtype == dtype


def test_units_vanish_by_the_seed_alone():
    x = torch.ones(1_001)
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(5)
        found.append(Dropout(0.5)(x))
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_a_chance_of_1_leaves_nothing_and_no_rows_are_none():
    assert not Dropout(1.0)(torch.ones(9)).any()
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)


def test_whole_channels_vanish():
    x = torch.rand(ROWS, CHANNELS, 3, 2) + 1
    y = SpatialDropout(0.3)(x)
    gone = (y == 0).flatten(2)
    assert torch.equal(gone.any(2), gone.all(2))
    assert gone.any(2).float().mean().item() == pytest.approx(0.3, abs=0.02)
    kept = ~gone.any(2)
    torch.testing.assert_close(y[kept], x[kept] / 0.7)
    assert y.mean().item() == pytest.approx(x.mean().item(), rel=0.02)


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4)])
def test_whole_rows_of_a_branch_vanish(shape):
    x = torch.rand(20_000, *shape) + 1
    y = DropPath(0.2)(x)
    gone = (y == 0).flatten(1) if shape else (y == 0)[:, None]
    assert torch.equal(gone.any(1), gone.all(1))
    assert gone.any(1).float().mean().item() == pytest.approx(0.2, abs=0.01)
    torch.testing.assert_close(y[~gone.any(1)], x[~gone.any(1)] / 0.8)
    assert y.mean().item() == pytest.approx(x.mean().item(), rel=0.02)


@pytest.mark.parametrize("kind", [Dropout, SpatialDropout, DropPath])
def test_evaluation_and_a_chance_of_0_are_the_identity(kind):
    x = torch.randn(4, 3, 2, 2)
    assert torch.equal(kind(0.5).eval()(x), x)
    state = torch.get_rng_state()
    assert kind(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), state)
    assert repr(kind(0.5)) == f"{kind.__name__}(0.5)"


@pytest.mark.parametrize("kind", [SpatialDropout, DropPath])
def test_gradient_is_that_of_what_was_kept(kind):
    x = torch.rand(100, 3, 2, 2, requires_grad=True)
    y = kind(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, (y != 0) * 2.0)


def test_chances_rise_to_the_last_block():
    assert rising(0.2, 4) == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert rising(0.2, 0) == []


@pytest.mark.parametrize("kind", [SpatialDropout, DropPath])
@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_impossible_chances_are_refused(kind, p):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        kind(p)
