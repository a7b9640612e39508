"""The bag as an encoder: its views, missing rows, choices and power to learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.schema import check_options
from ranvier.core.spec import Spec
from ranvier.encoders.bag import BagEncoder

SPEC = Spec("tokens", (None,), 300, "char")
V = frozenset({"vector"})


def test_missing_and_empty_rows_differ():
    encoder = BagEncoder(SPEC, width=8)
    nn.init.normal_(encoder.bag.table.weight)
    tokens = torch.randint(0, 300, (3, 5), dtype=torch.int32)
    mask = torch.tensor([[True] * 5, [False] * 5, [False] * 5])
    features = encoder(Value(tokens, mask, torch.tensor([True, True, False])), V)
    assert features.size == 3
    assert features.vector.shape == (3, encoder.width)
    assert features.vector[1].abs().sum() == 0
    torch.testing.assert_close(features.vector[2], encoder.missing.vector)
    assert features.tokens is None


def test_only_tokens_are_served():
    assert BagEncoder.suits(SPEC, Facts(100))[0] == 0.9
    assert BagEncoder.suits(Spec("index", (), 3), Facts(100))[0] == 0
    with pytest.raises(PlanError, match="tokens"):
        BagEncoder(Spec("index", (), 3))


@pytest.mark.parametrize("rows", [1, 100, 10_000, 1_000_000])
@pytest.mark.parametrize("length", [0, 30, 2000])
@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_choices_fit_the_data(rows, length, size):
    facts = Facts(rows, size=size, length=length)
    options = {name: value for name, (value, _) in BagEncoder.choose(SPEC, facts).items()}
    check_options(BagEncoder, options, "encoder")
    assert 2**14 <= options["buckets"] <= 2**20
    recipe = {name: value for name, (value, _) in BagEncoder.recipe(SPEC, facts).items()}
    assert recipe["epochs"] >= 1
    assert recipe["batch"] >= 1
    assert all(reason for _, reason in BagEncoder.recipe(SPEC, facts).values())


def test_more_data_get_larger_tables_and_fewer_passes():
    buckets, epochs = [], []
    for rows in (100, 10_000, 1_000_000):
        facts = Facts(rows, length=100)
        buckets.append(BagEncoder.choose(SPEC, facts)["buckets"][0])
        epochs.append(BagEncoder.recipe(SPEC, facts)["epochs"][0])
    assert buckets == sorted(buckets)
    assert buckets[0] < buckets[-1]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[-1]


def test_it_learns_what_only_the_order_of_tokens_tells():
    torch.manual_seed(0)
    encoder, head = BagEncoder(SPEC, width=8, order=2, buckets=4096), nn.Linear(8, 2)
    first = torch.randint(0, 2, (64,))
    tokens = torch.stack([torch.where(first == 0, 5, 6), torch.where(first == 0, 6, 5)], 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.02)
    for _ in range(40):
        loss = nn.functional.cross_entropy(head(encoder(Value(tokens), V).vector), first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
