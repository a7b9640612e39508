"""Pairs of rows: areas and equal error rates against references, ties, margins of angles, mates, whitening."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch.nn import functional as F

from ranvier.core.protocols import Value
from ranvier.ops.contrastive import mates, supervised_contrastive
from ranvier.ops.margins import angular_margin
from ranvier.ops.verification import Verification, curve, pairs, rank_one, to_means
from ranvier.ops.whitening import whitening


def test_the_area_is_that_of_scikit_learn_ties_included():
    alike, same = torch.randint(0, 12, (400,)).float(), torch.rand(400) < 0.3
    told = curve(alike, same)
    assert told.auc == pytest.approx(reference.roc_auc_score(same.numpy(), alike.numpy()))


def test_the_equal_error_rate_by_hand():
    alike = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    same = torch.tensor([True, True, False, True, False, True, False, False])
    told = curve(alike, same)  # from 0.6 on: one of four found wrongly, one of four missed
    assert (told.eer, told.threshold) == pytest.approx((0.25, 0.55))
    assert curve(-alike, ~same).eer == pytest.approx(0.25)
    apart = curve(torch.tensor([0.9, 0.8, 0.1]), torch.tensor([True, True, False]))
    assert (apart.auc, apart.eer) == (1.0, 0.0)
    assert apart.threshold == pytest.approx(0.45)


@pytest.mark.parametrize("same", [[True, True], [False, False]])
def test_without_pairs_of_both_kinds_nothing_is_told(same):
    assert math.isnan(curve(torch.tensor([0.3, 0.4]), torch.tensor(same)).eer)


def test_rows_are_compared_with_means_of_others():
    vectors, code = torch.randn(12, 4), torch.tensor([0, 1, 0, 0, 1, 2, 0, 2, 0, 1, 1, 1])
    unit = F.normalize(vectors, dim=1)
    expected = []
    for rows in ([0, 2], [3, 6], [1, 4], [9, 10]):  # of 0 and 1, of which one row each is left; 2 has no third row
        mean = F.normalize(unit[rows].mean(0), dim=0)
        expected += [(float(unit[k] @ mean), int(code[k] == code[rows[0]])) for k in range(12) if k not in rows]
    alike, same = to_means(vectors, code, 2)
    found = list(zip(alike.tolist(), same.int().tolist(), strict=True))
    assert found == [(pytest.approx(score, abs=1e-6), own) for score, own in expected]  # cosines, some near 0
    alike, same = to_means(vectors, code, 1)
    single, one = pairs(vectors, code)
    torch.testing.assert_close(alike.sort().values, single.repeat(2).sort().values)
    assert same.sum() == 2 * one.sum()
    assert len(to_means(vectors, code, 5)[0]) == 0


def test_rank_one_leaves_out_who_is_alone():
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [-1.0, 0.0]])
    assert rank_one(vectors, torch.tensor([0, 0, 1, 1, 2])) == 1.0
    assert rank_one(vectors, torch.tensor([0, 1, 1, 0, 2])) == 0.0


@pytest.mark.parametrize("codes", [[4, 4, 4], [1, 2, 3]])
def test_where_nobody_can_be_mistaken_there_is_no_figure(codes):
    figures = Verification()
    figures.add(torch.randn(3, 2), torch.tensor(codes))
    assert all(math.isnan(figure) for figure in figures.compute().values())
    assert figures.notes.keys() == {"auc", "rank1"}
    assert "none can be mistaken" in figures.notes["rank1"]


def test_figures_do_not_hang_on_how_rows_come_and_memory_is_bounded():
    vectors, codes = torch.randn(300, 5), torch.randint(0, 9, (300,))
    observed = torch.rand(300) < 0.9
    whole, parts = Verification(100), Verification(100)
    whole.update({"vector": vectors}, Value(codes, None, observed), None)
    for rows in torch.arange(300).split(77):
        parts.update({"vector": vectors[rows]}, Value(codes[rows], None, observed[rows]), None)
    assert len(parts.drawn()[0]) == 100
    assert whole.rows == parts.rows == int(observed.sum())
    figures = whole.compute()
    assert figures.keys() == {"auc", "eer", "rank1"}
    assert parts.compute() == pytest.approx(figures)
    assert f"the pairs among 100 of {whole.rows} rows" in whole.notes["pairs"]
    few = Verification()
    few.update({"vector": vectors}, Value(codes, None, observed), observed.float())
    expected = curve(*pairs(vectors[observed], codes[observed]))
    assert few.compute()["auc"] == pytest.approx(expected.auc)


@pytest.mark.parametrize("rows", [2, 3])
def test_small_identities_are_drawn_as_a_whole(rows):
    codes = torch.arange(3000).repeat(rows)
    drawn = Verification(60)
    for some in torch.randperm(len(codes)).split(500):
        drawn.add(torch.randn(len(some), 3), codes[some])
    _, count = drawn.drawn()[1].unique(return_counts=True)
    assert count.tolist() == [rows] * (60 // rows)
    assert math.isfinite(drawn.compute()["eer"])
    assert drawn.notes.keys() == {"pairs"}


def test_of_large_identities_each_gives_rows():
    codes = torch.tensor([7] * 900 + [8] * 40 + [9] * 60)
    drawn = Verification(90)
    for some in torch.arange(len(codes)).split(300):
        drawn.add(torch.randn(len(some), 3), codes[some])
    _, count = drawn.drawn()[1].unique(return_counts=True)
    assert count.tolist() == [30, 30, 30]


def test_a_margin_widens_the_angle_to_the_true_class():
    vectors, centres, truth = torch.randn(6, 4), torch.randn(3, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    cosine = F.normalize(vectors, dim=1) @ F.normalize(centres, dim=1).T
    said = angular_margin(vectors, centres, truth, margin=0.3, scale=8.0)
    own = cosine[torch.arange(6), truth]
    wider = torch.where(own.acos() + 0.3 < math.pi, (own.acos() + 0.3).cos(), own - 0.3 * math.sin(0.3))
    torch.testing.assert_close(said[torch.arange(6), truth], 8 * wider)
    others = F.one_hot(truth, 3) == 0
    torch.testing.assert_close(said[others], 8 * cosine[others])
    torch.testing.assert_close(angular_margin(vectors, centres, truth, margin=0.0, scale=8.0), 8 * cosine)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_at_the_centre_and_opposite_to_it_slopes_are_finite(sign):
    vectors = (sign * torch.eye(3)).requires_grad_()
    angular_margin(vectors, torch.eye(3), torch.arange(3), margin=0.5, scale=16.0).sum().backward()
    assert vectors.grad.isfinite().all()


def test_supervised_contrast_by_its_equation():
    vectors, classes, t = torch.randn(7, 4), torch.tensor([0, 0, 1, 1, 1, 2, 0]), 0.2
    unit = F.normalize(vectors, dim=1)
    expected = torch.zeros(7)
    for i in range(7):
        others = [a for a in range(7) if a != i]
        total = torch.stack([unit[i] @ unit[a] / t for a in others]).logsumexp(0)
        own = [p for p in others if classes[p] == classes[i]]
        if own:
            expected[i] = torch.stack([total - unit[i] @ unit[p] / t for p in own]).mean()
    torch.testing.assert_close(supervised_contrastive(vectors, classes, temperature=t), expected)
    assert mates(classes).tolist() == [True, True, True, True, True, False, True]


def test_rows_that_are_not_real_are_not_seen():
    vectors, classes = torch.randn(6, 4, requires_grad=True), torch.tensor([0, 0, 1, 1, 0, 1])
    real = torch.tensor([True, True, True, True, False, False])
    said = supervised_contrastive(vectors, classes, real)
    torch.testing.assert_close(said[:4], supervised_contrastive(vectors[:4], classes[:4]))
    assert said[4:].tolist() == [0, 0]
    said.sum().backward()
    assert (vectors.grad[4:] == 0).all()
    assert vectors.grad.isfinite().all()
    assert supervised_contrastive(vectors, classes, torch.zeros(6, dtype=torch.bool)).tolist() == [0] * 6
    assert mates(torch.tensor([0, 0, 1, 1]), torch.tensor([True, True, True, False])).tolist() == [1, 1, 0, 0]


def test_whitened_vectors_have_no_direction_of_their_own():
    code = torch.arange(4000) % 4
    centres = 10 * torch.randn(4, 3)
    vectors = torch.randn(4000, 3) @ torch.tensor([[3.0, 0, 0], [1, 1, 0], [0, 0, 0.1]]) + centres[code]
    middle, spread = whitening(vectors, code, 1e-6)
    torch.testing.assert_close(middle, vectors.mean(0))
    white = ((vectors - middle) @ spread).double().numpy()
    within = white - np.stack([white[code.numpy() == k].mean(0) for k in range(4)])[code.numpy()]
    np.testing.assert_allclose(np.cov(within.T), np.eye(3), atol=0.02)
    _, ball = whitening(vectors, code, 1.0)
    torch.testing.assert_close(ball, torch.eye(3) * ball[0, 0])
    assert whitening(torch.randn(2, 3), torch.arange(2), 0.5)[1].isfinite().all()  # nobody has two rows
