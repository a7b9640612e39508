"""All that the engine is told, resolved: plain numbers and names."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ranvier.core.errors import PlanError


@dataclass(frozen=True)
class Settings:
    """How a run goes.

    steps: optimizer steps in all. optimizer, schedule: {"name": ..., <options>}. rate: peak learning rate. decay, l1,
    l2, max_norm: see `penalties.py`, 0 = off. clip: largest norm of the gradient, 0 = off. average: decay per step of
    the moving average of the weights, or "swa", 0 = off (`averaging.py`). precision: of the forward pass. micro: rows
    in a micro-batch, 0 = the whole batch. log_every, validate_every: in steps, 0 = at the end only. checkpoint_every:
    in seconds, 0 = at the beginning and the end only. patience: validations without improvement before it stops, 0 =
    never. keep: which weights to end with. With an average, "best" is one of the averaged weights, and patience counts
    from when there are any. watch: look at gradients and activations on some steps, and tell of trouble (`health.py`),
    changing no bit of the run. Raises PlanError for values that no run can have, or that contradict one another.
    """

    steps: int
    rate: float = 1e-3
    decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float = 0.0
    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adamw"})
    schedule: dict[str, Any] = field(default_factory=lambda: {"name": "linear"})
    clip: float = 0.0
    average: float | Literal["swa"] = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    micro: int = 0
    log_every: int = 50
    validate_every: int = 0
    checkpoint_every: float = 0.0
    patience: int = 0
    keep: Literal["best", "last", "average"] = "last"
    watch: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "rate"):
            self._check(name, getattr(self, name) > 0, "a number above 0")
        for name in (
            "decay",
            "l1",
            "l2",
            "max_norm",
            "clip",
            "micro",
            "log_every",
            "validate_every",
            "checkpoint_every",
            "patience",
        ):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("rate", math.isfinite(self.rate), "a finite number")
        decays = not isinstance(self.average, str) and 0 <= self.average < 1
        self._check("average", decays or self.average == "swa", "a decay from 0 to below 1, or 'swa'")
        self._check("precision", self.precision in ("fp32", "bf16"), "'fp32' or 'bf16'")
        self._check("keep", self.keep in ("best", "last", "average"), "'best', 'last' or 'average'")
        if self.keep == "average" and not self.average:
            raise PlanError("keep = 'average' needs an average, such as average = 0.99 or 'swa'")
        if self.keep == "last" and self.average:
            raise PlanError(f"average = {self.average!r} changes nothing with keep = 'last'; use keep = 'average'")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise PlanError(f"{name} = {getattr(self, name)!r}: expected {expected}")

    @property
    def penalised(self) -> bool:
        """Whether any penalty acts on the weights."""
        return bool(self.decay or self.l1 or self.l2 or self.max_norm)

    def to_json(self) -> dict[str, Any]:
        """A JSON value, for checkpoints and logs."""
        return asdict(self)
