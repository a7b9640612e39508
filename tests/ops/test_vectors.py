"""Figures of vectors against scikit-learn and numpy: weights, missing truths, still elements, any batching."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from ranvier.core.protocols import Value
from ranvier.ops.vectors import Vectors

N, F = 200, 5


def fed(prediction, truth, weight=None, observed=None, batch=37):
    """The metrics after batches of `batch` rows."""
    metrics = Vectors()
    for start in range(0, len(truth), batch):
        cut = slice(start, start + batch)
        value = Value(truth[cut], observed=None if observed is None else observed[cut])
        metrics.update({"value": prediction[cut]}, value, None if weight is None else weight[cut])
    return metrics


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("batch", [1, 37, N])
@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_those_of_scikit_learn(offset, batch, weighted):
    truth = torch.randn(N, F, dtype=torch.float64) * torch.tensor([1, 10, 0.1, 3, 1]) + offset
    said = truth + torch.randn(N, F)
    weight = torch.rand(N) if weighted else None
    figures = fed(said, truth, weight, batch=batch).compute()
    y, p, w = truth.numpy(), said.numpy(), None if weight is None else weight.numpy()
    cosines = (y * p).sum(1) / np.linalg.norm(y, axis=1) / np.linalg.norm(p, axis=1)
    expected = {
        "mae": reference.mean_absolute_error(y, p, sample_weight=w),
        "rmse": reference.mean_squared_error(y, p, sample_weight=w) ** 0.5,
        "r2": reference.r2_score(y, p, sample_weight=w),
        "cosine_similarity": np.average(cosines, weights=w),
    }
    assert figures == pytest.approx(expected, rel=1e-6)


def test_missing_rows_and_rows_without_weight_count_nowhere():
    truth, said, observed = torch.randn(N, F), torch.randn(N, F), torch.arange(N) % 3 != 0
    weight = (torch.arange(N) % 5 != 0).float()
    spoilt = torch.where(observed[:, None], truth, math.nan)
    rows = observed & (weight > 0)
    assert fed(said, spoilt, weight, observed).compute() == pytest.approx(fed(said[rows], truth[rows]).compute())
    none = fed(said, spoilt, weight, torch.zeros(N, dtype=torch.bool))
    assert none.compute() == {}
    assert "all" in none.notes


def test_elements_that_do_not_vary_are_left_out_of_r2_and_told():
    truth, said = torch.randn(N, F), torch.randn(N, F)
    truth[:, 1] = 0.1
    metrics = fed(said, truth)
    others = [0, 2, 3, 4]
    assert metrics.compute()["r2"] == pytest.approx(reference.r2_score(truth[:, others], said[:, others]), rel=1e-5)
    assert metrics.notes == {"r2": "1 of 5 elements of the truth do not vary"}
    still = fed(said, torch.full((N, F), 0.1))
    assert set(still.compute()) == {"mae", "rmse", "cosine_similarity"}
    assert "5 of 5" in still.notes["r2"]


def test_a_prediction_that_is_no_number_spoils_all_figures():
    truth, said = torch.randn(N, F), torch.randn(N, F)
    said[3, 1] = math.inf
    metrics = fed(said, truth)
    assert all(math.isnan(figure) for figure in metrics.compute().values())
    assert "predictions of 1 rows" in metrics.notes["all"]


def test_a_batch_without_rows_changes_no_figure():
    truth, said, none = torch.randn(N, F), torch.randn(N, F), torch.zeros(0, F)
    metrics = fed(said, truth)
    metrics.update({"value": none}, Value(none), None)
    assert metrics.compute() == fed(said, truth).compute()


def test_memory_does_not_grow_with_the_rows():
    assert fed(torch.randn(N, F), torch.randn(N, F), batch=1)._sums.shape == (6, F)
