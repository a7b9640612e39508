from __future__ import annotations

import pytest
import torch

from ranvier.nets.pool import (
    AttentionPool,
    Missing,
    Pool,
    last_token,
    maps_to_tokens,
    masked_max,
    masked_mean,
)

TOKENS = torch.tensor([[[1.0, -8.0], [3.0, -2.0], [90.0, 90.0]], [[7.0, 7.0]] * 3])
MASK = torch.tensor([[True, True, False], [False, False, False]])


def test_by_hand():
    assert masked_mean(TOKENS, MASK).tolist() == [[2.0, -5.0], [0.0, 0.0]]
    assert masked_max(TOKENS, MASK).tolist() == [[3.0, -2.0], [0.0, 0.0]]
    assert last_token(TOKENS, MASK).tolist() == [[3.0, -2.0], [0.0, 0.0]]
    assert masked_mean(TOKENS[:1, :2]).tolist() == [[2.0, -5.0]]
    assert last_token(TOKENS[:1]).tolist() == [[90.0, 90.0]]


@pytest.mark.parametrize("kind", ["mean", "max", "last", "attention"])
def test_padding_changes_nothing(kind):
    pool = Pool(2, kind=kind)
    short = pool(TOKENS[:, :2], MASK[:, :2])
    torch.testing.assert_close(pool(TOKENS, MASK), short)
    torch.testing.assert_close(pool(TOKENS[:1, :2]), short[:1])
    assert pool(TOKENS[:, :0], MASK[:, :0]).tolist() == [[0.0, 0.0]] * 2


def test_attention_weighs_by_its_scores():
    pool = AttentionPool(2).double()
    tokens = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    scores = torch.tanh(tokens @ pool.key.weight.T + pool.key.bias) @ pool.query.weight[0]
    want = (scores.softmax(1)[..., None] * tokens).sum(1)
    torch.testing.assert_close(pool(tokens), want, atol=1e-6, rtol=1e-6)  # the softmax is in float32
    pool(tokens).sum().backward()
    assert all(p.grad.any() for p in pool.parameters())


def test_conversions():
    maps = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert maps_to_tokens(maps).tolist() == [[[i, i + 6] for i in range(6)]]


def test_missing_rows_get_the_learned_vector():
    missing = Missing(2)
    observed = torch.tensor([True, False])
    vector = missing(torch.ones(2, 2), observed)
    assert torch.equal(vector[0], torch.ones(2))
    assert torch.equal(vector[1], missing.vector)
    tokens, mask = missing.tokens(TOKENS, MASK, observed)
    assert torch.equal(tokens[0], TOKENS[0])
    assert torch.equal(tokens[1, 0], missing.vector)
    assert mask.tolist() == [[True, True, False], [True, False, False]]
    tokens.sum().backward()
    assert missing.vector.grad.any()
