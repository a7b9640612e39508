"""A Transformer over the patches of pictures of any size.

Source: Dosovitskiy et al., "An image is worth 16 x 16 words", arXiv:2010.11929; with positions as waves and the mean of
all patches instead of a token of its own: Beyer, Zhai & Kolesnikov, "Better plain ViT baselines for ImageNet-1k",
arXiv:2205.01580.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.nets.activations import ActivationName
from ranvier.nets.cnn import convolution, patches
from ranvier.nets.dropout import Dropout
from ranvier.nets.parameters import unshrunk
from ranvier.nets.transformer import NormKind, Transformer

GRID_BASE = 100.0  # of the rotation along rows and columns of patches: grids are far shorter than texts
Stem = Literal["patch", "convolution"]


def sines(places: Real[Tensor, "t n"], width: int) -> Float[Tensor, "t d"]:
    """Positions (T, N) as (T, width): sines and cosines of wavelengths from 2 pi to 20,000 pi, width / N an axis."""
    pairs = width // (2 * places.shape[1])
    speed = 10_000.0 ** (-torch.arange(pairs, device=places.device, dtype=torch.float32) / max(pairs, 1))
    angles = (places.float()[:, :, None] * speed).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], 1)


class ViT(nn.Module):
    """Patches of `patch` x `patch` pixels as tokens that attend to one another, `ViT(3, 128, 10)`.

    depth: blocks. heads: of attention, they divide width, which is a multiple of 4. stem: how a patch becomes a token,
    by one linear map ("patch"), or after 3 x 3 convolutions of finer squares ("convolution"; Xiao et al., "Early
    convolutions help transformers see better", arXiv:2106.14881), for which patch is a multiple of 2. A patch's place
    is added to it as sines and cosines of row and column, and turns queries and keys, so that any size will do.
    activation, ratio, norm, drop_path: see `nets.Transformer`. dropout: on what enters and on what each block adds.

    Pictures (B, in_channels, H, W), any H and W, to scores (B, outputs), or, with outputs = 0, to vectors (B, width):
    the mean of all tokens. `map` gives the tokens as a map. Raises PlanError for numbers that are not positive, and a
    width, patch or heads that do not divide so.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        outputs: int = 0,
        /,
        *,
        patch: int = 4,
        depth: int = 6,
        heads: int = 4,
        stem: Stem = "patch",
        activation: ActivationName = "gelu",
        ratio: float = 4.0,
        norm: NormKind = "layer",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if min(in_channels, width, patch, depth, heads) < 1 or outputs < 0 or ratio <= 0:
            raise PlanError(
                f"expected positive in_channels, width, patch, depth, heads and ratio, got {in_channels}, {width}, "
                f"{patch}, {depth}, {heads}, {ratio}, and outputs = {outputs} of 0 or more"
            )
        if width % 4:
            raise PlanError(
                f"width = {width}: positions of patches need a multiple of 4; try {4 * math.ceil(width / 4)}"
            )
        if stem == "convolution" and patch % 2:
            raise PlanError(f"patch = {patch}: a stem of convolutions halves the grid, and needs a multiple of 2")
        self.patch, self.width = patch, width
        self.finer = patch // 2 if stem == "convolution" else patch
        channels = in_channels * self.finer**2
        self.stem = nn.Sequential()
        if stem == "convolution":
            self.stem = nn.Sequential(
                convolution(channels, width // 2, norm="group"), convolution(width // 2, width // 2, norm="group")
            )
            channels = 2 * width
        self.enter = nn.Conv2d(channels, width, 1)
        self.place = unshrunk(torch.ones(width))  # how much of the position each feature takes
        self.dropout = Dropout(dropout)
        self.blocks = Transformer(
            width,
            depth=depth,
            heads=heads,
            activation=activation,
            ratio=ratio,
            norm=norm,
            dropout=dropout,
            drop_path=drop_path,
        )
        self.out = nn.Linear(width, outputs) if outputs else nn.Identity()

    def map(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The tokens at their places, (B, width, ceil(H / patch), ceil(W / patch))."""
        x = self.stem(patches(x, self.finer))
        x = self.enter(x if self.finer == self.patch else patches(x, 2))
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        places = torch.cartesian_prod(rows, columns)
        tokens = x.flatten(2).mT + self.place * sines(places, self.width)
        tokens = self.blocks(self.dropout(tokens), positions=places, base=GRID_BASE)
        return tokens.mT.unflatten(2, x.shape[2:])

    def vector(self, last: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d"]:
        """The mean of all tokens."""
        return last.flatten(2).mean(2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Scores (B, outputs), or vectors (B, width) with outputs = 0."""
        return self.out(self.vector(self.map(x)))
