"""The MLP against the same computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.registry import names
from ranvier.nets.mlp import MLP, Residual


def test_is_linear_relu_linear():
    net = MLP(4, [8], 3)
    first, last = (m for m in net.modules() if isinstance(m, nn.Linear))
    x = torch.randn(5, 4)
    expected = (x @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(net(x), expected)
    assert net.width == 3


def test_no_hidden_layer_is_a_linear_map():
    net = MLP(4, [], 3)
    x, y = torch.randn(2, 4), torch.randn(2, 4)
    torch.testing.assert_close(net(x + y) - net(y), net(x) - net(torch.zeros(2, 4)))


def test_without_outputs_the_last_hidden_layer_is_left():
    net = MLP(4, [8, 6], 0)
    assert net.width == 6
    assert (net(torch.randn(5, 4)) >= 0).all()


@pytest.mark.parametrize("norm", names("norm"))
@pytest.mark.parametrize("activation", names("activation"))
def test_gradient_reaches_every_parameter(norm, activation):
    net = MLP(4, [8, 8], 3, norm=norm, activation=activation, residual=True, dropout=0.1)
    net(torch.randn(64, 4)).pow(2).mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.ndim == 2)


def test_residual_layers_are_those_of_equal_width():
    net = MLP(8, [8, 6, 6], 2, residual=True)
    assert [isinstance(layer, Residual) for layer in net] == [True, False, True, False]
    assert not any(isinstance(m, Residual) for m in MLP(8, [8], 2).modules())


def test_rows_do_not_see_one_another_and_dropout_is_for_training():
    net = MLP(4, [16], 3, dropout=0.5, norm="layer")
    x = torch.randn(6, 4)
    assert not torch.equal(net(x), net(x))
    net.eval()
    torch.testing.assert_close(net(x)[2:3], net(x[2:3]))
    torch.testing.assert_close(net(x.view(2, 3, 4)).view(6, 3), net(x))


def test_a_gated_layer_by_hand():
    net = MLP(4, [6], 0, activation="swiglu")
    linear, x = net[0][0], torch.randn(5, 4)
    gate, value = linear(x).chunk(2, -1)
    assert linear.weight.shape == (12, 4)
    torch.testing.assert_close(net(x), gate * torch.sigmoid(gate) * value)


def test_weights_are_drawn_to_suit_the_activation_and_the_output_layer_has_none():
    net = MLP(400, [500], 300)
    first, last = (m for m in net.modules() if isinstance(m, nn.Linear))
    assert first.weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert last.weight.abs().max().item() == pytest.approx((6 / 800) ** 0.5, rel=0.01)
    assert not first.bias.any()
    assert not last.bias.any()
    torch.manual_seed(3)
    own = MLP(4, [8], 3, init="default")
    torch.manual_seed(3)
    assert torch.equal(own[0][0].weight, nn.Linear(4, 8).weight)


@pytest.mark.parametrize("option", ["activation", "norm", "init"])
def test_unknown_names_are_refused_with_the_nearest(option):
    near = {"activation": "gellu", "norm": "bach", "init": "glorott"}[option]
    with pytest.raises(PlanError, match=f"unknown {option} '{near}'; did you mean"):
        MLP(4, [8], 3, **{option: near})


@pytest.mark.parametrize("widths", [(0, [4], 1), (4, [0], 1), (4, [4], -1)])
def test_widths_below_one_are_refused(widths):
    with pytest.raises(ValueError, match="widths must be 1 or more"):
        MLP(*widths)
