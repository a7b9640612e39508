"""The ensemble against k networks with dense matrices."""

from __future__ import annotations

import pytest
import torch

from ranvier.core.registry import names
from ranvier.nets.tabm import EnsembleLinear, MemberLinear, TabM


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net


def test_each_member_is_a_dense_layer_of_its_own():
    layer, x = randomised(EnsembleLinear(4, 5, 3)), torch.randn(6, 1, 4)
    for k in range(3):
        dense = layer.s[k][:, None] * layer.weight * layer.r[k]
        torch.testing.assert_close(layer(x)[:, k], x[:, 0] @ dense.T + layer.bias[k])
    own = torch.randn(6, 3, 4)
    torch.testing.assert_close(layer(own)[:, 1], layer(own[:, 1:2])[:, 1])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_without_gradients_the_same_is_said(precision: torch.dtype):
    net, x = randomised(TabM(7, [16, 16], 0, members=4, skip=True)), torch.randn(50, 7)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        learning = net(x)
        with torch.inference_mode():
            said = net(x)
    torch.testing.assert_close(said, learning.detach(), rtol=1e-5, atol=1e-4)


def test_member_linear():
    layer, x = MemberLinear(4, 5, 3), torch.randn(6, 3, 4)
    torch.testing.assert_close(layer(x)[:, 2], x[:, 2] @ layer.weight[2] + layer.bias[2])


@pytest.mark.parametrize("outputs", [0, 3])
@pytest.mark.parametrize("skip", [False, True])
def test_shapes_gradients_and_rows_apart(outputs, skip):
    net = TabM(7, [16, 8], outputs, members=4, skip=skip)
    x = torch.randn(10, 7)
    y = net(x)
    assert y.shape == (10, 4, net.width)
    assert net.width == (outputs or 8 + 7 * skip)
    torch.testing.assert_close(net(x[3:5]), y[3:5])
    y.pow(2).mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_members_differ_from_the_start_by_the_signs_of_the_first_layer():
    net = TabM(7, [16], 0, members=4)
    assert set(net.layers[0].r.detach().flatten().tolist()) == {-1.0, 1.0}
    y = net(torch.randn(10, 7))
    assert (y[:, 0] - y[:, 1]).abs().max() > 1e-3


def test_the_skip_puts_the_input_beside_the_last_hidden_layer():
    net, x = TabM(7, [16], 0, members=4, skip=True), torch.randn(10, 7)
    torch.testing.assert_close(net(x)[:, 2, 16:], x)


@pytest.mark.parametrize("activation", names("activation"))
def test_any_activation_in_each_layer(activation):
    net = TabM(5, [6, 4], 2, members=3, activation=activation)
    y = net(torch.randn(7, 5))
    assert y.shape == (7, 3, 2)
    y.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    assert len(list(net.activations.parameters())) == (2 if activation == "prelu" else 0)


def test_scales_and_biases_of_members_escape_weight_decay():
    net = TabM(7, [16], 3)
    decayed = {name for name, p in net.named_parameters() if not getattr(p, "no_decay", False)}
    assert decayed == {"layers.0.weight", "output.weight"}


def test_learns_what_no_linear_model_can():
    x = torch.rand(400, 2) * 2 - 1
    y = (x[:, 0] * x[:, 1] > 0).long()
    net = TabM(2, [32, 32], 2, members=4)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(80):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x).flatten(0, 1), y.repeat_interleave(4)).backward()
        optimizer.step()
    assert (net(x).softmax(-1).mean(1).argmax(1) == y).float().mean() > 0.95


@pytest.mark.parametrize(("inputs", "hidden", "outputs", "members"), [(0, [4], 1, 2), (4, [], 1, 2), (4, [4], 1, 0)])
def test_impossible_widths_are_refused(inputs, hidden, outputs, members):
    with pytest.raises(ValueError, match="widths must be 1 or more"):
        TabM(inputs, hidden, outputs, members=members)
