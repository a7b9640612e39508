"""Normalisations by name, for vectors and tokens (..., width) and, with `maps`, for pictures (B, width, H, W).

Each is y = g * (x - mean) / sqrt(variance + eps) + b, with a learned scale g and shift b for each feature, starting at
1 and 0. They differ in what mean and variance (the mean square of x - mean) are taken over: for pictures see fig. 2 of
Wu & He, "Group normalization", arXiv:1803.08494.
"""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.core.registry import lookup
from ranvier.core.schema import one_of

NormName = Annotated[str, one_of("norm")]
IN_GROUP = 16  # features in a group, at least, if there are as many


def make_norm(name: str, width: int, /, *, maps: bool = False) -> nn.Module:
    """The norm of that name for `width` features. Raises PlanError for an unknown name."""
    made: nn.Module = lookup("norm", name)(width, maps)
    return made


def none(width: int, maps: bool = False) -> nn.Module:
    """y = x."""
    return nn.Identity()


def batch(width: int, maps: bool = False) -> nn.Module:
    """Over the rows of the batch (and the places of maps), for each feature: rows see one another while training.

    eps = 1e-5. In evaluation it takes running averages of mean and variance, mean <- 0.9 mean + 0.1 of the batch's.
    Vectors must be (B, width). Source: Ioffe & Szegedy, "Batch normalization", arXiv:1502.03167, algorithm 1.
    """
    return nn.BatchNorm2d(width) if maps else BatchNorm(width)


def layer(width: int, maps: bool = False) -> nn.Module:
    """Over all features (and places) of a row. eps = 1e-5.

    Source: Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450, eq. 3.
    """
    return nn.GroupNorm(1, width) if maps else nn.LayerNorm(width)


def group(width: int, maps: bool = False) -> nn.Module:
    """Over the features (and places) of a row that are in one group of neighbouring features. eps = 1e-5.

    As many groups as leave IN_GROUP features or more in each; the features are shared out evenly. Source: Wu & He,
    "Group normalization", arXiv:1803.08494, eq. 7.
    """
    groups = max((n for n in range(1, width // IN_GROUP + 1) if width % n == 0), default=1)
    return nn.GroupNorm(groups, width) if maps else GroupNorm(groups, width)


def rms(width: int, maps: bool = False) -> nn.Module:
    """y = g * x / sqrt(mean(x^2) + eps), over all features (and places) of a row; no mean is taken off. eps = 1e-6.

    Source: Zhang & Sennrich, "Root mean square layer normalization", arXiv:1910.07467, eq. 4.
    """
    return RMSNormOfMaps(width) if maps else RMSNorm(width, eps=1e-6)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of vectors (B, width). Raises ValueError for other shapes, PlanError for one row while training."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """(B, width) to the same."""
        if x.ndim != 2:  # torch would take the second of three axes for the features
            raise ValueError(f"norm 'batch' expects vectors (B, width), got a tensor of shape {tuple(x.shape)}")
        if self.training and len(x) < 2:
            raise PlanError(f"norm 'batch' needs two rows or more in a batch, got {len(x)}; try norm 'layer'")
        return super().forward(x)


class GroupNorm(nn.GroupNorm):
    """Group norm of the last axis, with any axes before it: (..., width) to the same."""

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Each vector by itself."""
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


class RMSNorm(nn.RMSNorm):
    """RMS norm of the last axis, (..., width) to the same, in the precision of its scale."""

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Each vector by itself; a half-precision one of an autocast forward pass is widened, as other norms do it."""
        return super().forward(x.to(self.weight.dtype))


class RMSNormOfMaps(nn.Module):
    """RMS norm over all channels and places, with a scale for each channel: (B, width, H, W) to the same."""

    def __init__(self, width: int, /, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The mean square is taken in float32 or better, as squares overflow half precision."""
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        scale = torch.rsqrt(wide.square().mean((1, 2, 3), keepdim=True) + self.eps)
        return (wide * scale * self.weight[:, None, None]).to(x.dtype)
