"""The arithmetic of the benches of generators."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench.ours_drawn import Components, auc


def test_the_area_is_the_chance_to_rank_above():
    chance = np.random.default_rng(0)
    scores, positive = chance.integers(0, 9, 200).astype(float), chance.random(200) < 0.3
    pairs = scores[positive][:, None] - scores[~positive]
    assert auc(scores, positive) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_components_keep_what_varies_most():
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(300, 6)) * [9, 5, 3, 0.2, 0.1, 0.1] + 4
    back = Components(rows, 3)(rows)
    assert ((rows - back) ** 2).sum() < 0.01 * ((rows - rows.mean(0)) ** 2).sum()
    np.testing.assert_allclose(Components(rows, 6)(rows), rows, atol=1e-9)
