"""One category per row."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import NotNegative
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, by_member, check_share
from ranvier.ops.classification import Classification
from ranvier.ops.contrastive import triplet as apart_by_class
from ranvier.ops.losses import cross_entropy, focal, hinge, known

MANY = 10  # classes from which on labels are smoothed
SMOOTHED = 0.1
RANKED = 2**18  # scores; sorting them takes some 30 ms
FEW = 16  # classes


class CategoryHead(Head):
    """Softmax over the classes: the vector (B, D) to the probabilities (B, C) of a column of kind index.

    loss: "cross_entropy" in nats; "focal", which cares less for rows that are right already, the more so the larger
    gamma; "hinge", which asks the true class to lead by 1 and no more (`ops.losses`). Probabilities are the softmax of
    the scores with any of them: honest ones with the cross-entropy, too modest with focal, while hinge never asked for
    any, so that its own rank the classes and no more. smoothing: the share of certainty taken from each label and
    spread over all classes. dropout: on the vector before the last layer. Whether rare classes weigh more is a matter
    of row weights (`ops.losses.inverse_frequency`), not of this head. Raises PlanError for a spec without classes.

    triplet: how much the triplet loss of the vectors (`ops.contrastive.triplet`, with the margin) counts beside it, so
    that rows of one class also lie together, as in re-identification (Luo et al. 2019, arXiv:1903.07071). Rows then see
    one another, and `splits` is False; those whose class is missing or unseen are not seen. Batches should hold several
    rows of each class: a row without another of its class costs nothing.
    """

    averages = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        loss: Literal["cross_entropy", "focal", "hinge"] = "cross_entropy",
        gamma: NotNegative = 2.0,
        smoothing: float | Literal["auto"] = "auto",
        dropout: float = 0.0,
        triplet: NotNegative = 0.0,
        margin: NotNegative = 0.2,
    ) -> None:
        super().__init__()
        if spec.kind != "index" or spec.size < 1:
            raise PlanError(f"the category head needs a column of kind 'index' with classes, not {spec.kind!r}")
        self.classes = spec.size
        self.smoothing = _smoothing(spec.size) if smoothing == "auto" else smoothing
        check_share("smoothing", self.smoothing)
        self.kind, self.gamma = loss, float(gamma)
        self.triplet, self.margin = float(triplet), float(margin)
        self.splits = not triplet
        self.likelihood = "categorical" if loss == "cross_entropy" else ""
        self.out = Output(width, spec.size, dropout)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "one of several classes") if spec.kind == "index" else (0.0, "the column holds no classes")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        if spec.size >= MANY:
            return {
                "smoothing": (
                    SMOOTHED,
                    f"{spec.size} classes: more are right, though probabilities turn modest (0 keeps them sharp)",
                )
            }
        return {"smoothing": (0.0, f"{spec.size} classes: probabilities stay calibrated without smoothing")}

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the loss asked for; a missing or unseen class gives a harmless number, for its row has weight 0."""
        classified = self._classified(f, y)
        return classified + self.triplet * self._apart(f, y) if self.triplet else classified

    def _classified(self, f: Features, y: Value) -> Tensor:
        scores, truth = self.out(f), known(y.data, self.classes, y.observed)
        smoothing = float(self.smoothing)
        if self.kind == "focal":
            return focal(scores, truth, gamma=self.gamma, smoothing=smoothing)
        if self.kind == "hinge":
            return hinge(scores, truth, smoothing=smoothing)
        return cross_entropy(scores, truth, smoothing=smoothing)

    def _apart(self, f: Features, y: Value) -> Tensor:
        """(B,) the triplet loss of the vectors."""
        real = (y.data >= 0) & (y.data < self.classes)
        real = real if y.observed is None else real & y.observed
        return by_member(partial(apart_by_class, margin=self.margin), f.members, f.vector, y.data, real)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"probs": (B, C)} float32."""
        return {"probs": _probabilities(self.out(f).float())}

    def last(self) -> Tensor:
        """(C, D + 1)."""
        return self.out.weights()

    def metrics(self) -> Metrics:
        """Every figure; on large validation sets areas from histograms, for sorting would hold up the training."""
        return Classification(self.classes, kept=RANKED)


def _probabilities(scores: Tensor) -> Tensor:
    """The softmax of scores (B, C); of few classes class by class, for a processor goes through many rows at a time."""
    return scores.mT.contiguous().softmax(0).mT.contiguous() if scores.shape[1] <= FEW else scores.softmax(1)


def _smoothing(classes: int) -> float:
    return SMOOTHED if classes >= MANY else 0.0
