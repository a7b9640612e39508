"""Pictures made from pictures."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ranvier.core.protocols import Features
from ranvier.core.spec import Given, Spec
from ranvier.heads.image import ImageHead


def made(channels, size, *, asked=(12, 10, 1), strides=(1, 2, 4), **options):
    """A head for pictures `asked` from those of `channels` and `size`, and features of two rows of these."""
    widths = (channels, 8, 8)[: len(strides)]
    given = Given(0, tuple(zip(widths, strides, strict=True)), (*size, channels))
    head = ImageHead(Spec("pixels", asked, size=asked[2]), 6, None, {"x": given}, layer_width=8, **options)
    draw = torch.Generator().manual_seed(1)
    maps = [torch.rand(2, c, -(-size[0] // s), -(-size[1] // s), generator=draw) for c, s in given.maps]
    shown = torch.rand(2, channels, *size, generator=draw)
    own = Features(2, maps=tuple(zip(maps, strides, strict=True)), picture=shown)
    return head.eval(), Features(2, torch.randn(2, 6, generator=draw), parts={"x": own})


def picture(features):
    return features.parts["x"].picture


@pytest.mark.parametrize(("channels", "asked"), [(1, 1), (3, 3), (1, 3), (3, 1)])
def test_it_sets_out_from_the_picture_given(channels, asked):
    head, features = made(channels, (12, 10), asked=(12, 10, asked))
    expected = picture(features)
    if channels != asked:
        expected = expected.mean(1, keepdim=True).expand(-1, asked, -1, -1)
    said = head.predict(features)["pixels"] / 255
    assert said.shape == (2, 12, 10, asked)
    assert (said - expected.permute(0, 2, 3, 1)).abs().max() < 0.05


@pytest.mark.parametrize("asked", [(24, 20), (30, 21), (6, 5), (12, 20)])
@pytest.mark.parametrize("strides", [(1, 1, 2), (1, 2, 4)])
def test_a_picture_of_another_size_is_brought_to_that_asked_for(asked, strides):
    head, features = made(1, (12, 10), asked=(*asked, 1), strides=strides)
    expected = F.interpolate(picture(features), asked, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
    said = head.predict(features)["pixels"][..., 0] / 255
    assert (said - expected[:, 0]).abs().max() < 0.05
    assert head.net.zoom == max(1, -(-max(2 * asked[0] // 12, 2 * asked[1] // 10) // 2))


@pytest.mark.parametrize(
    ("channels", "asked", "options"), [(4, 3, {}), (1, 1, {"residual": False}), (1, 1, {"loss": "bernoulli"})]
)
def test_where_nothing_is_added_it_sets_out_from_grey(channels, asked, options):
    head, features = made(channels, (12, 10), asked=(12, 10, asked), **options)
    assert not head.base
    with torch.no_grad():
        for each in (head.net.out.weight, head.net.out.bias):
            each.zero_()
    assert (head.predict(features)["pixels"] - 127.5).abs().max() < 1
