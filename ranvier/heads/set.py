"""Any number of labels per row."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, check_share, present
from ranvier.ops.losses import binary_cross_entropy
from ranvier.ops.metrics import MultiLabel


class SetHead(Head):
    """A yes or no per label: the vector (B, D) to the probabilities (B, C) of a column of kind khot.

    Targets are (B, C), or (B, C + 1) with the number of labels not seen in training last: these have no output and no
    part in the loss, and count as not found in the figures. A label is predicted from the spec's threshold on.

    smoothing: the share of certainty taken from each yes and no. dropout: on the vector before the last layer. The
    loss is the binary cross-entropy in nats, summed over the labels. Raises PlanError for a spec without labels.
    """

    averages = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        smoothing: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "khot" or spec.size < 1:
            raise PlanError(f"the set head needs a column of kind 'khot' with labels, not {spec.kind!r}")
        check_share("smoothing", smoothing)
        self.labels, self.threshold, self.smoothing = spec.size, spec.threshold, smoothing
        self.out = Output(width, spec.size, dropout)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "any number of labels") if spec.kind == "khot" else (0.0, "the column holds no labels")

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) binary cross-entropy, summed over the labels."""
        truth = present(y.data[:, : self.labels], y.observed)
        return binary_cross_entropy(self.out(f), truth, float(self.smoothing))

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"probs": (B, C)} float32, independent of one another."""
        return {"probs": self.out(f).float().sigmoid()}

    def metrics(self) -> Metrics:
        return MultiLabel(self.labels, self.threshold)
