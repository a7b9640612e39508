"""Partners by hand, and the bounds of what is told of draws."""

from __future__ import annotations

import pytest
import torch

from ranvier.ops.collapse import apart, figures, partners, scale, troubles


def test_rows_have_partners_given_the_same():
    kinds = torch.eye(3)[torch.tensor([0, 1, 0, 2, 1, 0])]
    near = [True, True, True, False, True, True]
    for given in (kinds, kinds + 1e-3 * torch.randn(6, 3)):
        found = partners(given)
        assert [each.tolist() for each in found] == [[2, 4, 5, 4, 1, 0], near]  # the third kind is alone: the next row
    found = partners(torch.tensor([[0.0], [10.0], [1.0], [12.0]]))
    assert [each.tolist() for each in found] == [[2, 3, 0, 1], [False] * 4]
    assert [each.tolist() for each in partners(torch.zeros(4, 0))] == [[1, 2, 3, 0], [True] * 4]
    assert [each.tolist() for each in partners(torch.ones(3, 2))] == [[1, 2, 0], [True] * 3]
    assert [each.tolist() for each in partners(torch.ones(1, 2))] == [[0], [False]]


def test_rows_without_a_truth_are_no_partners():
    kinds = torch.eye(2)[torch.tensor([0, 1, 0, 1, 0])]
    chosen, near = partners(kinds, torch.tensor([True, True, False, False, True]))
    assert chosen[[0, 2, 3, 4]].tolist() == [4, 4, 1, 0]
    assert near.tolist() == [True, False, True, True, True]
    assert not partners(kinds, torch.zeros(5, dtype=torch.bool))[1].any()


def test_distances_and_sizes_by_hand():
    x = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    assert apart(x, torch.zeros_like(x)).tolist() == pytest.approx([12.5**0.5, 2**0.5])
    assert scale(4 * x, x).mean() == pytest.approx(4)
    assert scale(x, torch.zeros_like(x)).tolist() == pytest.approx([10 * 12.5**0.5, 10 * 2**0.5])
    known = torch.tensor([True, False])
    assert scale(x, x, known)[0] == pytest.approx(1)
    assert scale(x, x, ~known)[0] == pytest.approx(2.5)


def test_diversity_is_of_rows_with_a_partner():
    means = {"near": 0.5, "apart": 0.2, "apart_true": 0.4, "size": 1.0, "margin": 3.0}
    assert figures(means, 16) == pytest.approx({"margin": 3.0, "apart": 0.4, "apart_true": 0.8, "diversity": 0.5})
    assert figures(means, 14) == {"margin": 3.0}
    assert figures({"loss": 2.0}, 100) == {"loss": 2.0}
    assert "diversity" not in figures(means | {"apart_true": 1e-12}, 16)
    assert "diversity" not in figures(means | {"size": 41.0}, 16)


def test_what_is_out_of_bounds_is_told():
    sound = {"diversity": 0.9, "margin": 1.0, "scale": 1.1, "loss": 99.0}
    assert troubles(sound) == troubles({}) == {}
    for name, value, word in (("diversity", 0.2, "collapse"), ("margin", 11.0, "penalty"), ("scale", 6.0, "diverges")):
        told = troubles(sound | {name: value})
        assert list(told) == [name]
        assert word in told[name]
