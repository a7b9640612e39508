"""Maps that know of coarser ones."""

from __future__ import annotations

import pytest
import torch

from ranvier.nets.pyramid import FeaturePyramid


def maps(sides, channels=(4, 8, 16)):
    return [
        torch.randn(2, c, *side, generator=torch.Generator().manual_seed(c))
        for c, side in zip(channels, sides, strict=True)
    ]


@pytest.mark.parametrize("sides", [[(12, 8), (6, 4), (3, 2)], [(13, 9), (7, 5), (4, 3)]])
def test_every_map_keeps_its_grid_and_learns_of_the_coarser_ones_alone(sides):
    net = FeaturePyramid([4, 8, 16], 6).eval()
    given = [x.requires_grad_() for x in maps(sides)]
    found = net(given)
    assert [tuple(x.shape) for x in found] == [(2, 6, *side) for side in sides]
    for level, x in enumerate(found):
        slopes = torch.autograd.grad(x.square().sum(), given, retain_graph=True, allow_unused=True)
        told = [slope is not None and bool(slope.any()) for slope in slopes]
        assert told == [False] * level + [True] * (3 - level)


def test_expects_positive_numbers():
    with pytest.raises(ValueError, match="positive"):
        FeaturePyramid([4, 0], 6)
    with pytest.raises(ValueError, match="positive"):
        FeaturePyramid([], 6)
