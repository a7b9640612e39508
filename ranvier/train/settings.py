"""All that the engine is told, resolved: plain numbers and names."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Settings:
    """How a run goes.

    steps: optimizer steps in all. optimizer, schedule: {"name": ..., <options>}. rate: peak learning rate.
    decay: weight decay. clip: largest norm of the gradient, 0 = off. average: decay of the moving average of
    the weights per step, 0 = off. precision: of the forward pass. micro: rows in a micro-batch, 0 = the whole
    batch. log_every, validate_every, checkpoint_every: in steps, 0 = never. patience: validations without
    improvement before it stops, 0 = never. keep: which weights to end with.
    """

    steps: int
    rate: float = 1e-3
    decay: float = 0.0
    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adamw"})
    schedule: dict[str, Any] = field(default_factory=lambda: {"name": "linear"})
    clip: float = 0.0
    average: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    micro: int = 0
    log_every: int = 50
    validate_every: int = 0
    checkpoint_every: int = 0
    patience: int = 0
    keep: Literal["best", "last", "average"] = "last"
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value, for checkpoints and logs."""
        return asdict(self)
