"""Figures of pictures against arithmetic by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.core.protocols import Value
from ranvier.ops.metrics import Pictures


def test_figures_are_those_of_intensities():
    truth = torch.randint(256, (6, 3, 4, 2), dtype=torch.uint8)
    said = torch.rand(6, 3, 4, 2) * 255
    weight = torch.tensor([1.0, 0.0, 2.0, 1.0, 1.0, 0.5])
    seen = torch.tensor([True, True, True, False, True, True])
    metric = Pictures()
    for rows in (slice(0, 4), slice(4, 6)):
        metric.update({"pixels": said[rows]}, Value(truth[rows], None, seen[rows]), weight[rows])
    amount = (weight * seen).double()
    error = ((said.double() - truth.double()) / 255).flatten(1)
    squared = (amount @ error.square().mean(1) / amount.sum()).item()
    figures = metric.compute()
    assert figures["mae"] == pytest.approx((amount @ error.abs().mean(1) / amount.sum()).item())
    assert figures["rmse"] == pytest.approx(math.sqrt(squared))
    assert figures["psnr"] == pytest.approx(10 * math.log10(1 / squared))


def test_no_error_has_no_ratio_and_no_number_none():
    same = torch.full((2, 2, 2, 1), 9, dtype=torch.uint8)
    metric = Pictures()
    metric.update({"pixels": same.float()}, Value(same), None)
    assert metric.compute() == {"mae": 0.0, "rmse": 0.0}
    assert "no error" in metric.notes["psnr"]
    metric.update({"pixels": torch.full((2, 2, 2, 1), math.nan)}, Value(same), None)
    assert all(math.isnan(x) for x in metric.compute().values())
    assert Pictures().compute() == {}
