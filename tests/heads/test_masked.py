"""The masked head: its loss by hand, the table it shares, figures, and what it refuses."""

from __future__ import annotations

import copy

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Spec
from ranvier.encoders.transformer import TransformerEncoder
from ranvier.heads.masked import MaskedHead

SPEC, B, T, D = Spec("tokens", (None,), 20, "char"), 3, 5, 8


def given() -> tuple[Features, Value]:
    asked = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    real = torch.arange(T) < torch.tensor([5, 2, 0])[:, None]
    return Features(B, tokens=Value(torch.randn(B, T, D), real)), Value(torch.randint(20, (B, T)), asked)


def test_the_loss_is_the_sum_of_the_surprise_at_hidden_tokens():
    head, (f, y) = MaskedHead(SPEC, D), given()
    loss = head.loss("main", f, y)
    assert head.count(y).tolist() == [2, 1, 0]
    inner = torch.nn.functional.gelu(head.lead(f.tokens.data))
    log_p = (head.norm(inner) @ head.table.weight.T + head.bias).log_softmax(2)
    by_hand = [-sum(log_p[b, t, y.data[b, t]] for t in range(T) if y.mask[b, t]) for b in range(B)]
    torch.testing.assert_close(loss, torch.stack([torch.as_tensor(x) for x in by_hand]))
    with torch.no_grad():
        torch.testing.assert_close(head.loss("main", f, y), loss.detach())
        judged = head.judged(f, y)
    torch.testing.assert_close(judged["nats"], loss.detach())
    right = (log_p.argmax(2) == y.data) & y.mask
    assert judged["right"].tolist() == right.sum(1).tolist()
    said = head.predict(f)
    assert torch.equal(said["tokens"], log_p.argmax(2) * f.tokens.mask)


def test_other_places_are_not_scored():
    head, (f, y) = MaskedHead(SPEC, D), given()
    other = Value(torch.where(y.mask, y.data, 0), y.mask)
    assert torch.equal(head.loss("main", f, y), head.loss("main", f, other))


def test_the_encoders_table_names_tokens_and_is_counted_once():
    encoder = TransformerEncoder(SPEC, width=12, depth=1, heads=2, dropout=0.0)
    head, (f, y) = MaskedHead(SPEC, D, encoder), given()
    assert sum(p.numel() for p in head.parameters()) == D * 12 + 12 + 24 + 20
    head.loss("main", f, y).sum().backward()
    assert encoder.read.embedding.weight.grad.abs().sum() > 0
    both = torch.nn.ModuleList([encoder, head])
    twin = copy.deepcopy(both)
    with torch.no_grad():
        twin[0].read.embedding.weight.add_(1.0)
    assert not torch.equal(twin[1]._scores(f.tokens.data[0]), head._scores(f.tokens.data[0]))


def test_what_it_serves_and_refuses():
    both, apart = Facts(rows=9, given=True), Facts(rows=9)
    assert MaskedHead.suits(SPEC, both)[0] == 1
    assert MaskedHead.suits(SPEC, apart)[0] == 0
    assert MaskedHead.suits(Spec("tokens", (None,), 9, "char", tokenizer="x"), both)[0] == 0
    assert MaskedHead.suits(Spec("scalar", (2,)), both)[0] == 0
    for share in (0.0, 1.0):
        with pytest.raises(PlanError, match="share"):
            MaskedHead(SPEC, D, share=share)
    with pytest.raises(PlanError, match="restores a column of texts"):
        MaskedHead(Spec("scalar", (2,)), D)
    with pytest.raises(PlanError, match="view 'tokens'"):
        MaskedHead(SPEC, D).predict(Features(1, torch.zeros(1, D)))
