"""What a picture shows and how it is painted, as distances between maps of features: Gatys et al. 2016.

Source: "Image style transfer using convolutional neural networks", CVPR 2016; the shift is that of Novak & Nikulin
2016, arXiv:1605.04603, section 3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

FLAT = 1e-2  # added to what a distance is a share of, for each channel: a picture of one colour has no spread


def gram(maps: Float[Tensor, "b c h w"], shift: Float[Tensor, "b c"]) -> Float[Tensor, "b c c"]:
    """Which features occur together, wherever: the mean over places of (f - shift) (f - shift)^T."""
    centred = maps.flatten(2) - shift[:, :, None]
    return centred @ centred.mT / centred.shape[2]


def style_error(
    found: Float[Tensor, "b c h w"], shift: Float[Tensor, "b c"], wanted: Float[Tensor, "b c c"]
) -> Float[Tensor, " b"]:
    """Squared distance of Gram matrices as a share of the square of the one wanted; maps of any size.

    shift: the mean of the features of the style, so that both their mean and what goes with what are compared, and
    `wanted` is their covariance; without it the mean would be nearly all that counts.
    """
    apart = (gram(found, shift) - wanted).square().sum((1, 2))
    return apart / (wanted.square().sum((1, 2)) + FLAT * wanted.shape[1])


def content_error(found: Float[Tensor, "b c h w"], wanted: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Half the mean squared distance of features, place by place, each brought to mean 0 and variance 1 over places.

    So 0 is what stands in the same places, 1 is what has nothing to do with it, and it does not matter how strong a
    feature is all over, which is style (Huang & Belongie 2017, arXiv:1703.06868).
    """
    return (_normed(found) - _normed(wanted)).square().mean((1, 2, 3)) / 2


def _normed(maps: Tensor) -> Tensor:
    """Each channel less its mean over places, over its deviation."""
    variance, mean = torch.var_mean(maps, (2, 3), correction=0, keepdim=True)
    return (maps - mean) * (variance + FLAT).rsqrt()


def roughness(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Mean squared difference of neighbours, down and across: total variation, squared (Mahendran & Vedaldi 2015)."""
    down, across = pictures.diff(dim=2).square(), pictures.diff(dim=3).square()
    size = pictures[0].numel()
    return (down.flatten(1).sum(1) + across.flatten(1).sum(1)) / size


def beyond(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Mean square of how far intensities lie outside of 0 to 1."""
    return (pictures - pictures.clamp(0, 1)).square().mean((1, 2, 3))


def whitening(pixels: Float[Tensor, "n c"], floor: float) -> tuple[Float[Tensor, " c"], Float[Tensor, "c c"]]:
    """The mean, and the symmetric matrix that makes colours uncorrelated, of variance 1.

    floor: added to their variances, so that a colour that hardly varies is not blown up to noise.
    """
    mean = pixels.mean(0)
    spread, axes = torch.linalg.eigh(torch.cov(pixels.T, correction=0).reshape(len(mean), len(mean)))
    return mean, axes @ torch.diag((spread.clamp(min=0) + floor).rsqrt()) @ axes.T
