"""Where the memory of an accelerator runs out while training, batches are taken in smaller pieces from there on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ranvier.core.device import short
from ranvier.core.errors import RunError
from ranvier.core.protocols import Batch
from ranvier.core.training import Phase

if TYPE_CHECKING:
    from ranvier.train.engine import Engine


def halve(engine: Engine, phase: Phase, batch: Batch, error: torch.OutOfMemoryError) -> None:
    """Half as many rows at once from now on, which is told. Raises RunError, with what to try, where they see one
    another in this phase, or there is only one at once."""
    at = engine.progress
    rows = min(batch.size, engine.micro or batch.size)
    what = f"step {at.step + 1}: the memory of the device ran out"
    if not phase.splits:
        raise RunError(
            f"{what} with {batch.size} rows, which see one another in phase {phase.name!r}, so that they cannot be "
            f"taken in pieces ({short(error)}): try train.batch = {max(1, batch.size // 2)}{less(engine)}"
        ) from None
    if rows == 1:
        raise RunError(f"{what} with a single row at once ({short(error)}): try{less(engine)[1:]}") from None
    at.micro = rows // 2
    told = (
        f"{what} with {rows} rows at once: from here on it is {at.micro}, which gives the same gradients but for their "
        f"last bits, and other random draws; with train.micro = {at.micro} a run begins so"
    )
    engine.progress.tell([told], engine.callbacks)


def clear(engine: Engine) -> None:
    """Gives back what was set aside for larger pieces."""
    if engine.device.type == "cuda":
        torch.cuda.empty_cache()


def cure(engine: Engine) -> str:
    """What takes less memory, wherever that ran out."""
    splits = all(phase.splits for phase in engine.task.phases)
    return f"a smaller {'train.micro or ' if splits else ''}train.batch{less(engine)}"


def less(engine: Engine) -> str:
    """What takes less memory beside fewer rows at once."""
    bf16 = "train.precision = 'bf16', " if engine.settings.precision == "fp32" else ""
    return f", {bf16}shorter texts or smaller pictures, or size = 's'"
