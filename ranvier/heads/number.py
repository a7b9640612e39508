"""One number per row."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, present
from ranvier.ops.losses import absolute_error, huber, squared_error
from ranvier.ops.metrics import Regression

ERRORS = {"squared": squared_error, "absolute": absolute_error, "huber": huber}


class NumberHead(Head):
    """A linear read-out: the vector (B, D) to the scaled value (B,) of a column of kind scalar.

    loss: squared predicts the mean, absolute the median, huber lies between (squared within one unit of the scaled
    value, absolute beyond). dropout: on the vector before the last layer. Targets are (B, 2), the scaled value at
    [:, 0]; the column turns the prediction back into raw units. Raises PlanError for a spec that is no scalar.
    """

    averages = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        loss: Literal["squared", "absolute", "huber"] = "squared",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "scalar":
            raise PlanError(f"the number head needs a column of kind 'scalar', not {spec.kind!r}")
        self.error = ERRORS[loss]
        self.out = Output(width, 1, dropout)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "a number") if spec.kind == "scalar" else (0.0, "the column holds no number")

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) error in units of the scaled value."""
        return self.error(self.out(f)[:, 0], present(y.data[:, 0], y.observed))

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"value": (B,)} float32, scaled."""
        return {"value": self.out(f)[:, 0].float()}

    def metrics(self) -> Metrics:
        return Regression()
