"""Areas under curves against scikit-learn and by hand."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from ranvier.core.errors import DataError
from ranvier.ops.ranking import average_precision, roc_auc


@pytest.mark.parametrize("levels", [2, 5, 0])  # few levels: many ties; 0: hardly any
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [2, 60, 500])
def test_areas_are_those_of_scikit_learn(levels, weighted, rows):
    score = torch.rand(rows) if not levels else torch.randint(levels, (rows,)) / levels
    positive = torch.rand(rows) < 0.3
    positive[0], positive[1] = True, False
    weight = torch.rand(rows, dtype=torch.float64) * (torch.rand(rows) < 0.8) + 1e-3 if weighted else None
    w = None if weight is None else weight.numpy()
    ours = roc_auc(score, positive, weight).item(), average_precision(score, positive, weight).item()
    theirs = (
        roc_auc_score(positive.numpy(), score.numpy(), sample_weight=w),
        average_precision_score(positive.numpy(), score.numpy(), sample_weight=w),
    )
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_a_row_of_weight_two_is_two_rows_and_one_of_weight_zero_is_none():
    score, positive = torch.tensor([0.9, 0.5, 0.5, 0.1]), torch.tensor([False, True, False, True])
    weight = torch.tensor([2.0, 1.0, 0.0, 3.0])
    index = torch.tensor([0, 0, 1, 3, 3, 3])
    for area in (roc_auc, average_precision):
        assert area(score, positive, weight).item() == pytest.approx(area(score[index], positive[index]).item())


def test_by_hand_perfect_reversed_and_all_tied():
    positive = torch.tensor([True, True, False, False])
    assert roc_auc(torch.tensor([4.0, 3.0, 2.0, 1.0]), positive).item() == 1
    assert roc_auc(torch.tensor([1.0, 2.0, 3.0, 4.0]), positive).item() == 0
    assert roc_auc(torch.ones(4), positive).item() == 0.5
    assert average_precision(torch.ones(4), positive).item() == 0.5


def test_areas_depend_on_the_order_of_scores_only():
    score, positive = torch.randn(50, dtype=torch.float64), torch.rand(50) < 0.5
    for area in (roc_auc, average_precision):
        assert area(score, positive) == area(score.exp(), positive)


def test_one_class_alone_is_an_error_not_a_number():
    with pytest.raises(DataError, match="both classes"):
        roc_auc(torch.rand(3), torch.ones(3, dtype=torch.bool))
    with pytest.raises(DataError, match="positive rows"):
        average_precision(torch.rand(3), torch.zeros(3, dtype=torch.bool))
    with pytest.raises(DataError, match="at least one row"):
        roc_auc(torch.rand(0), torch.zeros(0, dtype=torch.bool))


def test_a_best_score_without_weight_is_no_division_by_zero():
    score, positive = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([False, True, False])
    weight = torch.tensor([0.0, 1.0, 1.0])
    assert average_precision(score, positive, weight).item() == 1
    assert roc_auc(score, positive, weight).item() == 1
