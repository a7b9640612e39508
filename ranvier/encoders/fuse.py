"""Joins the features of any inputs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Features, Fuse, Value, View
from ranvier.core.spec import Spec
from ranvier.nets.activations import ActivationName
from ranvier.nets.init import InitName
from ranvier.nets.mlp import MLP
from ranvier.nets.norms import NormName
from ranvier.nets.tabm import TabM

TINY_ROWS = 800  # below it, a fixed number of steps did better than choosing by validation rows
FEW_ROWS = 2_500  # below it, a linear path helps
MANY_ROWS = 10_000
PLENTY = 60_000  # from here on training again with the validation rows is not worth its time
MOST_STEPS = 60_000
RECIPES = [  # up to so many rows: rate, batch, steps (0 = by epochs), epochs; found on folds apart from the bench
    (TINY_ROWS, 2e-3, 64, 300, 0),
    (FEW_ROWS, 5e-3, 64, 500, 0),
    (MANY_ROWS, 5e-3, 128, 0, 30),
    (float("inf"), 1e-2, 256, 0, 16),
]


VECTOR = frozenset({"vector"})
NO_TOKENS = "it joins vectors, and a head reads more than these"
SHALLOW = ("scalar", "index", "vector", "khot")


def of_tables(spec: Spec) -> bool:
    """Whether an input is among them whose encoder is no network of its own: number, category, date, set, vector."""
    return any(part.kind in SHALLOW for part in spec.parts or (spec,))


def joined(parts: dict[str, Features]) -> Tensor:
    """(B, sum of widths): the vectors of all inputs side by side, in the order of their names' coming."""
    return torch.cat([part.as_vector() for part in parts.values()], 1)


