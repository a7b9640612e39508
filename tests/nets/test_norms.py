"""Every norm against its formula in float64, of vectors and of maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.registry import names
from ranvier.nets.norms import IN_GROUP, make_norm

WIDTH = 2 * IN_GROUP


def randomised(net: nn.Module) -> nn.Module:
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    return net.double()


def scaled(y: torch.Tensor, net: nn.Module, maps: bool) -> torch.Tensor:
    shape = (-1, 1, 1) if maps else (-1,)
    y = y * net.weight.view(shape)
    return y if getattr(net, "bias", None) is None else y + net.bias.view(shape)


def normal(x: torch.Tensor, axes: tuple[int, ...], eps: float = 1e-5) -> torch.Tensor:
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + eps).sqrt()


def grouped(x: torch.Tensor, maps: bool) -> torch.Tensor:
    parts = x.unflatten(1, (2, IN_GROUP))
    return normal(parts, (2, 3, 4) if maps else (2,)).flatten(1, 2)


REFERENCES = {
    "batch": lambda x, maps: normal(x, (0, 2, 3) if maps else (0,)),
    "layer": lambda x, maps: normal(x, (1, 2, 3) if maps else (1,)),
    "group": grouped,
    "rms": lambda x, maps: x / (x.square().mean((1, 2, 3) if maps else (1,), keepdim=True) + 1e-6).sqrt(),
}


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("name", REFERENCES)
def test_against_the_formula(name, maps):
    net = randomised(make_norm(name, WIDTH, maps=maps))
    x = 3 + 2 * torch.randn(5, WIDTH, *((3, 4) if maps else ()), dtype=torch.float64)
    torch.testing.assert_close(net(x), scaled(REFERENCES[name](x, maps), net, maps))


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("name", names("norm"))
def test_starts_as_the_bare_norm_and_rows_are_apart_in_evaluation(name, maps):
    net = make_norm(name, 8, maps=maps)
    assert [p.unique().tolist() for p in net.parameters()] == [[1.0], [0.0]][: len(list(net.parameters()))]
    x = torch.randn(4, 8, *((2, 3) if maps else ()))
    alone = name == "none" or not torch.allclose(net(x)[:2], net(x[:2]), atol=1e-6)
    assert alone == (name in ("none", "batch"))
    if name == "none":
        assert torch.equal(net(x), x)
    net.eval()
    torch.testing.assert_close(net(x)[:2], net(x[:2]))
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x.bfloat16()).isfinite().all()


@pytest.mark.parametrize("name", ["none", "layer", "group", "rms"])
def test_any_axes_may_stand_before_the_features(name):
    net, x = randomised(make_norm(name, WIDTH)), torch.randn(2, 3, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(net(x).flatten(0, 1), net(x.flatten(0, 1)))
    torch.testing.assert_close(net(x)[1, 2], net(x[1, 2]))


def test_evaluation_takes_running_averages_of_the_batches():
    net, x = make_norm("batch", 3).double(), 5 + 2 * torch.randn(50, 3, dtype=torch.float64)
    net(x)
    mean, variance = 0.1 * x.mean(0), 0.9 + 0.1 * x.var(0)
    torch.testing.assert_close(net.eval()(x), (x - mean) / (variance + 1e-5).sqrt())


@pytest.mark.parametrize(("width", "groups"), [(8, 1), (16, 1), (32, 2), (40, 2), (64, 4), (50, 2), (53, 1), (512, 32)])
def test_groups_share_features_evenly(width, groups):
    for maps in (False, True):
        assert make_norm("group", width, maps=maps).num_groups == groups


def test_squares_of_maps_do_not_overflow_half_precision():
    x = torch.full((1, 4, 2, 2), 1e4, dtype=torch.float16)
    torch.testing.assert_close(make_norm("rms", 4, maps=True).half()(x), torch.ones_like(x))


def test_refusals():
    net = make_norm("batch", 4)
    with pytest.raises(PlanError, match="needs two rows or more in a batch, got 1; try norm 'layer'"):
        net(torch.randn(1, 4))
    assert net.eval()(torch.randn(1, 4)).shape == (1, 4)
    with pytest.raises(ValueError, match="expects vectors"):
        net(torch.randn(2, 4, 4))
    with pytest.raises(PlanError, match="unknown norm 'layers'; did you mean 'layer'"):
        make_norm("layers", 4)
