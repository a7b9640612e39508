"""Any number of labels per row."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.plan import NotNegative
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, check_share, present
from ranvier.ops.losses import binary_cross_entropy, binary_focal, binary_hinge
from ranvier.ops.multilabel import MultiLabel


class SetHead(Head):
    """A yes or no per label: the vector (B, D) to the probabilities (B, C) of a column of kind khot.

    Targets are (B, C), or (B, C + 1) with the number of labels not seen in training last: these have no output and no
    part in the loss, and count as not found in the figures. A label is predicted from the spec's threshold on.

    loss: "binary_cross_entropy" in nats; "binary_focal", which cares less for labels that are right already, the more
    so the larger gamma, and makes probabilities too modest; "binary_hinge", which asks each score to lie beyond 1 on
    its side of 0 and no more, so that its probabilities rank the labels (`ops.losses`); all summed over the labels.
    smoothing: the share of certainty taken from each yes and no; hinge, which asks for no certainty, does without.
    dropout: on the vector before the last layer. Raises PlanError for a spec without labels, and for hinge smoothed.
    """

    averages = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        loss: Literal["binary_cross_entropy", "binary_focal", "binary_hinge"] = "binary_cross_entropy",
        gamma: NotNegative = 2.0,
        smoothing: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "khot" or spec.size < 1:
            raise PlanError(f"the set head needs a column of kind 'khot' with labels, not {spec.kind!r}")
        check_share("smoothing", smoothing)
        if loss == "binary_hinge" and smoothing:
            raise PlanError(f"smoothing = {smoothing} has no meaning with loss = 'binary_hinge'; set it to 0")
        self.labels, self.threshold, self.smoothing = spec.size, spec.threshold, float(smoothing)
        self.kind, self.gamma = loss, float(gamma)
        self.out = Output(width, spec.size, dropout)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "any number of labels") if spec.kind == "khot" else (0.0, "the column holds no labels")

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the loss asked for, summed over the labels."""
        truth = present(y.data[:, : self.labels], y.observed)
        if self.kind == "binary_focal":
            return binary_focal(self.out(f), truth, gamma=self.gamma, smoothing=self.smoothing)
        if self.kind == "binary_hinge":
            return binary_hinge(self.out(f), truth)
        return binary_cross_entropy(self.out(f), truth, smoothing=self.smoothing)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"probs": (B, C)} float32, independent of one another."""
        return {"probs": self.out(f).float().sigmoid()}

    def metrics(self) -> Metrics:
        return MultiLabel(self.labels, self.threshold)
