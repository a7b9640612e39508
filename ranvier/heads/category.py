"""One category per row."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import NotNegative
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, check_share
from ranvier.ops.classification import Classification
from ranvier.ops.losses import cross_entropy, focal, hinge, known

MANY = 10  # classes from which on labels are smoothed
SMOOTHED = 0.1
RANKED = 2**18  # scores; sorting them takes some 30 ms


class CategoryHead(Head):
    """Softmax over the classes: the vector (B, D) to the probabilities (B, C) of a column of kind index.

    loss: "cross_entropy" in nats; "focal", which cares less for rows that are right already, the more so the larger
    gamma; "hinge", which asks the true class to lead by 1 and no more (`ops.losses`). Probabilities are the softmax of
    the scores with any of them: honest ones with the cross-entropy, too modest with focal, while hinge never asked for
    any, so that its own rank the classes and no more. smoothing: the share of certainty taken from each label and
    spread over all classes. dropout: on the vector before the last layer. Whether rare classes weigh more is a matter
    of row weights (`ops.losses.inverse_frequency`), not of this head. Raises PlanError for a spec without classes.
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
    ) -> None:
        super().__init__()
        if spec.kind != "index" or spec.size < 1:
            raise PlanError(f"the category head needs a column of kind 'index' with classes, not {spec.kind!r}")
        self.classes = spec.size
        self.smoothing = _smoothing(spec.size) if smoothing == "auto" else smoothing
        check_share("smoothing", self.smoothing)
        self.kind, self.gamma = loss, float(gamma)
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
        scores, truth = self.out(f), known(y.data, self.classes, y.observed)
        smoothing = float(self.smoothing)
        if self.kind == "focal":
            return focal(scores, truth, gamma=self.gamma, smoothing=smoothing)
        if self.kind == "hinge":
            return hinge(scores, truth, smoothing=smoothing)
        return cross_entropy(scores, truth, smoothing=smoothing)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"probs": (B, C)} float32."""
        return {"probs": self.out(f).float().softmax(1)}

    def metrics(self) -> Metrics:
        """Every figure; on large validation sets areas from histograms, for sorting would hold up the training."""
        return Classification(self.classes, kept=RANKED)


def _smoothing(classes: int) -> float:
    return SMOOTHED if classes >= MANY else 0.0
