"""Settings that a task, or an optimizer, cannot follow."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ranvier.core.errors import PlanError
from ranvier.core.training import Source, Task
from ranvier.train.optimizers import Evaluates
from ranvier.train.settings import Settings


def check_task(task: Task, settings: Settings, validation: Source | None) -> None:
    """Raises PlanError for what needs validation rows where there are none, and pieces of what cannot be cut."""
    reacts = settings.schedule["name"] == "plateau"
    for name, asks in (("patience", settings.patience > 0), ("keep", settings.keep == "best"), ("schedule", reacts)):
        if asks and validation is None:
            raise PlanError(f"{name} = {getattr(settings, name)!r} needs validation rows")
    together = [phase.name for phase in task.phases if not phase.splits]
    if settings.micro and together:
        raise PlanError(
            f"micro = {settings.micro}: rows see one another in phase {together[0]!r}, as in batch norm, so that a "
            "batch cannot be cut; use micro = 0 and a smaller batch"
        )


def check_averaging(settings: Settings, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Raises PlanError for what acts on the weights to evaluate, where the optimizer keeps those apart."""
    if any(isinstance(optimizer, Evaluates) for optimizer in optimizers):
        for name in ("average", "l1", "max_norm"):
            if getattr(settings, name):
                raise PlanError(
                    f"{name} = {getattr(settings, name)!r} acts on the weights, of which the optimizer "
                    f"{settings.optimizer['name']!r} keeps an average apart; leave it out, or use 'adamw'"
                )
