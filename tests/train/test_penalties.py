"""Penalties on the weights: each by hand, on matrices and never on biases, norms and embeddings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.spec import Spec
from ranvier.encoders.number import NumberEncoder
from ranvier.nets import PiecewiseLinear
from ranvier.train import fit
from ranvier.train.optimizers import parameter_groups
from ranvier.train.penalties import Penalties, sparsity

RATE = 0.1


def stepped(decay=0.0, grad=0.0, **asked):
    """The weights of linear layer, norm and embedding after one step of plain gradient descent with a penalty."""
    net = nn.ModuleDict({"linear": nn.Linear(2, 2), "norm": nn.LayerNorm(2), "embed": nn.Embedding(2, 2)})
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(0.5)
        net["linear"].weight.copy_(torch.tensor([[3.0, -4.0], [0.04, -0.2]]))
    for p in net.parameters():
        p.grad = torch.full_like(p, grad)
    optimizer = torch.optim.SGD(parameter_groups(net, net.parameters(), RATE, decay))
    penalties = Penalties(**{"l1": 0.0, "l2": 0.0, "max_norm": 0.0, **asked})
    penalties.before(optimizer)
    optimizer.step()
    penalties.after(optimizer)
    return net, optimizer


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"decay": 0.5}, [[3 * 0.95, -4 * 0.95], [0.04 * 0.95, -0.2 * 0.95]]),  # 1 - rate * decay
        ({"l2": 0.5}, [[3 * 0.95, -4 * 0.95], [0.04 * 0.95, -0.2 * 0.95]]),  # the same for plain gradient descent
        ({"l1": 1.0}, [[2.9, -3.9], [0.0, -0.1]]),  # |p| less rate * l1, and never past 0
        ({"max_norm": 2.5}, [[1.5, -2.0], [0.04, -0.2]]),  # the first unit's norm is 5
        ({"l1": 1.0, "grad": 1.0}, [[2.8, -4.0], [0.0, -0.2]]),  # the step first: 2.9, -4.1, -0.06, -0.3
    ],
)
def test_by_hand(asked, expected):
    net, _ = stepped(**asked)
    assert net["linear"].weight.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    kept = 0.5 - RATE * asked.get("grad", 0.0)
    for spared in (net["linear"].bias, net["norm"].weight, net["norm"].bias, net["embed"].weight):
        assert (spared == kept).all()


def test_sparsity_counts_exact_zeros_of_matrices():
    _, optimizer = stepped(l1=1.0)
    assert sparsity(optimizer) == 0.25


def test_decay_and_l2_part_ways_where_the_gradient_is_scaled():
    """Adam scales the gradient, and with it L2, but never the decay (Loshchilov & Hutter 2019, figure 1)."""
    moved = {}
    for name in ("decay", "l2"):
        net = nn.Linear(1, 1, bias=False)
        nn.init.constant_(net.weight, 1.0)
        x = torch.zeros(4, 1)
        fit(
            net, (x, x), loss="squared_error", optimizer="adam", rate=0.01, schedule="constant", epochs=1, **{name: 0.5}
        )
        moved[name] = 1.0 - net.weight.item()
    assert moved == {"decay": pytest.approx(0.005, rel=1e-4), "l2": pytest.approx(0.01, rel=1e-4)}


def test_l1_selects_the_features_that_matter():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(400, 10, generator=random)
    y = 2 * x[:, :1] - 3 * x[:, 1:2] + 0.1 * torch.randn(400, 1, generator=random)
    net = nn.Linear(10, 1)
    fit(net, (x, y), loss="squared_error", optimizer="sgd", rate=0.05, l1=0.2, epochs=20)
    assert (net.weight[0, :2].abs() > 1.5).all()
    assert (net.weight[0, 2:] == 0).all()


def test_of_stacked_matrices_each_unit_is_bounded_and_biases_are_spared():
    net = PiecewiseLinear(3, 4, bins=2)
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(2.0)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer = torch.optim.SGD(parameter_groups(net, net.parameters(), RATE, 0.5))
    Penalties(0.0, 0.0, 0.5).after(optimizer)
    torch.testing.assert_close(net.filled.weight.norm(dim=1), torch.full((3, 4), 0.5))
    Penalties(1.0, 0.0, 0.0).before(optimizer)
    assert (net.linear.bias == 2.0).all()


@pytest.mark.parametrize("kind", ["piecewise", "periodic"])
def test_numbers_missing_vectors_and_embeddings_biases_are_not_shrunk(kind):
    encoder = NumberEncoder(Spec("scalar", (2,), parts=(Spec("scalar", (2,)),) * 3), embedding=kind)
    shrunk = {
        id(p)
        for group in parameter_groups(encoder, encoder.parameters(), RATE, 0.1)
        if group["shrinks"]
        for p in group["params"]
    }
    assert {name for name, p in encoder.named_parameters() if id(p) in shrunk} == {
        "piecewise": {"embed.linear.weight", "embed.filled.weight"},
        "periodic": {"embed.linear.weight"},
    }[kind]
