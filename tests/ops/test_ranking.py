"""Areas under curves against scikit-learn, rank correlations against scipy, and both by hand."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from ranvier.core.errors import DataError
from ranvier.ops.ranking import average_precision, kendall, roc_auc, spearman


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


@pytest.mark.parametrize("levels", [2, 6, 0])
@pytest.mark.parametrize("rows", [2, 3, 31, 32, 33, 64, 700])
def test_rank_correlations_are_those_of_scipy(levels, rows):
    x, y = torch.randn(2, rows, dtype=torch.float64)
    if levels:
        x, y = (x * levels / 3).round(), (y * levels / 3).round()
    x[:2], y[:2] = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    assert spearman(x, y).item() == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x, y).item() == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_weights_are_repetitions_in_rank_correlations():
    x, y = torch.randint(9, (2, 60)).double()
    times = torch.randint(4, (60,))
    for correlation in (spearman, kendall):
        repeated = correlation(x.repeat_interleave(times), y.repeat_interleave(times))
        assert correlation(x, y, times.double()).item() == pytest.approx(repeated.item(), abs=1e-12)


def test_rank_correlations_by_hand():
    x, y = torch.arange(4.0), torch.tensor([0.0, 2.0, 1.0, 3.0])
    assert spearman(x, y).item() == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert kendall(x, y).item() == pytest.approx(4 / 6)  # five pairs agree, one does not
    for correlation in (spearman, kendall):
        assert correlation(x, x.exp()).item() == 1
        assert correlation(x, -x).item() == -1
        with pytest.raises(DataError, match="differ in both"):
            correlation(x, torch.ones(4))
        with pytest.raises(DataError, match="differ in both"):
            correlation(x, y, torch.tensor([0.0, 1.0, 0.0, 0.0]))
