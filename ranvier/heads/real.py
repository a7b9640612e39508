"""What generators share: a column's values as real numbers and back, and the networks between these and a vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.spec import Spec
from ranvier.nets.cnn import ResNet
from ranvier.nets.mlp import MLP
from ranvier.nets.upsample import ConvDecoder

Auto = Literal["auto"]
KINDS = ("pixels", "vector")
LAST = {"s": 64, "m": 128, "l": 256}  # channels of the coarsest map
LAYER = {"s": 128, "m": 256, "l": 512}  # width of a layer, for vectors
COARSE = 4  # places to a side of the coarsest map, about
PATCH = 2
BLOCK = 16  # normal numbers that PyTorch makes at a time, the last of a tensor anew where they do not fill one


def generated(spec: Spec) -> tuple[float, str]:
    """How well generators suit a column: what `Part.suits` says, as the choice of nobody but a person."""
    if spec.kind not in KINDS or spec.unit == "time":
        return 0.0, "it makes pictures and vectors"
    return 0.4, "draws new values"


def layers(spec: Spec, facts: Facts) -> tuple[list[int], str]:
    """`widths` of such networks: channels of each stage, finest first; or of each layer, for vectors."""
    if spec.kind != "pixels":
        return [LAYER[facts.size]] * 2, f"size {facts.size}"
    side = max(int(s or 1) for s in spec.shape[:2])
    stages = max(2, 1 + round(math.log2(max(1.0, side / PATCH / COARSE))))
    last = LAST[facts.size]
    return [max(32, last >> (stages - 1 - i)) for i in range(stages)], f"size {facts.size}, {side} pixels a side"


def chosen(spec: Spec, widths: list[int] | Auto) -> list[int]:
    """The widths asked for, or those for ten thousand rows. Raises PlanError for a column of another kind."""
    if spec.kind not in KINDS:
        raise PlanError(f"generators make columns of kind {' or '.join(KINDS)}, and this one is {spec.kind!r}")
    return layers(spec, Facts(rows=10_000))[0] if widths == "auto" else widths


def choices(spec: Spec, facts: Facts) -> Choices:
    """The options that all generators choose alike."""
    return {"widths": layers(spec, facts)}


def averaged(epochs: float, batch: int, rows: int) -> float:
    """The decay of averaged weights that spans about a twentieth of the steps."""
    return min(0.9995, max(0.9, 1 - 20 * batch / (epochs * max(1, rows))))


def real(spec: Spec, data: Tensor) -> Tensor:
    """Values as a batch has them to real ones: pixels (B, H, W, C) to (B, C, H, W) in [-1, 1]; vectors as they are."""
    if spec.kind == "pixels":
        return data.permute(0, 3, 1, 2).float() / 127.5 - 1
    return data.float()


def answer(spec: Spec, x: Tensor) -> dict[str, Tensor]:
    """Real values as a head gives them: {"pixels": (B, H, W, C), 0 to 255} or {"value": (B, F)}."""
    if spec.kind == "pixels":
        return {"pixels": (x.float().clamp(-1, 1).permute(0, 2, 3, 1) + 1) * 127.5}
    return {"value": x.float()}


def shape(spec: Spec) -> tuple[int, ...]:
    """A row's real values: (C, H, W) or (F,)."""
    sides = tuple(int(side or 1) for side in spec.shape)
    return (spec.size, *sides) if spec.kind == "pixels" else sides


def normals(rows: int, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
    """(rows, *shape) of N(0, 1), on the CPU, of which the first are the same for any number of rows.

    The generator goes on by the same for any number, so that what is drawn next does not depend on it either.
    """
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    width = math.prod(shape)
    whole = torch.randn(rows, -(-width // BLOCK) * BLOCK, generator=own)
    return whole[:, :width].reshape(rows, *shape)


class Reader(nn.Module):
    """Real values to a vector of so many numbers: convolutions down to a grid of which all places count, or layers.

    dense: layers for pictures too.
    """

    def __init__(self, spec: Spec, widths: list[int], outputs: int, *, dense: bool = False) -> None:
        super().__init__()
        if spec.kind == "pixels" and not dense:
            body = ResNet(spec.size, widths, patch=PATCH, norm="none", init="suited", activation="silu")
            places = math.prod(-(-int(side or 1) // body.strides[-1]) for side in spec.shape[:2])
            self.body: nn.Module = body
            self.out = nn.Linear(widths[-1] * places, outputs)
        else:
            self.body = MLP(math.prod(shape(spec)), widths, 0, activation="silu")
            self.out = nn.Linear(widths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, outputs)."""
        read = self.body.maps(x)[-1].flatten(1) if isinstance(self.body, ResNet) else self.body(x.flatten(1))
        return self.out(read)


class Maker(nn.Module):
    """A vector (B, inputs) to real values, `times` as many as a row has: (B, C * times, H, W) or (B, F * times).

    dense: by layers for pictures too.
    """

    def __init__(self, spec: Spec, widths: list[int], inputs: int, *, times: int = 1, dense: bool = False) -> None:
        super().__init__()
        first, *rest = shape(spec)
        self.shape = (first * times, *rest)
        if spec.kind == "pixels" and not dense:
            size = (int(spec.shape[0] or 1), int(spec.shape[1] or 1))
            back = widths[::-1]
            self.net: nn.Module = ConvDecoder(
                inputs, spec.size * times, size, back, patch=PATCH, norm="none", init="suited", activation="silu"
            )
        else:
            self.net = MLP(inputs, widths, math.prod(self.shape), activation="silu")

    def forward(self, z: Tensor) -> Tensor:
        """(B, inputs) to real values of any size."""
        return self.net(z).view(-1, *self.shape) if isinstance(self.net, MLP) else self.net(z)


def beside(z: Tensor, given: Tensor) -> Tensor:
    """(B, D + width) numbers and the features of what is given side by side; nothing may be given."""
    return torch.cat([z, given.to(z.dtype)], 1) if given.shape[1] else z
