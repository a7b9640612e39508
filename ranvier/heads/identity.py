"""Who or what a row shows, of classes that are open: rows of one identity are brought to one direction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.columns.identity import too_few
from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import NotNegative, Number, Positive
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.output import by_member, present, quiet
from ranvier.ops.contrastive import mates, supervised_contrastive
from ranvier.ops.losses import cross_entropy
from ranvier.ops.margins import angular_margin
from ranvier.ops.verification import WATCHED, Verification
from ranvier.ops.whitening import whitening

STRAY = 0.01
FEW = 100  # identities of which none can be spared


class IdentityHead(Head):
    """The vector (B, D) to a direction that tells rows' identities apart, those never trained on as well.

    loss: "cross_entropy", that of a linear layer over the training identities; "arcface", the same by cosines, `scale`
    times each, with an angle of `margin` radians by which the true one has to lead (`ops.margins`); or "contrastive",
    for which each row is to be nearer to the others of its identity in the batch than to all else, cosines being
    divided by `temperature` (`ops.contrastive.supervised_contrastive`): rows then see one another, `splits` is False,
    and batches hold rows of one identity together (`gathers`). A row whose identity training did not see teaches the
    first two nothing. layer_width: numbers of a linear layer that makes the vector, 0 = the features are the vector.
    whiten: after training, vectors are centred, and scaled by how they vary among training rows of one identity, as far
    as `shrink` does not draw that towards a ball (1 = centred alone); in the few directions that told training's
    identities apart others need not differ, and without this they outweigh all else. Raises PlanError for a column of
    another kind.
    """

    middle: Tensor
    spread: Tensor
    averages = True
    alone = True  # vectors of different networks have nothing in common
    monitor = "eer:min"

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        loss: Literal["cross_entropy", "arcface", "contrastive", "auto"] = "auto",
        margin: NotNegative = 0.2,
        scale: Positive = 16.0,
        temperature: Positive = 0.1,
        layer_width: Number = 0,
        whiten: bool = True,
        shrink: float = 0.1,
    ) -> None:
        super().__init__()
        if spec.kind != "identity" or spec.size < 1:
            raise PlanError(f"the identity head needs a column of kind 'identity' with a value, not {spec.kind!r}")
        if not 0.0 < shrink <= 1.0:
            raise PlanError(f"shrink = {shrink} must be above 0 and at most 1")
        self.identities, self.kind = spec.size, _loss(spec)[0] if loss == "auto" else loss
        self.splits = self.kind != "contrastive"
        self.ahead = partial(angular_margin, margin=float(margin), scale=float(scale))
        self.apart = partial(supervised_contrastive, temperature=float(temperature))
        self.whiten, self.shrink = whiten, shrink
        self.layer = quiet(width, layer_width) if layer_width else None
        self.width = layer_width or width
        if self.kind == "arcface":
            self.centres = nn.Parameter(F.normalize(torch.randn(spec.size, self.width), dim=1))
        elif self.kind == "cross_entropy":
            self.out = quiet(self.width, spec.size)
        self.register_buffer("middle", torch.zeros(self.width))
        self.register_buffer("spread", torch.zeros(self.width, self.width).fill_diagonal_(1))

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "classes that are open") if spec.kind == "identity" else (0.0, "the column holds no identities")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        return {"loss": _loss(spec)}

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        if spec.size >= FEW:
            return {}
        return {"refit": (True, f"{spec.size} identities or so: those held out are worth learning from, once judged")}

    @classmethod
    def gathers(cls, options: Mapping[str, Any]) -> bool:
        return options["loss"] == "contrastive"

    def refuses(self, truth: Encoded) -> str:
        _, counts = np.unique(truth.data[truth.observed], return_counts=True)
        return too_few(counts, len(truth))

    def vector(self, f: Features) -> Tensor:
        """(B, width) as it is learnt, of any length."""
        vector = f.as_vector() if f.vector is None else f.vector
        return vector if self.layer is None else self.layer(vector)

    def settle(self, vectors: Tensor, code: Tensor) -> None:
        """Centres and whitens from now on by vectors (N, width) of training rows and their identities (N,)."""
        if self.whiten:
            middle, spread = whitening(vectors, code, self.shrink)
            self.middle.copy_(middle)
            self.spread.copy_(spread)

    def count(self, y: Value) -> Tensor:
        """(B,) 1 for each row that teaches something, 0 for the others."""
        real = self._real(y)
        return (mates(y.data, real) if self.kind == "contrastive" else real).float()

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the loss asked for, of vectors before they are whitened."""
        vector, real = self.vector(f), self._real(y)
        if self.kind == "contrastive":
            return by_member(self.apart, f.members, self._off_zero(vector), y.data, real)
        truth = torch.where(real, y.data, 0)
        scores = self.ahead(vector, self.centres, truth) if self.kind == "arcface" else self.out(vector)
        return torch.where(real, cross_entropy(scores, truth), 0.0)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"vector": (B, width)} float32, of length 1; means of several are shorter, the less they agree."""
        vector = self.vector(f).float()
        with torch.autocast(vector.device.type, enabled=False):  # in bf16 a row would not be quite alike itself
            return {"vector": F.normalize((vector - self.middle) @ self.spread, dim=1)}

    def metrics(self) -> Metrics:
        """Figures of pairs of some rows."""
        return Verification(WATCHED)

    def _off_zero(self, vector: Tensor) -> Tensor:
        """While training rows at zero stray a little: rows in one place cannot be pulled apart, and some encoders (bag)
        start with all of them there."""
        if not self.training:
            return vector
        return vector + (vector == 0).all(1, keepdim=True) * STRAY * torch.randn_like(vector)

    def _real(self, y: Value) -> Tensor:
        """(B,) which rows have an identity, and but for contrast one of training's."""
        data = present(y.data, y.observed)
        real = data >= 0 if self.kind == "contrastive" else (data >= 0) & (data < self.identities)
        return real if y.observed is None else real & y.observed


def _loss(spec: Spec) -> tuple[Literal["cross_entropy", "arcface"], str]:
    """The loss for so many identities, and why."""
    if spec.size < FEW:
        return (
            "cross_entropy",
            f"{spec.size} identities or so: a margin makes them so alike that others are no more told",
        )
    return "arcface", f"{spec.size} identities or so: a margin makes room for others between them"
