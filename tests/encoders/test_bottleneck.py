"""Inputs through few numbers."""

from __future__ import annotations

import torch

from ranvier.core.protocols import Batch, Features, Head, Value
from ranvier.core.spec import Spec
from ranvier.encoders.bottleneck import Bottleneck
from ranvier.encoders.dense import DenseEncoder
from ranvier.heads.vector import VectorHead
from ranvier.tasks.columns import COST, ColumnsTask

V = frozenset({"vector"})


def parts():
    return {"a": Features(6, torch.randn(6, 3)), "b": Features(6, torch.randn(6, 2))}


def test_all_that_is_known_is_the_code():
    net, given = Bottleneck({"a": 3, "b": 2}, code=2, layer_width=8, depth=1), parts()
    f = net(given, V)
    assert f.code.shape == (6, 2)
    assert f.vector.shape == (6, net.width)
    torch.testing.assert_close(net.expand(f.code).vector, f.vector)
    assert f.cost is None


def test_noise_is_for_training_alone():
    net, given = Bottleneck({"a": 3, "b": 2}, code=2, noise=1.0), parts()
    one, other = net(given, V), net(given, V)
    assert torch.equal(one.code, other.code)
    assert not torch.equal(one.vector, other.vector)
    net.eval()
    assert torch.equal(net(given, V).vector, net(given, V).code)


def test_a_sparse_code_costs_what_it_holds():
    net, given = Bottleneck({"a": 3, "b": 2}, code=4, sparse=0.5), parts()
    f = net(given, V)
    assert (f.code >= 0).all()
    torch.testing.assert_close(f.cost, 0.5 * f.code.sum(1))


def task(sparse):
    spec = Spec("vector", (5,))
    torch.manual_seed(0)
    encoder = DenseEncoder(spec, width=8, hidden=[])
    fuse = Bottleneck({"x": encoder.width}, code=4, sparse=sparse)
    heads: dict[str, Head] = {"x": VectorHead(spec, fuse.width)}
    return ColumnsTask({"x": encoder}, fuse, heads, {"x": 1.0})


def test_the_cost_is_minimised_beside_the_losses():
    x = torch.randn(6, 5)
    batch = Batch(6, {"x": Value(x)}, {"x": Value(x)})
    phase = task(0.5).phases[0]
    losses, counts = phase.loss(batch), phase.count(batch)
    assert losses.keys() == counts.keys() == {"x", COST}
    assert losses[COST].shape == counts[COST].shape == (6,)
    plain = task(0.0).phases[0]
    assert plain.loss(batch).keys() == plain.count(batch).keys() == {"x"}
