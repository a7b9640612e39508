"""Partners by hand, and the bounds of what is told of draws."""

from __future__ import annotations

import pytest
import torch

from ranvier.ops.collapse import apart, partners, scale, troubles


def test_rows_have_partners_given_the_same():
    kinds = torch.eye(3)[torch.tensor([0, 1, 0, 2, 1, 0])]
    assert partners(kinds).tolist() == [2, 4, 5, 4, 1, 0]  # the third kind is alone: the next row
    assert partners(kinds + 1e-3 * torch.randn(6, 3)).tolist() == [2, 4, 5, 4, 1, 0]
    assert partners(torch.tensor([[0.0], [10.0], [1.0], [12.0]])).tolist() == [2, 3, 0, 1]
    assert partners(torch.zeros(4, 0)).tolist() == [1, 2, 3, 0]
    assert partners(torch.ones(3, 2)).tolist() == [1, 2, 0]
    assert partners(torch.ones(1, 2)).tolist() == [0]


def test_distances_and_sizes_by_hand():
    x = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    assert apart(x, torch.zeros_like(x)).tolist() == pytest.approx([12.5**0.5, 2**0.5])
    assert scale(4 * x, x).mean() == pytest.approx(4)
    assert scale(x, torch.zeros_like(x)).tolist() == pytest.approx([10 * 12.5**0.5, 10 * 2**0.5])


def test_what_is_out_of_bounds_is_told():
    sound = {"diversity": 0.9, "margin": 1.0, "scale": 1.1, "loss": 99.0}
    assert troubles(sound) == troubles({}) == {}
    for name, value, word in (("diversity", 0.2, "collapse"), ("margin", 11.0, "penalty"), ("scale", 6.0, "diverges")):
        told = troubles(sound | {name: value})
        assert list(told) == [name]
        assert word in told[name]
