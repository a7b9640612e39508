"""The U-Net: from picture to picture, looking at it coarsely without losing what is fine."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.nets.activations import ActivationName, before, make_activation
from ranvier.nets.attention import Attention, check_memory
from ranvier.nets.cnn import patches
from ranvier.nets.conditioned import Condition, Modulation, check_condition
from ranvier.nets.dropout import SpatialDropout
from ranvier.nets.init import InitName, initialise
from ranvier.nets.norms import NormName, make_norm


class UNetBlock(nn.Module):
    """x + conv(f(modulated(norm(conv x)))), 3 x 3 both, the last starting at zero: (B, width, H, W) to the same.

    condition: width of what `forward` is given to modulate by, 0 = nothing.
    """

    def __init__(
        self,
        width: int,
        condition: int = 0,
        /,
        *,
        activation: ActivationName = "silu",
        norm: NormName = "group",
        init: InitName = "default",
        spatial_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        wide = before(width, activation)
        self.first = nn.Conv2d(width, wide, 3, padding=1, bias=norm in ("none", "rms"))
        initialise(self.first, init, activation)
        self.norm = make_norm(norm, wide, maps=True)
        self.modulation = Modulation(condition, wide) if condition else None
        self.activation, self.dropout = make_activation(activation, axis=1), SpatialDropout(spatial_dropout)
        self.last = initialise(nn.Conv2d(width, width, 3, padding=1), "zero")

    def forward(
        self, x: Float[Tensor, "b c h w"], condition: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The picture with what was found added."""
        y = self.norm(self.first(x))
        y = y if self.modulation is None or condition is None else self.modulation(y, condition)
        return x + self.last(self.dropout(self.activation(y)))


class GridAttention(nn.Module):
    """x + attention(norm x), which starts at zero: (B, width, H, W) to the same.

    Of every place to every other, or with `memory`, their width, to tokens.
    """

    def __init__(self, width: int, heads: int, /, *, memory: int = 0, norm: NormName = "group") -> None:
        super().__init__()
        self.norm, self.attention = make_norm(norm, width, maps=True), Attention(width, heads, memory=memory)
        initialise(self.attention.out, "zero")

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        condition: Float[Tensor, "b d"] | None = None,
        memory: Float[Tensor, "b s m"] | None = None,
        allowed: Bool[Tensor, "r 1 1 s"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """memory, allowed: see `Attention`. The condition is not heeded."""
        tokens = self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)
        found = self.attention(tokens, allowed, memory=memory).unflatten(1, x.shape[2:])
        return x + found.permute(0, 3, 1, 2)  # channels-last, as all else is


