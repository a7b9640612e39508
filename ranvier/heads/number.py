"""One number per row."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.plan import Positive, Share
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import Output, present
from ranvier.ops.losses import absolute_error, half_squared_error, huber, quantile, squared_error
from ranvier.ops.regression import MEDIAN, Regression, quantile_name

Kind = Literal["squared_error", "half_squared_error", "absolute_error", "huber", "quantile"]
ERRORS = {
    "squared_error": squared_error,
    "half_squared_error": half_squared_error,
    "absolute_error": absolute_error,
}


class NumberHead(Head):
    """A linear read-out: the vector (B, D) to the scaled value (B,) of a column of kind scalar.

    loss: squared_error (or half_squared_error, its half) predicts the mean, absolute_error the median, huber lies
    between (squared within delta units of the scaled value, absolute beyond). quantile predicts the median as the
    value, and with it every level of `quantiles`: 0.1 as "q10", which the column decodes as NAME_q10 in raw units, the
    number up to which a tenth of the truths is to lie. One output a level, the pinball losses summed; outputs that
    cross are sorted when predicting. delta is read with huber only, quantiles with quantile only.
    dropout: on the vector before the last layer. Targets are (B, 2), the scaled value at [:, 0]; the column turns the
    prediction back into raw units. Raises PlanError for a spec that is no scalar, and for no or repeated quantiles.
    """

    averages = True
    likelihood = "normal"  # whatever the loss: of the others' errors this is what a posterior can be had of

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        loss: Kind = "squared_error",
        delta: Positive = 1.0,
        quantiles: list[Share] = [0.1, 0.9],  # noqa: B006  (read only; an option's default is shown as it is)
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spec.kind != "scalar":
            raise PlanError(f"the number head needs a column of kind 'scalar', not {spec.kind!r}")
        self.kind, self.delta = loss, float(delta)
        self.levels = _levels(quantiles) if loss == "quantile" else [MEDIAN]
        self.out = Output(width, len(self.levels), dropout)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        return (1.0, "a number") if spec.kind == "scalar" else (0.0, "the column holds no number")

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) error in units of the scaled value."""
        said, truth = self.out(f), present(y.data[:, 0], y.observed)
        if self.kind == "quantile":
            pinballs = [quantile(said[:, i], truth, level=level) for i, level in enumerate(self.levels)]
            return torch.stack(pinballs).sum(0)
        if self.kind == "huber":
            return huber(said[:, 0], truth, delta=self.delta)
        return ERRORS[self.kind](said[:, 0], truth)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"value": (B,)} float32, scaled; with the quantile loss "q10" and so on beside it."""
        said = self.out(f).float().sort(1).values
        by_level = dict(zip(self.levels, said.unbind(1), strict=True))
        value = by_level.pop(MEDIAN)
        return {"value": value, **{quantile_name(level): part for level, part in by_level.items()}}

    def last(self) -> Tensor:
        """(1, D + 1) the layer of the value."""
        return self.out.weights()[[self.levels.index(MEDIAN)]]

    def metrics(self) -> Metrics:
        """The figures that need no row to be kept, in units of the scaled value."""
        return Regression(kept=0)


def _levels(quantiles: list[float]) -> list[float]:
    """The levels to learn, ascending, the median among them. Raises PlanError."""
    names = [quantile_name(level) for level in quantiles]
    if not quantiles or len({*names}) < len(names) or not all(0 < level < 1 for level in quantiles):
        raise PlanError(
            f"quantiles = {quantiles}: expected one or more different levels between 0 and 1, such as [0.1, 0.9]"
        )
    return sorted({*map(float, quantiles), MEDIAN})
