"""The signatures that the engine and what it trains on plug into each other with.

Shapes: B rows in the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ranvier.core.protocols import Batch


@dataclass(frozen=True)
class Phase:
    """A loss and the parameters it trains; every other parameter is frozen while it runs.

    loss: batch to {term: (B,)}; minimised is the sum over terms of sum(w * loss) / sum(w * count), where count
    is taken over the WHOLE batch and all ranks. every: runs at each `every`-th step. splits: False if rows see
    one another, then it cannot be micro-batched. plain: fp32 and eager (double backward).
    """

    name: str
    params: tuple[nn.Parameter, ...]
    loss: Callable[[Batch], dict[str, Tensor]]
    count: Callable[[Batch], dict[str, Tensor]]
    every: int = 1
    splits: bool = True
    plain: bool = False


class Task(nn.Module, ABC):
    """Something to minimise: a list of phases. monitor: "metric:min", "metric:max", or None to keep the last."""

    phases: list[Phase]
    monitor: str | None = "loss:min"

    def after_step(self, step: int) -> None:
        """Called after every optimizer step (target networks, teachers)."""

    def place(self, name: str) -> str:
        """How a message names the module or parameter `name` to a person."""
        return f"layer {name!r}"

    def troubles(self, figures: Mapping[str, float]) -> dict[str, str]:
        """{figure: what has gone wrong, and the cures}, by what `validate` gave."""
        return {}

    @abstractmethod
    def validate(self, source: Source) -> dict[str, float]:
        """Figures over a source: rows, or episodes."""


@runtime_checkable
class Source(Protocol):
    """Gives batches by number. steps: in an epoch, None = endless. exact: False if it cannot resume bit for bit."""

    steps: int | None
    exact: bool

    def batch(self, step: int) -> Batch:
        """Batch number `step`; for rows a pure function of (seed, step, rank)."""

    def state(self) -> dict[str, Any]:
        """What `load_state` needs to go on from here (tensors and JSON values)."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""


class Callback(ABC):
    """Looks on, and may stop; touches neither weights nor batches."""

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Sees a log record; True stops the run."""
        return False

    def on_note(self, note: str) -> None:
        """Hears a sentence for the user, once, as soon as it is known."""

    def on_end(self) -> None:
        """Called once when the run ends, however it ends."""

    def state(self) -> dict[str, Any]:
        """JSON values for the checkpoint."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
