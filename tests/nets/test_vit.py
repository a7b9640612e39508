from __future__ import annotations

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.nets.vit import ViT, sines


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28), (3, 1)])
@pytest.mark.parametrize(("stem", "patch"), [("patch", 1), ("patch", 3), ("convolution", 2), ("convolution", 4)])
def test_any_size_gives_scores_and_a_map_of_the_promised_size(size, stem, patch):
    net = ViT(3, 32, 5, patch=patch, depth=1, heads=2, stem=stem).eval()
    x = torch.randn(2, 3, *size)
    assert net(x).shape == (2, 5)
    assert net.map(x).shape == (2, 32, *(-(-side // patch) for side in size))


def test_without_out_the_mean_of_the_tokens_is_returned():
    net = ViT(1, 32, patch=4, depth=1, heads=2).eval()
    x = torch.randn(3, 1, 10, 10)
    torch.testing.assert_close(net(x), net.map(x).mean((2, 3)))


def test_places_are_known():
    """A picture whose patches have changed places is another picture."""
    net = ViT(1, 32, patch=4, depth=1, heads=2).eval()
    x = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(net(x), net(x.roll(4, 3)), atol=1e-3)
    with torch.no_grad():
        net.place.zero_()
    moved = net.map(torch.cat([x, x], 3))  # what turns queries and keys knows of distances
    assert not torch.allclose(moved[..., 0], moved[..., 2], atol=1e-4)


def test_waves_of_a_row_and_a_column():
    found = sines(torch.tensor([[0, 0], [1, 2]]), 8)
    assert found[0].tolist() == [0] * 4 + [1] * 4
    expected = torch.tensor([1.0, 0.01, 2.0, 0.02])
    torch.testing.assert_close(found[1], torch.cat([expected.sin(), expected.cos()]))


def test_what_does_not_divide_is_refused():
    with pytest.raises(PlanError, match="multiple of 4; try 12"):
        ViT(1, 10, heads=1)
    with pytest.raises(PlanError, match="patch = 3"):
        ViT(1, 8, patch=3, stem="convolution")
    with pytest.raises(PlanError, match="heads = 3"):
        ViT(1, 8, heads=3)


@pytest.mark.parametrize(
    "bad",
    [
        {"patch": 0},
        {"patch": -2},
        {"depth": 0},
        {"depth": -1},
        {"heads": 0},
        {"ratio": 0.0},
        {"stem": "convolution", "patch": 0},
    ],
)
def test_numbers_that_are_not_positive_are_refused(bad):
    with pytest.raises(PlanError, match="expected positive"):
        ViT(1, 8, **{"heads": 2} | bad)
    for given in ((0, 8), (1, 0), (1, -8), (1, 8, -1)):
        with pytest.raises(PlanError, match="expected positive"):
            ViT(*given)
