"""The contrastive head: its loss, its figures, which rows count, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Encoded, Spec
from ranvier.encoders.vit import ViTEncoder
from ranvier.heads.contrastive import VECTOR, ContrastiveHead
from ranvier.ops.contrastive import nt_xent

SPEC, B = Spec("pixels", (6, 8), 1), 5


@pytest.fixture
def made():
    torch.manual_seed(0)
    encoder = ViTEncoder(SPEC, width=8, depth=1, heads=2, patch=2)
    head = ContrastiveHead(SPEC, 8, encoder, layer_width=7, projected=4, temperature=0.3)
    one, other = (Value(torch.randint(256, (B, 6, 8, 1), dtype=torch.uint8)) for _ in "12")
    return head, encoder, encoder(one, VECTOR), other


def test_the_loss_is_of_both_views_and_teaches_the_encoder_by_both(made):
    head, encoder, f, y = made
    said = head.loss("main", f, y)
    expected = nt_xent(head.net(f.vector), head.net(encoder(y, VECTOR).vector), temperature=0.3)
    torch.testing.assert_close(said, expected)
    assert not head.splits
    assert sum(p.numel() for p in head.parameters()) == 8 * 7 + 7 + 7 * 4 + 4  # the encoder is another's
    head.loss("main", Features(B, f.vector.detach()), y).sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_rows_without_a_picture_are_not_seen_by_the_others(made):
    head, _, f, y = made
    y.observed = torch.tensor([True, True, False, True, True])
    kept = torch.tensor([0, 1, 3, 4])
    some = Features(4, f.vector[kept])
    torch.testing.assert_close(head.loss("main", f, y)[kept], head.loss("main", some, y.map(lambda t: t[kept])))
    told = head.judged(f, y)
    assert torch.equal(told["found"][kept], head.judged(some, y.map(lambda t: t[kept]))["found"])


def test_figures_tell_a_collapse(made):
    head, _, f, y = made
    metrics = head.metrics()
    with torch.no_grad():
        metrics.update(head.judged(f, y), y, None)
        figures = metrics.compute()
        assert set(figures) == {"found", "cosine", "spread"}
        assert not head.troubles({"spread": 0.5})
        head.net[-1].weight.zero_()  # every picture at the place of the bias
        collapsed = head.metrics()
        collapsed.update(head.judged(f, y), y, None)
    found = collapsed.compute()
    assert found["spread"] < 1e-5
    assert found["cosine"] == pytest.approx(1)
    assert "collapse" in head.troubles(found)["spread"]


def test_what_it_serves_and_refuses():
    assert ContrastiveHead.suits(SPEC, Facts(rows=9, given=True))[0] > 0
    assert ContrastiveHead.suits(SPEC, Facts(rows=9))[0] == 0
    assert ContrastiveHead.suits(Spec("scalar", (2,)), Facts(rows=9, given=True))[0] == 0
    with pytest.raises(PlanError, match="learns from pictures"):
        ContrastiveHead(Spec("scalar", (2,)), 3)
    with pytest.raises(PlanError, match="needs the encoder"):
        ContrastiveHead(SPEC, 3)


def test_one_picture_however_often_is_refused(made):
    head = made[0]
    data, observed = np.zeros((3, 6, 8, 1), np.uint8), np.array([True, True, False])
    data[2] = 9  # which is missing
    assert "all of these are the same" in head.refuses(Encoded(data, observed))
    data[1, 2, 3] = 1
    assert not head.refuses(Encoded(data, observed))
    assert "0 of 1 rows" in head.refuses(Encoded(data[:1], np.zeros(1, bool)))