class Concat(Fuse):
    """Puts inputs side by side and learns nothing; a single input passes with all its views.

    Vectors are joined end to end. Tokens of several inputs follow one another, each as wide as the joined vector and
    zero but where its own input's features stand there, so that what reads them has weights for each input apart.
    """

    views = frozenset({"vector", "tokens", "maps"})

    def __init__(self, widths: dict[str, int], /) -> None:
        super().__init__()
        self.widths = list(widths.values())
        self.width = sum(self.widths)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Best for a single input that is no table column: its encoder is a whole network."""
        if facts.restores:
            return 0.3, "joins without learning"
        if len(spec.parts) <= 1 and not of_tables(spec):
            return 1.0, "a single input needs no joining" if spec.parts else "there is no input to join"
        if "tokens" in facts.views:
            return 0.5, "keeps the tokens of every input"
        return 0.3, "joins without learning"

    def forward(self, parts: dict[str, Features], needs: frozenset[View]) -> Features:
        """(B, D) each to (B, sum of D), tokens (B, T, D) each to (B, sum of T, sum of D).

        Raises PlanError if maps of several inputs are asked for.
        """
        if len(parts) == 1:
            (only,) = parts.values()
            vector = only.as_vector() if "vector" in needs else only.vector
            tokens = only.as_tokens() if "tokens" in needs else only.tokens
            return Features(only.size, vector, tokens, only.maps, parts)
        if "maps" in needs:
            raise PlanError(f"fuse 'concat' joins vectors and tokens; maps of {len(parts)} inputs were asked for")
        first = next(iter(parts.values()))
        vector = joined(parts) if "vector" in needs else None
        tokens = self._tokens(parts) if "tokens" in needs else None
        return Features(first.size, vector, tokens, parts=parts)

    def _tokens(self, parts: dict[str, Features]) -> Value:
        """The tokens of all inputs, one after another."""
        each = [part.as_tokens() for part in parts.values()]
        places = [sum(self.widths[:k]) for k in range(len(each))]
        data = [
            F.pad(one.data, (place, self.width - place - one.data.shape[2]))
            for one, place in zip(each, places, strict=True)
        ]
        return Value(torch.cat(data, 1), torch.cat([one.mask for one in each if one.mask is not None], 1))


class MLPFuse(Fuse):
    """The vectors of all inputs side by side, then an MLP: (B, D) each to (B, layer_width).

    depth: hidden layers. activation, norm, init: of these, see `ranvier.nets.MLP`. With norm "batch" rows see one
    another while training, and `splits` is False. Built by hand, "auto" is 256 wide, 2 deep, dropout 0.1.
    """

    def __init__(
        self,
        widths: dict[str, int],
        /,
        *,
        layer_width: int | Literal["auto"] = "auto",
        depth: int | Literal["auto"] = "auto",
        activation: ActivationName = "relu",
        norm: NormName = "none",
        init: InitName = "suited",
        dropout: float | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        layers = [256 if layer_width == "auto" else layer_width] * (2 if depth == "auto" else depth)
        self.net = MLP(
            sum(widths.values()),
            layers,
            0,
            activation=activation,
            norm=norm,
            init=init,
            dropout=0.1 if dropout == "auto" else dropout,
        )
        self.splits = norm != "batch"
        self.width = self.net.width

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Best for several inputs of which none is a table column."""
        if facts.views != VECTOR:
            return 0.0, NO_TOKENS
        return (0.8 if len(spec.parts) > 1 else 0.5), "joins several inputs"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the capacity dial."""
        width = {"s": 128, "m": 256, "l": 512}[facts.size]
        return {
            "layer_width": (width, f"size {facts.size}"),
            "depth": (2, "joins need not be deep"),
            "dropout": (0.1, "a little regularisation"),
        }

    def forward(self, parts: dict[str, Features], needs: frozenset[View]) -> Features:
        """(B, D) each to (B, width)."""
        vector = self.net(joined(parts))
        return Features(len(vector), vector, parts=parts)


class TabMFuse(Fuse):
    """The vectors of all inputs side by side, then a parameter-efficient ensemble of MLPs (`nets.TabM`).

    (B, D) each to (B * members, width), a row's members adjacent; members end in scales of their own, so that one
    head serves them all; `parts` stay (B, D). depth: hidden layers. activation: of these. skip: the joined vector
    stands beside the last hidden layer, so that the head contains a linear model. Built by hand, "auto" is 16 members,
    128 wide, 2 deep, dropout 0.1, no skip.
    """

    def __init__(
        self,
        widths: dict[str, int],
        /,
        *,
        members: int | Literal["auto"] = "auto",
        layer_width: int | Literal["auto"] = "auto",
        depth: int | Literal["auto"] = "auto",
        activation: ActivationName = "relu",
        dropout: float | Literal["auto"] = "auto",
        skip: bool | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        layers = [128 if layer_width == "auto" else layer_width] * (2 if depth == "auto" else depth)
        self.net = TabM(
            sum(widths.values()),
            layers,
            0,
            members=16 if members == "auto" else members,
            activation=activation,
            dropout=0.1 if dropout == "auto" else dropout,
            skip=False if skip == "auto" else skip,
        )
        self.width = self.net.width

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Best wherever numbers or categories are among the inputs."""
        if facts.views != VECTOR:
            return 0.0, NO_TOKENS
        if not facts.averages:
            return 0.0, "a head's answers cannot be averaged over members"
        if of_tables(spec):
            return 0.9, "an ensemble of small networks does best on tables"
        return 0.2, "made for tables"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By rows and the capacity dial: few rows need dropout and a linear path."""
        few = facts.rows < FEW_ROWS
        rows, width = f"{facts.rows:,} rows", {"s": 64, "m": 128, "l": 256}[facts.size]
        return {
            "members": ({"s": 4, "m": 8, "l": 16}[facts.size], f"size {facts.size}"),
            "layer_width": (width * 2 if facts.rows >= MANY_ROWS else width, f"size {facts.size}, {rows}"),
            "depth": (2, "tables seldom gain from more"),
            "dropout": (0.2 if few else 0.1 if facts.rows < MANY_ROWS else 0.0, rows),
            "skip": (few, "few rows favour a linear model" if few else f"{rows} do without a linear path"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """By the number of rows: few steps for few rows, and a high rate once there are many."""
        if not of_tables(spec):
            return {}
        rows = f"{facts.rows:,} rows"
        rate, batch, steps, epochs = next(r[1:] for r in RECIPES if facts.rows < r[0])
        tiny, many = facts.rows < TINY_ROWS, facts.rows >= MANY_ROWS
        batch = max(1, min(batch, facts.rows))
        passes = steps * batch / max(1, facts.rows) if steps else min(epochs, MOST_STEPS * batch / facts.rows)
        small = not many and all(part.kind in SHALLOW for part in spec.parts)
        alone: Choices = {"threads": (1, "layers this small only wait for one another in several threads")}
        return (alone if small else {}) | {
            "optimizer": ({"name": "adamw", "betas": [0.9, 0.999]}, "tables need no other"),
            "rate": (rate, rows),
            "decay": (0.03, "measured on tables"),
            "batch": (batch, rows),
            "epochs": (max(1.0, float(round(passes))), f"about {steps} steps" if steps else rows),
            "schedule": ({"name": "cosine", "warmup": 0.05, "final": 0.0}, "ends at rest"),
            "clip": (1.0, "keeps a stray batch from spoiling the weights"),
            "average": (0.0, "the members already are an average"),
            "precision": ("bf16", "as exact here, and faster") if many else ("fp32", "the batches are small"),
            "patience": (0, "the schedule ends the run"),
            "keep": ("last", "few validation rows would choose by chance") if tiny else ("best", "by validation rows"),
            "refit": (
                facts.rows < PLENTY,
                "every row counts" if facts.rows < PLENTY else "validation rows are few of many",
            ),
        }

    def forward(self, parts: dict[str, Features], needs: frozenset[View]) -> Features:
        """(B, D) each to (B * members, width), a row's members adjacent."""
        members = self.net(joined(parts))
        return Features(len(members) * self.net.members, members.flatten(0, 1), parts=parts, members=self.net.members)
