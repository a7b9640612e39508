from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.schema import defaults_of
from ranvier.core.spec import Spec
from ranvier.encoders.dense import DenseEncoder

VECTOR = frozenset({"vector"})
SPECS = [Spec("vector", (5,)), Spec("khot", (5,), 4)]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": [7], "norm": "none", "dropout": 0.1},
        {"hidden": [7], "activation": "swiglu", "norm": "rms"},
        {"hidden": [7], "activation": "prelu", "norm": "batch"},
    ],
)
def test_descriptors(spec, options):
    encoder = DenseEncoder(spec, width=6, **options)
    value = Value(torch.randint(2, (4, 5), dtype=torch.uint8), observed=torch.tensor([True, False, True, True]))
    f = encoder(value, VECTOR)
    assert f.vector.shape == (4, 6)
    assert torch.equal(f.vector[1], encoder.missing.vector)
    assert encoder.splits == (options.get("norm") != "batch")
    (f.vector * torch.randn(4, 6)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(value, VECTOR).vector.isfinite().all()
    twin = DenseEncoder(spec, width=6, **options)
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(value, VECTOR).vector, twin.eval()(value, VECTOR).vector)


def test_linear_by_hand():
    encoder = DenseEncoder(Spec("vector", (3,)), width=2, norm="none").double()
    x = torch.randn(4, 3)
    (linear,) = encoder.layers
    torch.testing.assert_close(encoder.layers(x.double()), x.double() @ linear.weight.T + linear.bias)


def test_what_is_missing_may_be_anything():
    encoder = DenseEncoder(SPECS[0], width=4)
    data = torch.randn(2, 5)
    data[1] = torch.nan
    encoder(Value(data, observed=torch.tensor([True, False])), VECTOR).vector.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


def test_overfits_one_batch():
    encoder, out = DenseEncoder(SPECS[0], hidden=[32]), nn.Linear(8, 2)
    x, y = torch.randn(12, 5), torch.arange(12) % 2
    optimizer = torch.optim.Adam([*encoder.parameters(), *out.parameters()], 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(out(encoder(Value(x), VECTOR).vector), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_choices_and_refusals():
    facts = Facts(rows=1000)
    for spec in SPECS:
        assert DenseEncoder.suits(spec, facts)[0] == 0.9
        assert DenseEncoder.choose(spec, facts)["width"][0] == 8
        assert "rate" in DenseEncoder.recipe(spec, facts)
    assert DenseEncoder.choose(Spec("vector", (4096,)), Facts(rows=9, size="l"))["width"][0] == 256
    assert defaults_of(DenseEncoder)["hidden"] == []
    assert DenseEncoder.suits(Spec("tokens"), facts)[0] == 0
    with pytest.raises(PlanError, match="how many numbers"):
        DenseEncoder(Spec("vector", (None,)))
    with pytest.raises(PlanError, match="this one is 'index'"):
        DenseEncoder(Spec("index", (), 3))


def test_labels_never_seen_count_for_nothing_until_taught():
    encoder = DenseEncoder(SPECS[1], width=6, hidden=[3], norm="none")
    marks = torch.tensor([[1, 0, 0, 1, 0], [1, 0, 0, 1, 9], [1, 0, 0, 1, 1]], dtype=torch.uint8)
    out = encoder(Value(marks), VECTOR).vector
    assert torch.equal(out[0], out[1])
    out.square().sum().backward()
    assert encoder.layers[0].weight.grad[:, 4].any()
    encoder.layers[0].weight.data[:, 4] = 1.0
    out = encoder(Value(marks), VECTOR).vector
    assert torch.equal(out[1], out[2])  # whether there are any, not how many
    assert not torch.equal(out[0], out[1])
