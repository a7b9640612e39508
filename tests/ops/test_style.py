"""Distances of style and content against sums by hand."""

from __future__ import annotations

import pytest
import torch

from ranvier.ops.style import FLAT, beyond, content_error, gram, roughness, style_error, whitening


def maps(rows=2, channels=3, height=4, width=5, seed=0):
    return torch.randn(rows, channels, height, width, generator=torch.Generator().manual_seed(seed)).double()


def test_gram_is_the_mean_over_places_of_products():
    x, shift = maps(), maps(seed=1)[:, :, 0, 0]
    found = gram(x, shift)
    for row in range(2):
        for one in range(3):
            for other in range(3):
                by_hand = ((x[row, one] - shift[row, one]) * (x[row, other] - shift[row, other])).mean()
                assert found[row, one, other] == pytest.approx(by_hand.item())


def test_style_is_the_same_wherever_things_stand_and_on_any_size():
    style = maps()
    shift = style.mean((2, 3))
    wanted = gram(style, shift)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    assert style_error(style.flatten(2)[:, :, order].unflatten(2, (4, 5)), shift, wanted).abs().max() < 1e-12
    assert style_error(torch.cat([style, style], 3), shift, wanted).abs().max() < 1e-12
    other = maps(seed=4)
    expected = (gram(other, shift) - wanted).square().sum((1, 2)) / (wanted.square().sum((1, 2)) + 3 * FLAT)
    torch.testing.assert_close(style_error(other, shift, wanted), expected)


def test_content_is_where_things_stand_however_strong():
    x = maps()
    assert content_error(x, x).tolist() == [0.0, 0.0]
    assert content_error(x, 100 * x + 5).max() < 0.001  # but for what keeps flat channels from being noise
    far = maps(rows=1, height=60, width=60)
    assert content_error(far, maps(rows=1, height=60, width=60, seed=5)).item() == pytest.approx(1.0, abs=0.05)
    assert content_error(torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 4, 5)).tolist() == [0.0]


def test_roughness_and_what_lies_beyond():
    x = torch.tensor([[[[0.0, 1.0], [0.5, 3.0]]]])
    assert roughness(x).item() == pytest.approx((0.25 + 4 + 1 + 6.25) / 4)
    assert beyond(x).item() == pytest.approx(4 / 4)
    assert beyond(x - 0.5).item() == pytest.approx((0.25 + 1.5**2) / 4)
    assert roughness(torch.rand(2, 3, 1, 1)).tolist() == [0.0, 0.0]


def test_whitened_colours_are_uncorrelated():
    pixels = maps(1, 1, 300, 3)[0, 0] @ torch.tensor([[1.0, 0.9, 0.8], [0, 0.3, 0.2], [0, 0, 0.1]]).double() + 4
    mean, white = whitening(pixels, 0.0)
    torch.testing.assert_close(torch.cov((white @ (pixels - mean).T), correction=0), torch.eye(3).double())
    torch.testing.assert_close(white, white.T)
    assert whitening(torch.ones(10, 3), 0.01)[1].isfinite().all()
