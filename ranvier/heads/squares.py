"""Hidden squares of a picture, from the rest of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count
from ranvier.core.protocols import Encoder, Features, Head, Value, View
from ranvier.core.spec import Encoded, Given, Spec

Auto = Literal["auto"]
ACROSS = 4  # squares along the shorter side
BLOCK = 1_024  # pictures that are compared at a time


class SquaresHead(Head):
    """The coarsest map of a picture (B, C, h, w) to its pixels (B, H, W, channels), judged where they are hidden.

    share: of the picture's squares, how many are hidden (`feed/squares.py`); side: theirs, in pixels. y: the pixels,
    with a mask (B, H, W) of those hidden. Each place of the map says the pixels in it by one linear layer, so that all
    that is known of the picture has to be in the map. The loss is the squared error of intensities between 0 and 1,
    its count the hidden numbers. Source: Xie et al. 2022, "SimMIM", arXiv:2111.09886, sec. 3. Raises PlanError for a
    column of another kind, and an encoder without maps.
    """

    itself: ClassVar[Literal["", "hidden", "view"]] = "hidden"
    leads: ClassVar[bool] = True
    welcomes: frozenset[View] = frozenset({"maps"})

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        given: Mapping[str, Given] | None = None,
        /,
        *,
        share: float = 0.6,
        side: Count | Auto = "auto",
    ) -> None:
        super().__init__()
        if spec.kind != "pixels":
            raise PlanError(f"the head 'squares' restores pictures, not a column of kind {spec.kind!r}")
        if not 0 < share < 1:
            raise PlanError(f"share = {share} must be above 0 and below 1")
        seen = [(name, each.maps) for name, each in (given or {}).items() if each.maps]
        if len(seen) != 1:
            raise PlanError("the head 'squares' needs a single picture whose encoder gives maps: cnn, convnext or vit")
        self.of, maps = seen[0]
        channels, self.stride = maps[-1]
        self.size = (int(spec.shape[0] or 0), int(spec.shape[1] or 0))
        self.out = nn.Conv2d(channels, spec.size * self.stride**2, 1)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """For pictures that are input and target at once, if it is asked for."""
        return of_itself(spec, facts, "restores what is hidden", "hidden squares are restored from the rest")

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """Squares large enough that their neighbours do not give them away."""
        side = min(int(s or 1) for s in spec.shape[:2])
        return {"side": (max(1, -(-side // ACROSS)), f"pictures of {spec.shape[0]} x {spec.shape[1]} pixels")}

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Many passes, in each of which other squares are hidden."""
        rows = f"{facts.rows:,} training rows"
        return {
            "batch": (next((b for b in (256, 128, 64) if facts.rows >= 32 * b), 32), rows),
            "epochs": (passes(facts), rows),
            "keep": ("best", "the weights that did best on the validation rows"),
        }

    def refuses(self, truth: Encoded) -> str:
        return one_picture(truth)

    def count(self, y: Value) -> Tensor:
        """(B,) how many numbers the row's loss is a sum over."""
        assert y.mask is not None
        return y.mask.flatten(1).sum(1).float() * y.data.shape[3]

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the squared error of hidden intensities, summed."""
        assert y.mask is not None
        truth = y.data.permute(0, 3, 1, 2).float() / 255
        return ((self._said(f).float() - truth).square() * y.mask[:, None]).flatten(1).sum(1)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"pixels": (B, H, W, channels) float32, 0 to 255}."""
        return {"pixels": self._said(f).float().clamp(0, 1).permute(0, 2, 3, 1) * 255}

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """What figures are made of: {"error", "count": (B,)}, of the hidden numbers."""
        return {"error": self.loss("main", f, y), "count": self.count(y)}

    def _said(self, f: Features) -> Tensor:
        """(B, channels, H, W) intensities, at first about the middle."""
        said = F.pixel_shuffle(self.out(f.parts[self.of].maps[-1][0]), self.stride)
        return said[:, :, : self.size[0], : self.size[1]] + 0.5


def of_itself(spec: Spec, facts: Facts, does: str, why: str) -> tuple[float, str]:
    """How well a head suits pictures that are input and target at once; does: what with them, why: it is good."""
    if spec.kind != "pixels":
        return 0.0, "the column holds no pictures"
    if not facts.given:
        return 0.0, f"it {does} of an input: name the column among the inputs too"
    return 0.2, why


def passes(facts: Facts) -> float:
    """Epochs, in each of which other views or squares are seen: the fewer the rows, the more."""
    return float(min(200, max(20, round(30 * (20_000 / max(1, facts.rows)) ** 0.5))))


def one_picture(truth: Encoded) -> str:
    """Why nothing can be learnt of pictures alone where there are not two different ones; "" if there are."""
    rows = np.flatnonzero(truth.observed)
    first = truth.data[rows[:1]]
    if any((truth.data[rows[k : k + BLOCK]] != first).any() for k in range(0, len(rows), BLOCK)):
        return ""
    return (
        f"{len(rows):,} of {len(truth):,} rows have a picture, and all of these are the same: nothing can be learnt "
        "without two that differ (of so few that one alone is held out: split='none')"
    )
