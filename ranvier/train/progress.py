"""Where a run stands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from ranvier.core.training import Callback

BY_CALLBACK = "a callback stopped it"


@dataclass
class Progress:
    """Where a run stands; what a checkpoint keeps of it, JSON values all.

    best: the best value of the monitor so far, best_step: when; stale: validations since. stopped: why it ended before
    its last step. history: the log. layers: every layer's last figures by its place. notes: what the user should know
    of the training. micro: rows at once since the device's memory ran out, 0 = it did not. told: the kind and the
    layer, or figure, of each trouble in them (`health.py`). failing: figures that the last validation found wrong.
    """

    step: int = 0
    best: float = math.nan
    best_step: int = 0
    stale: int = 0
    rows: int = 0
    seconds: float = 0.0
    stopped: str = ""
    history: list[dict[str, float]] = field(default_factory=list)
    layers: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    micro: int = 0
    told: list[list[str]] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)

    def tell(self, notes: Iterable[str], callbacks: Iterable[Callback]) -> None:
        """Keeps what is new, and lets the callbacks hear it."""
        for note in notes:
            self.notes.append(note)
            for callback in callbacks:
                callback.on_note(note)
