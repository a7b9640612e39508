"""Rows drawn a field at a time, each given those that are there already."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.counts import counted
from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count
from ranvier.core.protocols import Encoder, Features, Head, Value
from ranvier.core.spec import Spec
from ranvier.heads.cells import Cells
from ranvier.heads.output import check_share
from ranvier.heads.real import LAYER, Auto, normals
from ranvier.nets.fields import FieldNet
from ranvier.ops.sampling import COLD, inverted

FINEST = 256  # cells of a number
COARSEST = 16
ALL = 4_096  # of all numbers, where each may then have more than the coarsest
WIDE = 16  # fields, above which each is looked up as half as many numbers
ORDERS = 4  # of the fields, in which a row is judged
SEED = 5_897  # of those orders: one that nobody seeds data with
MANY = 2_000  # rows from which on cells are the first choice


class AutoregressiveHead(Head):
    """p(row) = Π p(field | fields before it), in any order of the fields, by one network.

    Each field is one of `cells`: a category, or a stretch of numbers within which all ranks are alike; what training
    never had is as likely as it is in the next of as many rows, and says nothing of other fields. While training
    some of a row's fields are shown, so many that each number of them is as likely, and the loss is the cross-entropy
    of all others: -D E[mean over hidden fields of log p(field | shown)], in nats, which bounds -log p(row) (Uria,
    Murray & Larochelle 2014, "A deep and tractable density estimator", arXiv:1310.1757, eq. 6; Hoogeboom et al. 2021,
    "Autoregressive diffusion models", arXiv:2110.02037, eq. 4). Drawn is field by field, each row in an order of its
    own, by as many passes as there are fields.

    cells: of a number, about. embedding: numbers that stand for a cell (even). layer_width, depth: of the residual
    layers. Raises PlanError for a column that is not a row of fields.
    """

    unconditional: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    completes: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = ("temperature",)
    dear: ClassVar[bool] = True
    strange_as: ClassVar[str] = "surprise"

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        cells: Count | Auto = "auto",
        embedding: Count | Auto = "auto",
        layer_width: Count = LAYER["m"],
        depth: Count = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not spec.fields:
            raise PlanError("head 'autoregressive' draws rows of numbers and categories; 'diffusion' draws the rest")
        check_share("dropout", dropout)
        numbers = _embedding(spec) if embedding == "auto" else embedding
        if numbers % 2:
            raise PlanError(f"embedding = {numbers} must be even: half of it are sines, half cosines")
        self.cells = Cells(spec.fields, FINEST if cells == "auto" else cells)
        self.net = FieldNet(
            self.cells.sizes,
            layer_width,
            ordered=self.cells.ordered,
            embedding=numbers,
            condition=width,
            depth=depth,
            dropout=dropout,
        )

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The first choice for rows, where there are many to learn from."""
        if not spec.fields:
            return 0.0, "it makes rows of tables"
        return (0.6 if facts.rows >= MANY else 0.4), "draws rows field by field"

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the rows, the fields and the capacity dial."""
        fields = counted(len(spec.fields), "field|fields")
        fine = min(FINEST, 1 << (facts.rows // 64).bit_length(), ALL // len(spec.fields))
        return {
            "cells": (max(COARSEST, fine), f"{facts.rows:,} rows, {fields}"),
            "embedding": (_embedding(spec), fields),
            "layer_width": (LAYER[facts.size], f"size {facts.size}"),
        }

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW down to 0, with many passes, for other fields are hidden in each."""
        rows = f"{facts.rows:,} training rows"
        return {
            "optimizer": ("adamw", "the usual choice for residual layers"),
            "rate": (2e-3, "steady"),
            "decay": (1e-2, "a little"),
            "batch": (256 if facts.rows >= 10_000 else 128 if facts.rows >= 4_000 else 32, rows),
            "epochs": (float(min(200, max(10, round(60 * (20_000 / max(1, facts.rows)) ** 0.5)))), rows),
            "schedule": ({"name": "cosine", "warmup": 0.05, "final": 0.0}, "ends at rest"),
            "clip": (1.0, "keeps a stray batch from spoiling the weights"),
            "precision": ("bf16", "products are faster in bf16"),
            "keep": ("last", "of the least loss rows are drawn too broadly"),
        }

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) nats: the bound of -log p of the row's cells, from the fields that are hidden this time."""
        cells, new = self.cells.of(y.data.float())
        rows, fields = cells.shape
        rank = torch.rand(rows, fields, device=cells.device).argsort(1).argsort(1)
        known = rank < torch.randint(fields, (rows, 1), device=cells.device)
        scores = self.net(cells, known & (new == 0), _condition(f)).split(self.cells.sizes, 1)
        nats = torch.stack([self._nats(at, own, cells, new) for at, own in enumerate(scores)], 1)
        return (nats * ~known).sum(1) * fields / (~known).sum(1)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"value": (B, F)} drawn; how: generator, temperature (what scores are divided by; 0 = the likeliest), begun.

        begun: (B, F) and (B, D), rows of which some fields are known, and which of each: all others are drawn for them.
        """
        generator, warm = how.get("generator"), float(how.get("temperature", 1.0))
        device, fields = f.as_vector().device, len(self.cells.sizes)
        share, chance, order = torch.special.ndtr(normals(f.size, (3, fields), generator)).unbind(1)
        cells = torch.zeros(f.size, fields, dtype=torch.int64, device=device)
        known = torch.zeros(f.size, fields, dtype=torch.bool, device=device)
        if begun := how.get("begun"):
            (cells, _), known = self.cells.of(begun[0].to(device)), begun[1].to(device)
        chance = chance.to(device)
        for turn in order.argsort(1).to(device).split(1, 1):
            scores = _own(self.net(cells, known, _condition(f)).float(), turn, self.cells.sizes)
            found = _drawn(scores, warm, chance.gather(1, turn)[:, 0])[:, None]
            cells = cells.scatter(1, turn, torch.where(known.gather(1, turn), cells.gather(1, turn), found))
            known = known.scatter(1, turn, True)
        return {"value": self.cells.back(cells.cpu(), share)}

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """{"surprise": (B,)}: nats."""
        return {self.strange_as: self.strange(f, y)}

    def strange(self, f: Features, y: Value) -> Tensor:
        """(B,) -log p of the row's cells in nats, exact in each of a few orders, the same at each call; their mean."""
        cells, new = self.cells.of(y.data.float())
        generator, nats = torch.Generator().manual_seed(SEED), torch.zeros(f.size, device=cells.device)
        for _ in range(ORDERS):
            known = torch.zeros_like(cells, dtype=torch.bool)
            for place in torch.randperm(cells.shape[1], generator=generator).tolist():
                scores = self.net.of_field(place, cells, known, _condition(f))
                nats = nats + self._nats(place, scores, cells, new) / ORDERS
                known[:, place] = new[:, place] == 0
        return nats

    def _nats(self, place: int, scores: Tensor, cells: Tensor, new: Tensor) -> Tensor:
        """(B,) -log p of one field. scores: (B, size) of its cells; cells, new: (B, D), as `Cells.of` gives them."""
        known = F.cross_entropy(scores.float(), cells[:, place], reduction="none")
        return torch.where(new[:, place] > 0, new[:, place], known)


def _condition(f: Features) -> Tensor | None:
    """The vector of what is given, None if nothing is."""
    vector = f.as_vector()
    return vector if vector.shape[1] else None


def _own(scores: Tensor, turn: Tensor, sizes: list[int]) -> Tensor:
    """(B, widest) the scores of one field a row, out of those of all, (B, sum of sizes). turn: (B, 1) which field."""
    starts = torch.tensor([0, *accumulate(sizes)], device=scores.device)
    cell = torch.arange(max(sizes), device=scores.device)
    at = (starts[turn] + cell).clamp(max=scores.shape[1] - 1)
    return scores.gather(1, at).masked_fill(starts[turn] + cell >= starts[turn + 1], -torch.inf)


def _drawn(scores: Tensor, temperature: float, chance: Tensor) -> Tensor:
    """(B,) cells; chance: (B,) between 0 and 1."""
    if temperature < COLD:
        return scores.argmax(1)
    return inverted((scores / temperature).softmax(1), chance)


def _embedding(spec: Spec) -> int:
    return 64 if len(spec.fields) <= WIDE else 32