class UNet(nn.Module):
    """A small U-Net, `UNet(1, [16, 32, 64])`, fast on a CPU: (B, channels, H, W) to (B, outputs, H, W), any H and W.

    Squares of `patch` x `patch` pixels become channels, and at the end pixels again (Shi et al. 2016, "pixel shuffle").
    For each of `widths` a grid half as fine as that before; on each, `depth` blocks (`UNetBlock`) on the way down and
    as many on the way up, which begins with what the way down had found there, added to what comes from the coarser
    grid. heads: of attention among all places of the coarsest grid, between its blocks; 0 = none, else they must
    divide the last width. memory: width of tokens (B, S, memory), such as a text's, that these places attend to as
    well, with as many heads (Rombach et al. 2022, arXiv:2112.10752, section 3.3). outputs: channels of the answer, 0 =
    as many as of the picture.

    condition: width of a vector (B, condition) that scales and shifts within every block (`nets.conditioned`), after a
    hidden layer that all share; 0 = a plain net from pictures to pictures. The convolution to the answer starts at
    zero, and so does the last map of each block, attention and modulation: the answer is 0 at first, the same for any
    condition, and at the very first step nothing but that convolution learns.

    activation, norm, init: of all blocks. spatial_dropout: the chance that a channel vanishes within a block. Tensors
    are kept channels-last. Raises ValueError for numbers that are not positive, PlanError if heads do not divide.
    Sources: Ronneberger et al. 2015, "U-Net", arXiv:1505.04597; with blocks that a level of noise modulates: Ho et al.
    2020, arXiv:2006.11239, appendix B, and Nichol & Dhariwal 2021, arXiv:2102.09672, section 3.
    """

    def __init__(
        self,
        channels: int,
        widths: list[int],
        outputs: int = 0,
        /,
        *,
        condition: int = 0,
        depth: int = 1,
        patch: int = 1,
        heads: int = 0,
        memory: int = 0,
        activation: ActivationName = "silu",
        norm: NormName = "group",
        init: InitName = "default",
        spatial_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(channels, patch, depth, *widths, len(widths)) < 1 or min(outputs, condition, heads, memory) < 0:
            got = f"{channels}, {widths}, {outputs}, patch {patch}, depth {depth}, condition {condition}, heads {heads}"
            raise ValueError(f"expected positive numbers, got {got}, memory {memory}")
        if memory and not heads:
            raise ValueError(f"memory = {memory} is attended to, and needs heads > 0")
        self.patch, self.conditions, self.memory = patch, condition, memory
        hidden = widths[-1] if condition else 0
        self.condition = Condition(condition, hidden, activation=activation) if condition else None
        options: dict[str, Any] = {
            "activation": activation,
            "norm": norm,
            "init": init,
            "spatial_dropout": spatial_dropout,
        }

        def stages() -> nn.ModuleList:
            return nn.ModuleList(
                nn.ModuleList(UNetBlock(width, hidden, **options) for _ in range(depth)) for width in widths
            )

        self.start = initialise(nn.Conv2d(channels * patch**2, widths[0], 3, padding=1), init)
        self.down, self.up = stages(), stages()
        self.coarser = nn.ModuleList(initialise(nn.Conv2d(a, b, 2, stride=2), init) for a, b in pairwise(widths))
        self.finer = nn.ModuleList(initialise(nn.Conv2d(b, 4 * a, 1), init) for a, b in pairwise(widths))
        if heads:
            self.down[-1].append(GridAttention(widths[-1], heads, norm=norm))  # type: ignore[operator]
        self.reading = GridAttention(widths[-1], heads, memory=memory, norm=norm) if memory else None
        self.norm = make_norm(norm, widths[0], maps=True)
        self.out = initialise(nn.Conv2d(widths[0], (outputs or channels) * patch**2, 3, padding=1), "zero")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        condition: Float[Tensor, "b d"] | None = None,
        memory: Float[Tensor, "b s m"] | None = None,
        allowed: Bool[Tensor, "r 1 1 s"] | None = None,
    ) -> Float[Tensor, "b e h w"]:
        """allowed: the tokens of the memory that each row may see, from `nets.attention.allowed_keys`; None = all.

        Raises ValueError if a condition or a memory is given and none was foreseen, or the other way about.
        """
        check_condition(condition, self.conditions)
        check_memory(memory, self.memory)
        if self.condition is not None:
            condition = self.condition(condition)
        height, width = x.shape[2:]
        x = self.start(patches(x, self.patch))
        found: list[Tensor] = []
        for i, stage in enumerate(self.down):
            if i:
                found.append(x)
                x = self.coarser[i - 1](_even(x))
            x = _through(stage, x, condition)
        x = x if self.reading is None else self.reading(x, None, memory, allowed)
        x = _through(self.up[-1], x, condition)
        for i in reversed(range(len(found))):
            fine = F.pixel_shuffle(self.finer[i](x), 2)[:, :, : found[i].shape[2], : found[i].shape[3]]
            x = _through(self.up[i], found[i] + fine, condition)
        return F.pixel_shuffle(self.out(self.norm(x)), self.patch)[:, :, :height, :width]


def _through(blocks: Any, x: Tensor, condition: Tensor | None) -> Tensor:
    for block in blocks:
        x = block(x, condition)
    return x


def _even(x: Tensor) -> Tensor:
    """Maps of even height and width, the last row and column repeated where they are odd."""
    down, right = x.shape[2] % 2, x.shape[3] % 2
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x
