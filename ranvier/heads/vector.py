"""One vector per row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Positive
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.output import Output, by_member, present
from ranvier.ops.contrastive import info_nce
from ranvier.ops.losses import absolute_error, cosine, huber, kl, soft_cross_entropy, squared_error
from ranvier.ops.vectors import Vectors

Kind = Literal["squared_error", "absolute_error", "huber", "cosine", "kl", "soft_cross_entropy", "info_nce"]
LOSSES = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "cosine": cosine,
    "kl": kl,
    "soft_cross_entropy": soft_cross_entropy,
}
SHARES = ("kl", "soft_cross_entropy")  # the vectors are distributions
DIRECTIONS = ("cosine", "info_nce")  # their lengths do not count
CLOSE = 1e-3  # how far from 1 a distribution may sum to: as many digits are written of shares


class VectorHead(Head):
    """A linear read-out: the vector (B, D) to the values (B, F) of a column of kind vector.

    loss: squared_error predicts each element's mean, absolute_error its median, huber lies between (squared within
    delta, absolute beyond), all summed over the elements. cosine: the angle alone counts. kl and soft_cross_entropy are
    for distributions (shares that sum to 1, a teacher's probabilities): outputs are logits, predictions their softmax.
    info_nce: each row is to find its own vector among those of the batch, by the cosine over the temperature, and
    where symmetric each vector its row; rows then see one another, and `splits` is False. With cosine and info_nce
    predictions have length 1; means of several (of members, folds, or what a picture may be seen as) are shorter, the
    less they agree. All but the first three compare vectors as they are: the column does not standardise. delta is read
    with huber only, temperature and symmetric with info_nce only. dropout: on the vector before the last layer. Raises
    PlanError for a spec that is no vector.
    """

    averages = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        loss: Kind = "squared_error",
        delta: Positive = 1.0,
        temperature: Positive = 0.1,
        symmetric: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "vector":
            raise PlanError(f"the vector head needs a column of kind 'vector', not {spec.kind!r}")
        self.kind, self.splits = loss, loss != "info_nce"
        self.found = partial(info_nce, temperature=float(temperature), symmetric=symmetric)
        self.error = partial(huber, delta=float(delta)) if loss == "huber" else LOSSES.get(loss)
        self.out = Output(width, int(spec.shape[0] or 0), dropout)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        # a date is a vector only for encoders
        if spec.kind != "vector" or spec.unit != "row":
            return 0.0, "the column holds no vectors"
        return (1.0, "a vector") if facts.inputs else (0.0, "there is nothing to predict it from")

    @classmethod
    def of_target(cls, options: Mapping[str, Any]) -> Choices:
        if options.get("loss") in SHARES:
            return {"standardise": (False, f"loss = {options['loss']!r} compares distributions as they are")}
        if options.get("loss") in DIRECTIONS:
            return {"standardise": (False, f"loss = {options['loss']!r} compares directions as they are")}
        return {}

    def refuses(self, truth: Encoded) -> str:
        if self.kind not in SHARES:
            return ""
        vectors = truth.data[truth.observed]
        sums = vectors.sum(1, dtype=np.float64)
        off = sums[np.abs(sums - 1) > CLOSE]
        if vectors.size and vectors.min() < 0:
            wrong = f"holds {vectors.min():.4g}"
        elif len(off):
            wrong = f"sums to {off[0]:.6g}"
        else:
            return ""
        needs = "numbers of at least 0 that sum to 1"
        return f"loss = {self.kind!r} needs distributions, {needs}, but one {wrong}; repair it, or use 'squared_error'"

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the loss asked for, in units of the column's own values."""
        said, truth = self.out(f), present(y.data, y.observed)
        if self.error is None:
            return by_member(self.found, f.members, said, truth, y.observed)
        return self.error(said, truth)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"value": (B, F)} float32: as the column encodes it, shares that sum to 1, or a direction of length 1."""
        said = self.out(f).float()
        if self.kind in SHARES:
            return {"value": said.softmax(1)}
        return {"value": F.normalize(said, dim=1) if self.kind in DIRECTIONS else said}

    def metrics(self) -> Metrics:
        """Every figure, of the vectors as the column encodes them."""
        return Vectors()
