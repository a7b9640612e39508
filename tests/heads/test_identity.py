"""The head of identities: both losses, who does not count, what it refuses, and what whitening does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.identity import IdentityHead
from ranvier.ops.contrastive import supervised_contrastive

SPEC, D, B = Spec("identity", (), 3), 6, 12
CODES = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 900, 900, 901])  # the last were not trained on


def features(members: int = 1) -> Features:
    return Features(B * members, torch.randn(B * members, D, requires_grad=True), members=members)


@pytest.mark.parametrize("loss", ["arcface", "cross_entropy"])
def test_over_identities_it_learns_of_those_it_knows_alone(loss):
    head, f = IdentityHead(SPEC, D, None, loss=loss), features()
    y = Value(CODES, None, torch.arange(B) != 0)
    loss = head.loss("main", f, y)
    assert head.count(y).tolist() == [0] + [1] * 8 + [0] * 3
    assert (loss[[0, 9, 10, 11]] == 0).all()
    assert (loss[1:9] > 0).all()
    loss.sum().backward()
    assert (f.vector.grad[9:] == 0).all()
    assert head.splits


def test_contrast_is_of_rows_that_have_a_mate():
    head, f = IdentityHead(SPEC, D, None, loss="contrastive", temperature=0.3), features()
    y = Value(CODES)
    assert head.count(y).tolist() == [1] * 11 + [0]
    torch.testing.assert_close(head.loss("main", f, y), supervised_contrastive(f.vector, CODES, temperature=0.3))
    assert not head.splits
    assert [IdentityHead.gathers({"loss": loss}) for loss in ("contrastive", "arcface")] == [True, False]
    assert not list(head.parameters())
    two = features(members=2)
    each = head.loss("main", two, Value(CODES.repeat_interleave(2))).unflatten(0, (-1, 2))
    torch.testing.assert_close(each[:, 1], supervised_contrastive(two.vector[1::2], CODES, temperature=0.3))


def test_contrast_moves_rows_that_all_start_at_zero():
    head, table = IdentityHead(SPEC, D, None, loss="contrastive"), torch.zeros(B, D, requires_grad=True)
    head.loss("main", Features(B, table), Value(CODES)).sum().backward()
    assert table.grad.isfinite().all()
    assert (table.grad != 0).any()
    assert head.eval().loss("main", Features(B, table), Value(CODES)).isfinite().all()


def test_vectors_have_length_one_and_whitening_changes_them_after_training_only():
    head, f = IdentityHead(SPEC, D, None, layer_width=4), features()
    before, loss = head.predict(f)["vector"], head.loss("main", f, Value(CODES))
    assert before.shape == (B, 4)
    vectors = head.vector(f).detach() + 3
    head.settle(vectors, CODES)
    after = head.predict(f)["vector"]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after.norm(dim=1), torch.ones(B))
    torch.testing.assert_close(head.loss("main", f, Value(CODES)), loss)
    torch.testing.assert_close(head.middle, vectors.mean(0))
    plain = IdentityHead(SPEC, D, None, whiten=False)
    plain.settle(torch.randn(B, D), CODES)
    assert torch.equal(plain.spread, torch.eye(D))


@pytest.mark.parametrize(
    ("codes", "told"), [([5, 5, 5], "1 identity in 3 rows"), ([1, 2, 3], "a single row each"), ([1, 1, 2], "")]
)
def test_what_cannot_be_learnt_is_refused(codes, told):
    why = IdentityHead(SPEC, D).refuses(Encoded(np.array(codes), np.ones(3, bool)))
    assert told in why
    assert bool(told) == bool(why)


def test_the_loss_is_chosen_by_how_many_there_are():
    for size, loss in ((5, "cross_entropy"), (500, "arcface")):
        spec = Spec("identity", (), size)
        assert IdentityHead.choose(spec, Facts(rows=900))["loss"][0] == IdentityHead(spec, D).kind == loss


def test_other_columns_and_options_out_of_range():
    with pytest.raises(PlanError, match="kind 'identity'"):
        IdentityHead(Spec("index", (), 3), D)
    with pytest.raises(PlanError, match="shrink"):
        IdentityHead(SPEC, D, None, shrink=0.0)
