"""When checkpoints are written, and what is said where they cannot be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ranvier.core.errors import FileError, RunError
from ranvier.train import checkpoint

if TYPE_CHECKING:
    from ranvier.train.engine import Engine

SHARE = 0.02  # of a run's time, at most, for the checkpoints between its beginning and its end


class Keeper:
    """Writes a run's checkpoints: at its beginning, from time to time, and at its end. folder: None = nowhere.

    every: seconds between them; more where one takes long, so that all take at most SHARE of the time.
    """

    def __init__(self, folder: Path | None, every: float) -> None:
        self.path = None if folder is None else folder / checkpoint.NAME
        self.every, self.cost = every, 0.0  # the latter of the last checkpoint, in seconds
        self.saved_at = 0.0  # in seconds into the run
        self.failed = False

    def begin(self, engine: Engine) -> None:
        """Writes where the run starts from, unless it goes on. Raises RunError if no checkpoint can be kept there."""
        self.saved_at = engine.progress.seconds
        if self.path is not None and engine.progress.step == 0:
            try:
                self._save(engine, self.path)
            except FileError as error:
                raise RunError(f"{error}; make room there, or name another folder") from None

    def due(self, seconds: float) -> bool:
        """Whether a checkpoint is to be written so many seconds into the run."""
        if self.path is None or not self.every:
            return False
        return seconds - self.saved_at >= max(self.every, self.cost / SHARE)

    def save(self, engine: Engine) -> None:
        """Writes a checkpoint; where that fails training goes on, which is told once, and it is tried again later."""
        if self.path is None:
            return
        try:
            self._save(engine, self.path)
        except FileError as error:
            if not self.failed:
                told = f"step {engine.progress.step}: {error}; training goes on, and the one before is kept"
                engine.progress.tell([told], engine.callbacks)
            self.failed = True
        self.saved_at = engine.progress.seconds

    def _save(self, engine: Engine, path: Path) -> None:
        started = time.perf_counter()
        checkpoint.save(engine, path)
        self.cost = time.perf_counter() - started
