"""Two views of a picture known again among those of others: what encoders of pictures learn without labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, Positive
from ranvier.core.protocols import Encoder, Features, Head, Metrics, Value, View
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.squares import of_itself, one_picture, passes
from ranvier.ops.contrastive import nt_xent
from ranvier.ops.views import Views

VECTOR: frozenset[View] = frozenset({"vector"})
COLLAPSED = 0.02  # spread below which all pictures are at one place
CURES = (
    "all pictures are brought to one place, which is called collapse: look whether they differ, and try a lower rate, "
    "a larger batch or weaker augmentation"
)


class ContrastiveHead(Head):
    """The vector (B, width) of one view to where the other view of the same picture is, and no view of another.

    y: the other views, which the encoder of the column reads as well. Both vectors go through an MLP of one hidden
    layer, `layer_width` wide, to `projected` numbers, of which cosines are taken and divided by `temperature`
    (`ops.contrastive.nt_xent`); that MLP is thrown away: what comes before it knows more (Chen et al. 2020, sec. 4.2).
    Rows see one another. Source: Chen, Kornblith, Norouzi & Hinton 2020, "SimCLR", arXiv:2002.05709. Raises PlanError
    for a column of another kind, and without an encoder.
    """

    itself: ClassVar[Literal["", "hidden", "view"]] = "view"
    leads: ClassVar[bool] = True
    splits = False

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        temperature: Positive = 0.5,
        layer_width: Count = 256,
        projected: Count = 64,
    ) -> None:
        super().__init__()
        if spec.kind != "pixels":
            raise PlanError(f"the contrastive head learns from pictures, not from a column of kind {spec.kind!r}")
        if target_encoder is None:
            raise PlanError("the contrastive head needs the encoder of its column, to read the other view by")
        self._lent = (target_encoder,)  # saved, trained as the input's
        self.apart = partial(nt_xent, temperature=float(temperature))
        self.net = nn.Sequential(nn.Linear(width, layer_width), nn.ReLU(), nn.Linear(layer_width, projected))

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """For pictures that are input and target at once, if it is asked for."""
        return of_itself(spec, facts, "compares views", "views of a picture are known again")

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Large batches, which hold more to be told from, and many passes, in each of which views are new."""
        rows = f"{facts.rows:,} training rows"
        return {
            "batch": (next((b for b in (256, 128, 64) if facts.rows >= 8 * b), 32), f"{rows}: the more, the harder"),
            "epochs": (passes(facts), rows),
            "keep": ("last", "the schedule is planned to its end"),
        }

    def refuses(self, truth: Encoded) -> str:
        return one_picture(truth)

    def count(self, y: Value) -> Tensor:
        """(B,) 1 for each picture."""
        return torch.ones(len(y.data), device=y.data.device)

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the surprise at either view of a row, in their mean; nats."""
        one, other = self._views(f, y)
        with torch.autocast(one.device.type, enabled=False):  # in bf16 near views would not be told apart
            return self.apart(one.float(), other.float(), y.observed)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"vector": (B, projected)} float32, of length 1."""
        return {"vector": F.normalize(self.net(f.as_vector()).float(), dim=1)}

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """{"found", "cosine": (B,), "vector": (B, projected)}.

        Whether the other view is nearer than that of any other row of the batch; how near it is; where the first is.
        """
        one, other = (F.normalize(view.float(), dim=1) for view in self._views(f, y))
        with torch.autocast(one.device.type, enabled=False):
            alike = one @ other.T
        if y.observed is not None:
            alike = alike.masked_fill(~y.observed, -2.0)
        own = alike.diagonal()
        nearest = alike.masked_fill(torch.eye(len(one), dtype=torch.bool, device=one.device), -2.0).amax(1)
        return {"found": (own > nearest).float(), "cosine": own, "vector": one}

    def metrics(self) -> Metrics:
        """How often views are found, how near they are, and how far apart pictures."""
        return Views()

    def troubles(self, figures: Mapping[str, float]) -> dict[str, str]:
        """Collapse."""
        return {"spread": CURES} if figures.get("spread", 1.0) < COLLAPSED else {}

    def _views(self, f: Features, y: Value) -> tuple[Tensor, Tensor]:
        """(B, projected) twice."""
        other = self._lent[0](y, VECTOR).as_vector()
        return self.net(f.as_vector()), self.net(other)
