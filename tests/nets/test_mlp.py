"""The MLP against the same computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.nets.mlp import ACTIVATIONS, MLP, NORMS, Residual


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


@pytest.mark.parametrize("norm", list(NORMS))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
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


@pytest.mark.parametrize("widths", [(0, [4], 1), (4, [0], 1), (4, [4], -1)])
def test_widths_below_one_are_refused(widths):
    with pytest.raises(ValueError, match="widths must be 1 or more"):
        MLP(*widths)
