"""Areas of many scores: histograms against exact areas, their bounds, and that memory stays what it was."""

from __future__ import annotations

import pytest
import torch

from ranvier.ops.curves import OCTAVES, Curves, bins
from ranvier.ops.ranking import average_precision, roc_auc


def rows(count, columns, sharpness):
    """Scores that know the truth more or less well; some rows are of no column."""
    own = torch.randint(-1, columns, (count,))
    logits = torch.randn(count, columns)
    logits[torch.arange(count), own.clamp_min(0)] += (own >= 0) * 1.0
    return (sharpness * logits).sigmoid(), own, torch.rand(count, dtype=torch.float64)


def held(curves):
    """The numbers that are kept."""
    tensors = [t for kept in curves._rows for t in kept] + [t for t in (curves._all, curves._own) if t is not None]
    return sum(t.numel() for t in tensors)


@pytest.mark.parametrize("columns", [1, 3, 200])
@pytest.mark.parametrize("sharpness", [0.01, 1.0, 12.0])  # nearly equal scores; usual ones; hard against 0 and 1
def test_the_error_is_within_its_bound(columns, sharpness):
    scores, own, weight = rows(2000, columns, sharpness)
    curves = Curves(columns, kept=0)
    for cut in range(0, 2000, 300):
        curves.add(scores[cut : cut + 300], own[cut : cut + 300], weight[cut : cut + 300])
    assert not curves.exact
    found = curves.areas()
    for k in range(0, columns, 40):
        exact = roc_auc(scores[:, k], own == k, weight), average_precision(scores[:, k], own == k, weight)
        off = (found.roc[k] - exact[0]).abs(), (found.precision[k] - exact[1]).abs()
        assert off[0] <= found.roc_error[k] + 1e-12
        assert off[1] <= found.precision_error[k] + 1e-12
        if columns < 200 and sharpness > 0.1:
            assert off[0] < 1e-4
            assert off[1] < 2e-3
            assert found.roc_error[k] < 0.02  # ties at 1 itself count as undecided


def test_few_scores_are_exact_and_so_is_their_bound():
    scores, own, weight = rows(300, 2, 1.0)
    curves = Curves(2)
    curves.add(scores, own, weight)
    found = curves.areas()
    assert curves.exact
    for k in range(2):
        assert found.roc[k] == roc_auc(scores[:, k], own == k, weight)
        assert found.precision[k] == average_precision(scores[:, k], own == k, weight)
    assert found.roc_error.tolist() == found.precision_error.tolist() == [0, 0]


def test_areas_without_a_row_of_either_kind_are_not_defined():
    for kept in (0, 100):
        curves = Curves(2, kept=kept)
        curves.add(torch.rand(5, 2), torch.zeros(5, dtype=torch.int64), torch.ones(5, dtype=torch.float64))
        found = curves.areas()
        assert found.roc.isnan().tolist() == [True, True]
        assert found.precision.isnan().tolist() == [False, True]
    assert Curves(2).areas() is None


@pytest.mark.parametrize("columns", [1, 30, 10_000])
def test_memory_does_not_grow_with_rows(columns):
    curves = Curves(columns, kept=20_000)
    most = 0
    for step in range(30):
        torch.manual_seed(step)
        curves.add(torch.rand(100, columns), torch.randint(columns, (100,)), torch.ones(100, dtype=torch.float64))
        most = max(most, held(curves))
    assert most <= max(3 * 20_000, 2 * max(2**19, OCTAVES * columns))


@pytest.mark.parametrize("bits", [0, 4, 10])
def test_bins_rise_with_the_score_and_fill_their_range(bits):
    near = torch.logspace(-14, -0.302, 3000, dtype=torch.float64)
    score = torch.cat([torch.zeros(1), near, torch.full((1,), 0.5), 1 - near, torch.ones(1)]).float().sort().values
    found = bins(score, bits)
    assert (found.diff() >= 0).all()
    assert found[0] == 0
    assert found[-1] == (OCTAVES << bits) - 1
    inside = (score > 1e-12) & (score < 0.5)
    width = 2.0**-bits
    for b in found[inside].unique()[1:-1]:  # scores of one bin differ by less than a 2^-bits part
        together = score[inside & (found == b)]
        assert together.max() < together.min() * (1 + width)
