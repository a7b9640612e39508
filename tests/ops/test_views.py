"""Figures of two views: by hand, in pieces, and without rows."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ranvier.ops.views import Views


def test_figures_are_sums_over_rows_by_weight():
    vector = F.normalize(torch.randn(9, 4), dim=1)
    found, cosine, weight = (torch.arange(9) % 2).float(), torch.rand(9), torch.rand(9)
    weight[3] = 0
    vector[3], cosine[3] = math.nan, math.nan  # of which nothing is taken
    whole, pieces = Views(), Views()
    whole.add(found, cosine, vector, weight)
    for k in (slice(0, 4), slice(4, 9)):
        pieces.add(found[k], cosine[k], vector[k], weight[k])
    said, kept = whole.compute(), weight > 0
    assert pieces.compute() == pytest.approx(said, rel=1e-6)
    share = weight[kept] / weight[kept].sum()
    assert said["found"] == pytest.approx(float(share @ found[kept]), rel=1e-5)
    assert said["spread"] == pytest.approx(1 - float((share @ vector[kept]).square().sum()), rel=1e-5)


def test_no_rows_are_no_number():
    assert all(math.isnan(value) for value in Views().compute().values())
