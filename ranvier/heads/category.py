"""One category per row."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, check_share
from ranvier.ops.losses import cross_entropy, known
from ranvier.ops.metrics import Classification

MANY = 10  # classes from which on labels are smoothed
SMOOTHED = 0.1
RANKED = 2**22  # scores; sorting them takes about a second


class CategoryHead(Head):
    """Softmax over the classes: the vector (B, D) to the probabilities (B, C) of a column of kind index.

    smoothing: the share of certainty taken from each label and spread over all classes (`ops.losses`). dropout: on the
    vector before the last layer. The loss is the cross-entropy in nats. Whether rare classes weigh more is a matter of
    row weights (`ops.losses.inverse_frequency`), not of this head. Raises PlanError for a spec without classes.
    """

    averages = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        smoothing: float | Literal["auto"] = "auto",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "index" or spec.size < 1:
            raise PlanError(f"the category head needs a column of kind 'index' with classes, not {spec.kind!r}")
        self.classes = spec.size
        self.smoothing = _smoothing(spec.size) if smoothing == "auto" else smoothing
        check_share("smoothing", self.smoothing)
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
        """(B,) cross-entropy; a missing or unseen class gives a harmless number, for its row has weight 0."""
        return cross_entropy(self.out(f), known(y.data, self.classes, y.observed), float(self.smoothing))

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"probs": (B, C)} float32."""
        return {"probs": self.out(f).float().softmax(1)}

    def metrics(self) -> Metrics:
        """Every figure; on large validation sets without the areas under curves, which would hold up the training."""
        return Classification(self.classes, kept=RANKED)


def _smoothing(classes: int) -> float:
    return SMOOTHED if classes >= MANY else 0.0
