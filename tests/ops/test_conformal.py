"""Intervals and sets beside what their definitions say, row by row, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ranvier.core.errors import DataError
from ranvier.ops.conformal import classes, interval, interval_score, rank


def test_rank_is_the_smallest_that_suffices():
    for rows in range(9, 200):
        place = rank(rows, 0.9)
        assert place / (rows + 1) >= 0.9 - 1e-12
        assert (place - 1) / (rows + 1) < 0.9
    assert rank(9, 0.9) == 9  # 0.9 * 10 is 9.000000000000002 in float64 for other factors
    assert rank(19, 0.95) == 19
    assert rank(3, 0.1) == 1


def test_too_few_rows_for_the_level_are_refused():
    with pytest.raises(DataError, match=r"level = 0\.9 needs 9 rows that were held out and have a truth, got 8"):
        rank(8, 0.9)
    for level, rows in ((0.99, 99), (0.999, 999), (0.9999, 9999), (0.97, 33)):
        with pytest.raises(DataError, match=f"needs {rows:,} rows .* got {rows - 1:,}"):
            rank(rows - 1, level)
        assert rank(rows, level) <= rows
    for level in (0.0, 1.0, -1.0, 90.0):
        with pytest.raises(DataError, match="between 0 and 1"):
            rank(1000, level)


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_an_interval_is_of_the_sorted_sums(parts, level):
    random = torch.Generator().manual_seed(parts)
    scores = [torch.rand(20 + 3 * k, generator=random).sort().values for k in range(parts)]
    scores[0][3:9] = scores[0][3]  # ties
    centre = torch.randn(40, parts, generator=random)
    spread = torch.rand(40, parts, generator=random) + 0.1
    low, high = interval(centre, spread, scores, level)
    place = math.ceil((sum(map(len, scores)) + 1) * level - 1e-9)
    for row in range(40):
        up = sorted(float(centre[row, k] + spread[row, k] * r) for k in range(parts) for r in scores[k])
        down = sorted(
            (float(centre[row, k] - spread[row, k] * r) for k in range(parts) for r in scores[k]), reverse=True
        )
        assert float(high[row]) == pytest.approx(up[place - 1], abs=1e-6)
        assert float(low[row]) == pytest.approx(down[place - 1], abs=1e-6)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_set_holds_what_fewer_than_r_scores_are_below(parts):
    random = torch.Generator().manual_seed(parts)
    scores = [torch.rand(15, generator=random).sort().values for _ in range(parts)]
    doubt = 1 - torch.randn(60, 4, parts, generator=random).mul(2).softmax(1)
    doubt[0, 1] = torch.stack([part[7] for part in scores])  # as doubtful as a row that was held out
    held = classes(doubt, scores, 0.8)
    place = math.ceil((15 * parts + 1) * 0.8 - 1e-9)
    for row in range(60):
        for c in range(4):
            below = sum(int(r < doubt[row, c, k]) for k in range(parts) for r in scores[k])
            assert bool(held[row, c]) == (below < place or c == int(doubt[row].mean(1).argmin()))
    assert held.any(1).all()


def test_split_intervals_cover_as_often_as_they_say():
    """Over many draws of the held-out rows the coverage is r / (n + 1) exactly, for any law of the errors."""
    random = np.random.default_rng(0)
    for rows, level in ((19, 0.9), (40, 0.8)):
        covered = []
        for _ in range(300):
            errors = torch.from_numpy(np.abs(random.standard_cauchy(rows + 100)))
            low, high = interval(torch.zeros(1, 1), torch.ones(1, 1), [errors[:rows].sort().values], level)
            assert float(low[0]) == -float(high[0])
            covered.append(float((errors[rows:] <= high).double().mean()))
        error = np.std(covered) / math.sqrt(300)
        assert np.mean(covered) == pytest.approx(rank(rows, level) / (rows + 1), abs=4 * error)
        assert error < 0.01


def test_intervals_of_folds_cover():
    """Ridge regression, five folds, 40 rows, more inputs than a fold can tell much about."""
    random = np.random.default_rng(1)
    covered = []
    for _ in range(50):
        x = random.normal(size=(90, 12))
        y = x @ random.normal(size=12) + random.standard_t(3, size=90)
        train, test = slice(0, 40), slice(40, 90)
        folds = np.arange(40) % 5
        centre, scores = [], []
        for fold in range(5):
            inside, held = x[train][folds != fold], folds == fold
            w = np.linalg.solve(inside.T @ inside + np.eye(12), inside.T @ y[train][folds != fold])
            scores.append(torch.from_numpy(np.sort(np.abs(y[train] - x[train] @ w)[held])))
            centre.append(torch.from_numpy(x[test] @ w))
        low, high = interval(torch.stack(centre, 1), torch.ones(50, 5), scores, 0.9)
        covered.append(((low.numpy() <= y[test]) & (y[test] <= high.numpy())).mean())
    error = np.std(covered) / math.sqrt(50)
    assert np.mean(covered) > 0.9 - 3 * error
    assert np.mean(covered) < 0.96


def test_sets_cover_and_are_no_larger_than_they_must_be():
    random = np.random.default_rng(2)
    logits = 2 * random.normal(size=(8000, 5))
    fair = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (fair.cumsum(1) > random.random((8000, 1))).argmax(1)
    probs = torch.from_numpy(np.exp(0.3 * logits) / np.exp(0.3 * logits).sum(1, keepdims=True))  # far too modest
    doubt = 1 - probs
    own = doubt[torch.arange(8000), torch.from_numpy(truth)]
    held = classes(doubt[4000:, :, None], [own[:4000].sort().values], 0.9)
    covered = held[torch.arange(4000), torch.from_numpy(truth[4000:])].double().mean()
    assert float(covered) == pytest.approx(0.9, abs=4 * math.sqrt(2 * 0.09 / 4000))
    assert held.double().sum(1).mean() < 3.5
    assert held.sum(1).unique().numel() > 2


def test_interval_score_is_smallest_for_the_quantiles():
    truth = torch.from_numpy(np.random.default_rng(3).normal(size=50_000))
    ends = torch.tensor([1.2, 1.5, 1.6449, 1.8, 2.2], dtype=torch.float64)
    scores = [float(interval_score(-h.expand(50_000), h.expand(50_000), truth, 0.9).mean()) for h in ends]
    assert int(np.argmin(scores)) == 2
    by_hand = interval_score(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.5, 1.25]), 0.9)
    torch.testing.assert_close(by_hand, torch.tensor([1.0, 1.0 + 20 * 0.25]))
