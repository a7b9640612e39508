"""Texts and pictures through a Transformer: tokens, or patches of pixels, that attend to one another."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Value, View
from ranvier.core.spec import Spec
from ranvier.encoders.rnn import token_recipe
from ranvier.encoders.tokens import TokenReader, TokenViews, demand, kept, letters_of, limit_of, settled
from ranvier.nets.activations import ActivationName
from ranvier.nets.dropout import Dropout
from ranvier.nets.pool import PoolKind
from ranvier.nets.transformer import NormKind, Transformer
from ranvier.nets.vit import GRID_BASE, sines

Auto = Literal["auto"]


class PatchReader(nn.Module):
    """Pictures, uint8 (B, H, W, channels), as vectors of square patches, (B, rows * columns, width), row by row.

    Pixels are scaled to [-1, 1]; a picture that patches do not tile is extended with zeros (grey) to the right and
    below. Each patch is projected, and its place added as sines and cosines of row and column (Beyer, Zhai &
    Kolesnikov, "Better plain ViT baselines for ImageNet-1k", arXiv:2205.01580). Raises PlanError if width is not a
    multiple of 4.
    """

    def __init__(self, channels: int, width: int, patch: int, /) -> None:
        super().__init__()
        if width % 4:
            raise PlanError(
                f"width = {width}: positions of patches need a multiple of 4; try {4 * math.ceil(width / 4)}"
            )
        self.patch = patch
        self.project = nn.Linear(channels * patch * patch, width)
        self.place = nn.Parameter(torch.ones(width))  # how much of the position each feature takes

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (B, T, width), and their row and column (T, 2)."""
        p = self.patch
        x = pixels.float() / 127.5 - 1
        x = F.pad(x, (0, 0, 0, -x.shape[2] % p, 0, -x.shape[1] % p))
        b, h, w, c = x.shape
        x = x.view(b, h // p, p, w // p, p, c).transpose(2, 3).reshape(b, -1, p * p * c)
        rows, columns = torch.arange(h // p, device=x.device), torch.arange(w // p, device=x.device)
        places = torch.cartesian_prod(rows, columns)
        return self.project(x) + self.place * sines(places, len(self.place)), places


class TransformerEncoder(Encoder):
    """Tokens or patches through pre-norm Transformer blocks with rotary positions.

    width: of tokens and vector, a multiple of heads (and of 4 for pictures). depth: blocks. heads: of attention.
    activation, ratio, norm, drop_path: see `ranvier.nets.Transformer`. pool: how tokens become a vector. dropout: on
    what enters and on what each block adds. word_dropout, limit: of text, see `TokenReader`. patch: of pictures, pixels
    to a side. Tokens (B, T) or pixels (B, H, W, C) to vector (B, width) and tokens (B, T, width); a missing row gets a
    learned vector, an empty text zeros. Raises PlanError for a column of another kind.
    """

    views: ClassVar[frozenset[View]] = frozenset({"vector", "tokens"})
    tells: ClassVar[bool] = True
    carries = ("width", "depth", "heads", "activation", "ratio", "norm")

    def __init__(
        self,
        spec: Spec,
        /,
        *,
        width: int | Auto = "auto",
        depth: int | Auto = "auto",
        heads: int | Auto = "auto",
        activation: ActivationName = "swiglu",
        ratio: float = 4.0,
        norm: NormKind = "layer",
        pool: PoolKind | Auto = "auto",
        dropout: float | Auto = "auto",
        drop_path: float = 0.0,
        word_dropout: float | Auto = "auto",
        limit: int | Auto = "auto",
        patch: int | Auto = "auto",
    ) -> None:
        super().__init__()
        demand(type(self), spec, "tokens", "pixels")
        given = {"width": width, "depth": depth, "pool": pool, "dropout": dropout, "word_dropout": word_dropout}
        o = settled(type(self), spec, **given, limit=limit, patch=patch)
        self.width = o["width"]
        self.read: nn.Module
        if spec.kind == "tokens":
            reading = {"word_dropout": o["word_dropout"], "limit": o["limit"], "letters": letters_of(spec)}
            self.read = TokenReader(spec.size, self.width, **reading)
        else:
            self.read = PatchReader(spec.size, self.width, o["patch"])
        self.dropout = Dropout(o["dropout"])
        self.blocks = Transformer(
            self.width,
            depth=o["depth"],
            heads=_heads(self.width) if heads == "auto" else heads,
            activation=activation,
            ratio=ratio,
            norm=norm,
            dropout=o["dropout"],
            drop_path=drop_path,
        )
        self.give = TokenViews(self.width, pool=o["pool"], dropout=o["dropout"])

    def forward(self, value: Value, needs: frozenset[View]) -> Features:
        """Tokens (B, T) or pixels (B, H, W, C) to the views asked for."""
        if isinstance(self.read, TokenReader):
            tokens = self.read(value)
            tokens.data = self.blocks(self.dropout(tokens.data), tokens.mask)
            return self.give(tokens, needs)
        x, places = self.read(value.data)
        x = self.blocks(self.dropout(x), positions=places, base=GRID_BASE)
        return self.give(Value(x, x.new_ones(x.shape[:2], dtype=torch.bool), value.observed), needs)

    def vocabulary(self) -> nn.Embedding | None:
        return self.read.embedding if isinstance(self.read, TokenReader) else None

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves texts and pictures; it needs more rows than the default encoders to be better than they are."""
        if spec.kind not in ("tokens", "pixels"):
            return 0.0, ""
        if facts.outcome == "hidden" and spec.kind == "tokens":
            return 0.9, "what is hidden is told by any token around it"
        if facts.outcome == "texts" and "tokens" in facts.views:
            return 0.8, "what is written looks at every token that is read"
        return 0.4, "learns which tokens matter to which; wants many rows"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Width and depth by the size dial, regularisation by the rows, the patch by the picture."""
        text, size = spec.kind == "tokens", facts.size
        width = {"s": 64, "m": 128, "l": 256}[size]
        asked = facts.options.get("width", "auto")
        few, rows = facts.rows < 50_000, f"{facts.rows:,} training rows"
        side = max((n for n in spec.shape[:2] if n), default=0)
        patch = next((p for p, most in ((2, 12), (4, 40), (8, 96)) if side <= most), 16)
        costly = f"size {size}; attention costs the square of the length"
        tiling = f"pictures of {side} pixels, {-(-side // patch)} patches a side"
        return {
            "width": (width, f"size {size}"),
            "depth": ({"s": 2, "m": 2, "l": 4}[size] if text else {"s": 4, "m": 6, "l": 8}[size], f"size {size}"),
            "heads": (_heads(width if asked == "auto" else asked), "32 features a head, or some more"),
            "pool": ("mean", "every token has a say"),
            "dropout": kept(facts, 0.3 if few and text else 0.1, 0.1, rows),
            "word_dropout": kept(facts, 0.1 if few and text else 0.0, 0.0, rows if text else "not a text"),
            "limit": limit_of(spec, {"s": 256, "m": 512, "l": 1024}[size], costly if text else "not a text"),
            "patch": (patch, "not a picture" if text else tiling),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW with warm-up, which attention needs."""
        if spec.kind == "tokens":
            rate = 3e-3 if facts.inputs == 1 else 1e-3  # other inputs that train beside it want smaller steps
            recipe = token_recipe(facts, rate=rate, clip=1.0, reason="Transformer on tokens")
            return recipe | {"precision": ("bf16", "products are faster in bf16")}
        reason = "Transformer on patches"
        return {
            "optimizer": ({"name": "adamw", "betas": [0.9, 0.99]}, reason),
            "rate": (1e-3, reason),
            "decay": (0.05, reason),
            "batch": (128, reason),
            "epochs": (30 if facts.rows < 20_000 else 12, f"{facts.rows:,} training rows"),
            "schedule": ({"name": "cosine", "warmup": 0.1, "final": 0.0}, "attention diverges without warm-up"),
            "clip": (1.0, "steadies the first steps"),
            "keep": ("best", reason),
        }


def _heads(width: int) -> int:
    """The most heads of 32 features or more, of an even width each."""
    return next((n for n in range(max(width // 32, 1), 0, -1) if width % (2 * n) == 0), 1)
