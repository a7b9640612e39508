"""Figures of pictures against arithmetic by hand."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from scipy.ndimage import gaussian_filter

from ranvier.core.protocols import Value
from ranvier.ops.metrics import Pictures
from ranvier.ops.pictures import structural_similarity


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
    assert "11 pixels" in metric.notes["ssim"]
    metric.update({"pixels": torch.full((2, 2, 2, 1), math.nan)}, Value(same), None)
    assert all(math.isnan(x) for x in metric.compute().values())
    assert Pictures().compute() == {}


def similar(x, y):
    """As scikit-image has it with gaussian_weights, sigma 1.5 and no sample covariance: the border of 5 is left out."""
    blur = partial(gaussian_filter, sigma=1.5, truncate=3.5)
    means = blur(x), blur(y)
    spread = blur(x * x) - means[0] ** 2 + blur(y * y) - means[1] ** 2
    together = blur(x * y) - means[0] * means[1]
    one, two = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    each = (2 * means[0] * means[1] + one) * (2 * together + two)
    each /= (means[0] ** 2 + means[1] ** 2 + one) * (spread + two)
    return each[5:-5, 5:-5].mean()


def test_structural_similarity_is_that_of_the_paper_and_streams():
    draw = torch.Generator().manual_seed(0)
    truth = torch.randint(256, (5, 16, 13, 3), dtype=torch.uint8, generator=draw)
    said = (truth + 40 * torch.randn(truth.shape, generator=draw)).clamp(0, 255)
    expected = [
        sum(similar(said[i, :, :, c].double().numpy(), truth[i, :, :, c].double().numpy()) for c in range(3)) / 3
        for i in range(5)
    ]
    found = structural_similarity(said.permute(0, 3, 1, 2), truth.permute(0, 3, 1, 2).float())
    assert found.tolist() == pytest.approx(expected, abs=1e-9)
    metric, weight = Pictures(), torch.tensor([1.0, 2.0, 0.0, 1.0, 0.5])
    for rows in (slice(0, 2), slice(2, 5)):
        metric.update({"pixels": said[rows]}, Value(truth[rows]), weight[rows])
    assert metric.compute()["ssim"] == pytest.approx(float(weight.double() @ found / weight.sum()))
    same = truth.permute(0, 3, 1, 2).float()
    assert structural_similarity(same, same).tolist() == pytest.approx([1.0] * 5)
    with pytest.raises(ValueError, match="11 x 11"):
        structural_similarity(same[:, :, :10], same[:, :, :10])
