"""Autoencoders: all inputs through few numbers, from which heads give them back."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, NotNegative, Number
from ranvier.core.protocols import Features, Fuse, View
from ranvier.core.spec import Spec
from ranvier.encoders.fuse import NO_TOKENS, VECTOR, joined, of_tables
from ranvier.nets.activations import ActivationName
from ranvier.nets.mlp import MLP

Auto = Literal["auto"]
CODE = 32  # numbers, at most, unless asked for


class Bottleneck(Fuse):
    """The vectors of all inputs, side by side, through `code` numbers: (B, D) each to (B, width).

    What heads give back of the inputs they then know from the code alone (Hinton & Salakhutdinov 2006, "Reducing the
    dimensionality of data with neural networks", Science 313). depth: hidden layers before the code, and as many after
    it, each `layer_width` wide; with 0 both ways are left to the encoders and heads. activation: of these. noise:
    deviation of Gaussian noise that is added to the code while training. sparse: what each unit of the code costs, in
    units of the loss; the code is then never negative, and mostly 0 (Ng 2011, "Sparse autoencoder", with the sum of
    the absolute values for the penalty). To denoise, vary the input (`augment`). Built by hand, "auto" is a code of 32
    and no layers.
    """

    narrows = True

    def __init__(
        self,
        widths: dict[str, int],
        /,
        *,
        code: Count | Auto = "auto",
        layer_width: Count | Auto = "auto",
        depth: Number | Auto = "auto",
        activation: ActivationName = "relu",
        noise: NotNegative = 0.0,
        sparse: NotNegative = 0.0,
    ) -> None:
        super().__init__()
        self.code = CODE if code == "auto" else code
        layers = [128 if layer_width == "auto" else layer_width] * (0 if depth == "auto" else depth)
        self.noise, self.sparse, self.costs = float(noise), float(sparse), sparse > 0
        self.down = MLP(sum(widths.values()), layers, self.code, activation=activation)
        self.up = MLP(self.code, layers, 0, activation=activation) if layers else nn.Identity()
        self.width = layers[-1] if layers else self.code

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The choice where all that is to be predicted is given."""
        if facts.views != VECTOR:
            return 0.0, NO_TOKENS
        if not facts.averages:
            return 0.0, "a head that draws has a code of its own"
        if facts.restores:
            return 1.0, "what is given and is to be given back passes through few numbers"
        return 0.1, "for inputs that are to be given back"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the columns: half as many numbers, and layers where their encoders have none."""
        shallow = of_tables(spec)
        each = sum(int(part.shape[0] or 1) if part.kind == "vector" else 1 for part in spec.parts)
        few = max(2, min(CODE, -(-each // 2)))
        return {
            "code": (few, f"half of {each} columns") if shallow else (CODE, "few numbers for a whole picture or text"),
            "layer_width": ({"s": 64, "m": 128, "l": 256}[facts.size], f"size {facts.size}"),
            "depth": (2, "columns of tables have no layers of their own")
            if shallow
            else (0, "encoders and heads are deep"),
        }

    def forward(self, parts: dict[str, Features], needs: frozenset[View]) -> Features:
        """(B, D) each to (B, width), with the code (B, code) beside it."""
        code = self.down(joined(parts))
        code = F.relu(code) if self.sparse else code
        noisy = code + self.noise * torch.randn_like(code) if self.noise and self.training else code
        features = self.expand(noisy)
        features.code, features.parts = code, parts
        features.cost = self.sparse * code.float().abs().sum(1) if self.sparse else None
        return features

    def expand(self, code: Tensor) -> Features:
        """What heads read, from codes (B, code)."""
        return Features(len(code), self.up(code))
