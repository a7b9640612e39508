from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ranvier.nets.convnext import ConvNeXt, ConvNeXtBlock


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28), (3, 1)])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_any_size_gives_scores_and_maps_of_the_promised_size(size, patch):
    net = ConvNeXt(3, [8, 16], 5, depth=1, patch=patch).eval()
    x = torch.randn(2, 3, *size)
    assert net(x).shape == (2, 5)
    for m, stride, width in zip(net.maps(x), net.strides, [8, 16], strict=True):
        assert m.shape == (2, width, *(-(-side // stride) for side in size))


def test_a_block_is_the_papers():
    """Depthwise 7 x 7, norm, up, GELU, down, scale, sum (Liu et al. 2022, fig. 4), written out."""
    block = ConvNeXtBlock(8, layer_scale=0.3).double()
    torch.nn.init.normal_(block.norm.weight)
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    seen = F.conv2d(x, block.look.weight, block.look.bias, padding=3, groups=8).permute(0, 2, 3, 1)
    normed = F.layer_norm(seen, (8,), block.norm.weight, block.norm.bias)
    said = F.gelu(normed @ block.feed.up.weight.T) @ block.feed.down.weight.T
    torch.testing.assert_close(block(x), x + 0.3 * said.permute(0, 3, 1, 2))
    assert block.feed.up.weight.shape == (32, 8)


def test_every_place_of_a_map_is_normed_and_the_last_is_averaged():
    net = ConvNeXt(1, [8, 16], depth=1)
    x = torch.randn(3, 1, 20, 20)
    for m in net.maps(x):
        torch.testing.assert_close(m.mean(1), torch.zeros_like(m[:, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(net(x), net.maps(x)[-1].mean((2, 3)))


def test_with_a_scale_of_zero_blocks_say_nothing_and_with_drop_path_some():
    block = ConvNeXtBlock(4, kernel=3, layer_scale=0.0)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)
    block = ConvNeXtBlock(4, kernel=3, layer_scale=1.0, drop_path=0.5)
    x = torch.randn(1, 4, 5, 5).expand(200, -1, -1, -1)
    same = (block(x) == x).flatten(1).all(1).float().mean()
    assert 0.3 < float(same) < 0.7


def test_tensors_are_channels_last():
    for m in ConvNeXt(3, [8, 16], 4, depth=1).maps(torch.randn(4, 3, 16, 16)):
        assert m.is_contiguous(memory_format=torch.channels_last)


def test_bad_numbers_are_refused():
    for bad in ({"patch": 0}, {"kernel": 4}, {"kernel": -1}, {"depth": 0}, {"depth": -2}, {"ratio": 0.0}):
        with pytest.raises(ValueError, match="expected positive"):
            ConvNeXt(3, [8], **bad)
    with pytest.raises(ValueError, match="expected positive"):
        ConvNeXt(3, [])
    with pytest.raises(ValueError, match="outputs = -1"):
        ConvNeXt(3, [8], -1)
