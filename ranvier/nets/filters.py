"""Convolutions that are never trained: drawn at random, and brought to scale by the pictures that they are to see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from ranvier.ops.style import whitening

CONVOLUTIONS = 2  # in a stage
LEAST = 0.2  # deviation of a channel that is brought to 1, at least: one that says nothing stays silent
FLOOR = 0.01  # variance of colours, of intensities from 0 to 1, at which they count half


class RandomFilters(nn.Module):
    """A network of random filters, `RandomFilters([32, 64])`: pictures (B, 3, H, W), 0 to 1, to the maps of its stages.

    For how a picture is painted such filters serve well: what they answer together tells its texture (Ustyuzhaninov et
    al. 2016, arXiv:1606.00021; He, Wang & Hopcroft 2016, arXiv:1606.04801). Colours are made uncorrelated first; a
    stage is two 3 x 3 convolutions, orthogonal, with ReLU, and begins at half the size of the one before (mean
    pooling). The colours, and each channel before its ReLU, get mean 0 and variance 1 over the pictures (Krähenbühl et
    al. 2016, arXiv:1511.06856), so that no feature outweighs the others.

    widths: channels of each stage. pictures: (1, 3, H, W) each, of any size. generator: draws the filters. Raises
    ValueError for widths that are not positive.
    """

    def __init__(self, widths: Sequence[int], pictures: Sequence[Tensor], generator: torch.Generator) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"expected positive widths, got {list(widths)}")
        mean, white = whitening(torch.cat([each[0].flatten(1).T for each in pictures]), FLOOR)
        self.mean: Tensor
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("white", white)
        self.stages = nn.ModuleList()
        channels = 3
        for width in widths:
            layers = nn.ModuleList()
            for _ in range(CONVOLUTIONS):
                layers.append(skip_init(nn.Conv2d, channels, width, 3))  # `_scale` draws the weights
                channels = width
            self.stages.append(layers)
        self._scale(pictures, generator)
        self.requires_grad_(False)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The picture in uncorrelated colours, and (B, width, H / 2^k, W / 2^k), sides rounded up, of stage k."""
        x = self._colours(pictures)
        found = [x]
        for number, layers in enumerate(self.stages):
            x = halved(x) if number else x
            for layer in layers.children():
                x = layer(framed(x)).relu()
            found.append(x)
        return found

    @torch.no_grad()
    def _scale(self, pictures: Sequence[Tensor], generator: torch.Generator) -> None:
        """Draws the filters, layer after layer, and brings what they say of the pictures to mean 0 and variance 1."""
        seen = [self._colours(each) for each in pictures]
        for number, layers in enumerate(self.stages):
            seen = [halved(x) for x in seen] if number else seen
            for layer in layers.children():
                assert isinstance(layer, nn.Conv2d)
                assert layer.bias is not None
                nn.init.orthogonal_(layer.weight, generator=generator)
                layer.bias.zero_()
                said = torch.cat([layer(framed(x))[0].flatten(1) for x in seen], 1)
                deviation, mean = torch.std_mean(said, 1, correction=0)
                deviation = deviation.clamp(min=LEAST)
                layer.weight.div_(deviation[:, None, None, None])
                layer.bias.copy_(-mean / deviation)
                seen = [layer(framed(x)).relu() for x in seen]

    def _colours(self, pictures: Tensor) -> Tensor:
        return torch.einsum("dc,bchw->bdhw", self.white, pictures - self.mean)


def framed(x: Tensor) -> Tensor:
    """With its edge repeated once around, so that a 3 x 3 convolution keeps the size."""
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def halved(x: Tensor) -> Tensor:
    """Mean over squares of 2 x 2 places; sides are rounded up."""
    return F.avg_pool2d(x, 2, ceil_mode=True)
